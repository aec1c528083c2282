"""What a context trusts: certificates and CRLs, and SSLContext's members about them."""

from __future__ import annotations

import os
import ssl
from types import MappingProxyType

from veritls import _engine
from veritls._loading.pem import is_content
from veritls._loading.trust import in_data, in_file, in_folder, in_system, trust_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from _typeshed import ReadableBuffer

    from veritls._context.trust_entries import TrustEntry
    from veritls._loading.crls import CRLSource, CRLStore, Found
    from veritls._loading.pem import StrPath
    from veritls._loading.trust import Batch, TrustData
    from veritls.events.material import Kind

_LONGEST_PATH = 10
_MOST_UNREAD = 4
"""Certificates or files that could not be read, of which an error tells."""


def _signed(issuer: bytes, subject: bytes) -> bool:
    if _engine.is_signed_by(subject, issuer):
        return True
    from veritls._loading.signatures import is_signed_by

    return is_signed_by(subject, issuer)


class TrustStore:
    """The certificates that a context trusts, and its CRLs. Never changed: `plus` gives the next one.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other may stand
    within a path; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. The engine's form is made once.
    """

    def __init__(
        self,
        certificates: Mapping[bytes, str] = MappingProxyType({}),
        crls: CRLStore | None = None,
        on_request: frozenset[bytes] = frozenset(),
        unread: tuple[str, ...] = (),
    ) -> None:
        """`certificates`: DER -> source. `on_request`: the certificates that are not listed until used.

        `unread`: the system's certificates that could not be read, in words, for the errors that follow.
        """
        self._certificates = certificates
        self._crls = crls
        self._on_request = on_request
        self._unread = unread
        self._frozen: dict[bool, _engine.TrustSet] = {}
        self._subjects: dict[bytes, list[bytes]] | None = None

    @property
    def crls(self) -> CRLStore:
        """The CRLs; empty where none was loaded."""
        if self._crls is not None:
            return self._crls
        from veritls._loading.crls import CRLStore

        return CRLStore()

    def plus(self, batches: Sequence[Batch]) -> TrustStore:
        """With everything in the batches."""
        certificates, hidden = dict(self._certificates), set(self._hidden())
        for batch in batches:
            fresh = {der for der in batch.certificates if der not in certificates}
            if batch.on_request:
                hidden |= fresh
            else:
                hidden -= set(batch.certificates)
            certificates |= {der: batch.source for der in batch.certificates if der in fresh}
        unread = dict.fromkeys((*self._unread, *(words for batch in batches for words in batch.unread)))
        store = TrustStore(certificates, self._crls, frozenset(hidden), tuple(unread)[:_MOST_UNREAD])
        for batch in batches:
            if batch.crls:
                from veritls._loading.crls import read

                crls = [read(der, batch.source) for der in batch.crls]
                store, _ = store.plus_crls(crls, foreign=True)
            if batch.place is not None:
                store = store.remembering(batch.place)
        return store

    def plus_crls(
        self, found: Iterable[Found], *, foreign: bool = False, older: bool = False
    ) -> tuple[TrustStore, int]:
        """With the CRLs, added by `CRLStore.add`, and how many of them were new."""
        crls, added = self.crls.add(
            found, lambda name: self._by_subject().get(name, ()), foreign=foreign, older=older
        )
        return self._with_crls(crls) if added else self, added

    def replaced(self, trust: Sequence[Batch] | None, crls: Iterable[Found] | None) -> TrustStore:
        """With these certificates, and these CRLs, in the place of all others; None leaves them.

        Raises ssl.SSLError for a CRL whose issuer is known and did not sign it.
        """
        store = self if trust is None else TrustStore(crls=self._crls).plus(trust)
        if crls is None:
            return store
        bare = TrustStore(store._certificates, None, store._hidden(), store._unread)
        renewed, _ = bare.plus_crls(crls)
        return renewed

    def remembering(self, place: StrPath) -> TrustStore:
        """With a file or folder that CRLs are read from again."""
        return self._with_crls(self.crls.remembering(place))

    def _with_crls(self, crls: CRLStore) -> TrustStore:
        return TrustStore(self._certificates, crls, self._hidden(), self._unread)

    def _hidden(self) -> frozenset[bytes]:
        if not self._on_request:
            return self._on_request
        used = {der for frozen in self._frozen.values() for der in frozen.used()}
        return self._on_request - used

    def _listed(self) -> list[bytes]:
        hidden = self._hidden()
        return [der for der in self._certificates if der not in hidden]

    def ca_certificates(self) -> list[bytes]:
        """The CA certificates, DER, in the order in which they were loaded."""
        return [der for der in self._listed() if _engine.is_ca(der)]

    def statistics(self) -> dict[str, int]:
        """The numbers of ``SSLContext.cert_store_stats()``."""
        return {"x509": len(self._listed()), "crl": len(self.crls), "x509_ca": len(self.ca_certificates())}

    def path_above(self, der: bytes) -> list[bytes]:
        """The issuers here of a certificate, up to its trust anchor, as far as they are known, DER."""
        path: list[bytes] = []
        subject, issuer = _engine.names(der)
        while len(path) < _LONGEST_PATH and issuer != subject:
            above = (each for each in self._by_subject().get(issuer, ()) if _signed(each, der))
            der = next(above, b"")
            if not der:
                break
            path.append(der)
            subject, issuer = _engine.names(der)
        return path

    def _by_subject(self) -> dict[bytes, list[bytes]]:
        subjects = self._subjects
        if subjects is None:
            subjects = {}
            for der in self._certificates:
                subjects.setdefault(_engine.names(der)[0], []).append(der)
            self._subjects = subjects
        return subjects

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form."""
        kept = self._frozen.get(partial_chain)
        if kept is None:
            certificates = tuple(self._certificates)
            crls = self._crls.engines() if self._crls is not None else []
            if crls:
                made = _engine.TrustSet(certificates, crls, partial_chain, self._unread)
            else:
                made = trust_set(certificates, partial_chain, self._unread)
                made = made.fresh() if self._on_request else made
            kept = self._frozen.setdefault(partial_chain, made)
        return kept

    def entries(self, *, partial_chain: bool) -> list[TrustEntry]:
        """Every certificate, then every CRL, in the order in which they were loaded."""
        from veritls._context.trust_entries import entries_of

        return entries_of(self._certificates, self.crls, partial_chain=partial_chain)


class TrustMembers:
    """SSLContext's members about trust. A change holds for connections made after it."""

    @property
    def _trust(self) -> TrustStore:
        raise NotImplementedError

    def _change_trust(self, change: Callable[[TrustStore], TrustStore], *kinds: Kind) -> None:
        """`kinds`: what is changed. Raises ValueError where a followed source provides it."""
        raise NotImplementedError

    @property
    def _partial_chain(self) -> bool:
        raise NotImplementedError

    def _trust_also(self, batches: list[Batch]) -> None:
        kinds: tuple[Kind, ...] = ("trust",)
        if any(batch.crls or batch.place is not None for batch in batches):
            kinds = "trust", "crls"
        self._change_trust(lambda store: store.plus(batches), *kinds)

    def load_verify_locations(
        self,
        cafile: StrPath | None = None,
        capath: StrPath | None = None,
        cadata: str | ReadableBuffer | TrustData | None = None,
    ) -> None:
        """Adds trusted certificates and CRLs, as `ssl.SSLContext.load_verify_locations`.

        `cafile`: a PEM file. `capath`: a folder in OpenSSL's hashed layout. `cadata`: PEM str, DER bytes, or
        `cryptography` certificates and CRLs, one or several. Raises TypeError if all are omitted or of other
        types, OSError for a file that cannot be read, ssl.SSLError (naming the file) or ValueError where
        there is no usable certificate. Nothing is added then.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        cafile, capath = (None if path is None else os.fsdecode(path) for path in (cafile, capath))
        batches: list[Batch] = []
        if cadata is not None:
            batches += in_data(cadata)
        if cafile is not None:
            batches += in_file(cafile)
        if capath is not None:
            batches += in_folder(capath)
        self._trust_also(batches)

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Adds the certificates that the operating system trusts, or those of SSL_CERT_FILE and SSL_CERT_DIR.

        `purpose` makes no difference. A certificate that cannot be read is left out; a refusal that follows
        says so. Raises TypeError where `purpose` is not an `ssl.Purpose`.
        """
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        self._trust_also(in_system())

    def set_default_verify_paths(self) -> None:
        """The same as `load_default_certs()`."""
        self.load_default_certs()

    def load_crls(self, source: CRLSource, *, allow_older: bool = False) -> int:
        """Adds CRLs (RFC 5280, section 5), and returns how many of them were new.

        `source`: the path of a file (PEM, or one CRL in DER) or of a folder in OpenSSL's hashed layout
        (``9d66eef0.r0``); PEM or DER bytes; `cryptography` CRLs, one or several. Paths are told from bytes as
        by `load_cert_chain`. A CRL replaces an older one of the same issuer, key and distribution point: by
        CRL number, else by thisUpdate; `allow_older` lets it replace a newer one. A CRL that no known
        certificate signed, because the peer sends its issuer's certificate, replaces none: it is kept beside
        the others, eight at most, and the peer's chain verifies it. A CRL with a distribution point covers
        the certificates that name this point.

        CRLs are used where `verify_flags` contain VERIFY_CRL_CHECK_LEAF or _CHAIN.

        Raises OSError for what cannot be read; ssl.SSLError for what is not a CRL, for delta CRLs, indirect
        CRLs and CRLs for some reasons only, and for a CRL whose issuer is in the trust set and did not sign
        it; TypeError for a source of another type. Nothing is added then.
        """
        from veritls._loading.crls import in_source

        place = None
        if isinstance(source, str | bytes | os.PathLike) and not is_content(source):
            source = place = os.fsdecode(source)
        found = list(in_source(source))
        added = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal added
            store, added = store.plus_crls(found, older=allow_older)
            return store.remembering(place) if place is not None else store

        self._change_trust(change, "crls")
        return added

    def reload_crls(self) -> int:
        """Reads again the files and folders that CRLs were loaded from; returns how many CRLs were new.

        CRLs of `load_verify_locations` are included. A CRL whose file was removed stays until a newer one
        replaces it. Raises OSError and ssl.SSLError as `load_crls`, and changes nothing then. Where nothing
        is new, sessions stay valid.
        """
        found = list(self._trust.crls.reread())
        added = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal added
            store, added = store.plus_crls(found)
            return store

        self._change_trust(change, "crls")
        return added

    def list_trust(self) -> list[TrustEntry]:
        """Every certificate and CRL that was loaded, with its kind and source."""
        return self._trust.entries(partial_chain=self._partial_chain)

    def cert_store_stats(self) -> dict[str, int]:
        """The numbers of certificates ("x509"), of CA certificates ("x509_ca") and of CRLs ("crl")."""
        return self._trust.statistics()

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted CA certificates: DER bytes where `binary_form`, else dicts as of `getpeercert`."""
        certificates = self._trust.ca_certificates()
        if binary_form:
            return certificates
        from veritls._loading.certificates import decoded

        return [decoded(der) for der in certificates]
