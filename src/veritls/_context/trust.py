"""Whom a context trusts: certificates and CRLs, and SSLContext's members about them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from veritls import _engine
from veritls._loading.certificates import decoded, described, name_text
from veritls._loading.crls import Found, ListSource, RevocationLists, in_source, read
from veritls._loading.pem import StrPath, is_content
from veritls._loading.trust import Batch, TrustData, in_data, in_file, in_folder, in_system
from veritls._report.parsed_certificate import readable
from veritls._report.rendering import moment_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_LONGEST_PATH = 10
_MOST_UNREAD = 4
"""Of what could not be read, how much is told."""


def _signed(issuer: bytes, subject: bytes) -> bool:
    try:
        below = readable(subject)
        below.verify_directly_issued_by(readable(issuer))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


@dataclass(frozen=True)
class TrustEntry:
    """Something that a context's trust is made of.

    `kind`: "anchor" ends a path and is trusted by itself, "intermediate" may stand within one, "crl" is a
    revocation list. `name`: the subject, or a list's issuer (RFC 4514), empty where there is none.
    `expires`: notAfter or nextUpdate, None where it cannot be told. `source`: the file, "cadata", "memory"
    or "the system".
    """

    kind: Literal["anchor", "intermediate", "crl"]
    name: str
    expires: datetime | None
    source: str
    der: bytes = field(repr=False)


class TrustStore:
    """The certificates that a context trusts, and its CRLs. Never changed: `plus` gives the next one.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other helps to
    build paths; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. What the engine needs is made once.
    """

    def __init__(
        self,
        certificates: Mapping[bytes, str] = MappingProxyType({}),
        lists: RevocationLists | None = None,
        on_request: frozenset[bytes] = frozenset(),
        unread: tuple[str, ...] = (),
    ) -> None:
        """`certificates`: DER, and where each is from. `on_request`: those that are not listed until used.

        `unread`: what could not be read of the system's trust, which an error that follows from it tells.
        """
        self._certificates = certificates
        self.lists = lists if lists is not None else RevocationLists()
        self._on_request = on_request
        self._unread = unread
        self._frozen: dict[bool, _engine.TrustSet] = {}
        self._subjects: dict[bytes, list[bytes]] | None = None

    def plus(self, batches: Sequence[Batch]) -> TrustStore:
        """With all that the batches hold."""
        certificates, hidden = dict(self._certificates), self._hidden()
        for batch in batches:
            fresh = set(batch.certificates) - certificates.keys()
            hidden = hidden | fresh if batch.on_request else hidden - set(batch.certificates)
            certificates |= {der: batch.source for der in batch.certificates if der in fresh}
        unread = dict.fromkeys((*self._unread, *(words for batch in batches for words in batch.unread)))
        store = TrustStore(certificates, self.lists, hidden, tuple(unread)[:_MOST_UNREAD])
        for batch in batches:
            if batch.crls:
                crls = [read(der, batch.source) for der in batch.crls]
                store, _ = store.plus_crls(crls, foreign=True)
            if batch.place is not None:
                store = store.remembering(batch.place)
        return store

    def plus_crls(
        self, found: Iterable[Found], *, foreign: bool = False, older: bool = False
    ) -> tuple[TrustStore, int]:
        """With the CRLs, as `RevocationLists.add` takes them, and how many of them were new."""
        lists, taken = self.lists.add(
            found, lambda name: self._by_subject().get(name, ()), foreign=foreign, older=older
        )
        return self._with_lists(lists) if taken else self, taken

    def remembering(self, place: StrPath) -> TrustStore:
        """With a file or folder that CRLs are read from again."""
        return self._with_lists(self.lists.remembering(place))

    def _with_lists(self, lists: RevocationLists) -> TrustStore:
        return TrustStore(self._certificates, lists, self._hidden(), self._unread)

    def _hidden(self) -> frozenset[bytes]:
        used = {der for frozen in self._frozen.values() for der in frozen.used()}
        return self._on_request - used

    def _listed(self) -> list[bytes]:
        hidden = self._hidden()
        return [der for der in self._certificates if der not in hidden]

    def authorities(self) -> list[bytes]:
        """Those that may sign others, DER, in the order in which they came."""
        return [der for der in self._listed() if _engine.is_authority(der)]

    def statistics(self) -> dict[str, int]:
        """The numbers of ``SSLContext.cert_store_stats()``."""
        return {"x509": len(self._listed()), "crl": len(self.lists), "x509_ca": len(self.authorities())}

    def path_above(self, der: bytes) -> list[bytes]:
        """The certificates here that lead from one up to its authority, as far as they are known, DER."""
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
        """The engine's form of it."""
        kept = self._frozen.get(partial_chain)
        if kept is None:
            certificates, crls = list(self._certificates), self.lists.engines()
            made = _engine.TrustSet(certificates, crls, partial_chain, self._unread)
            kept = self._frozen.setdefault(partial_chain, made)
        return kept

    def entries(self, *, partial_chain: bool) -> list[TrustEntry]:
        """Everything here, certificates first, in the order in which it came."""
        found = []
        for der, source in self._certificates.items():
            subject, issuer = _engine.names(der)
            kind: Literal["anchor", "intermediate"] = "anchor" if partial_chain or subject == issuer else "intermediate"
            found.append(TrustEntry(kind, *described(der), source, der))
        for each, source in self.lists:
            until = moment_of(each.period[1])
            found.append(TrustEntry("crl", name_text(each.issuer), until, source, each.der))
        return found


class TrustMembers:
    """SSLContext's members about trust. A change holds for connections made after it."""

    @property
    def _trust(self) -> TrustStore:
        raise NotImplementedError

    def _change_trust(self, change: Callable[[TrustStore], TrustStore]) -> None:
        raise NotImplementedError

    @property
    def _partial_chain(self) -> bool:
        raise NotImplementedError

    def _trust_also(self, batches: list[Batch]) -> None:
        self._change_trust(lambda store: store.plus(batches))

    def load_verify_locations(
        self,
        cafile: StrPath | None = None,
        capath: StrPath | None = None,
        cadata: str | ReadableBuffer | TrustData | None = None,
    ) -> None:
        """Adds trusted certificates: a PEM file, a folder in OpenSSL's hashed layout, PEM str or DER bytes.

        `cadata` may also be `cryptography` certificates and revocation lists, one or several.
        Raises TypeError if all are omitted, OSError for what cannot be read, ssl.SSLError (naming the file)
        or ValueError for what holds no usable certificate. Nothing is added then.
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
        """Adds what the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        self._trust_also(in_system())

    def set_default_verify_paths(self) -> None:
        """The same as `load_default_certs()`."""
        self.load_default_certs()

    def load_crls(self, source: ListSource, *, allow_older: bool = False) -> int:
        """Adds revocation lists (RFC 5280, section 5), and returns how many of them were new.

        `source`: the path of a file (PEM, or one list in DER) or of a folder in OpenSSL's hashed layout
        (``9d66eef0.r0``); PEM or DER bytes; `cryptography` lists, one or several. What is a path is as for
        `load_cert_chain`. A list takes the place of an earlier one of the same issuer, key and distribution
        point: the CRL number decides, or else thisUpdate; `allow_older` takes it whatever they say. One that
        no known certificate signed, as its issuer's comes from the peer, takes no place: it is kept beside
        the others, eight at most, and the peer's chain tells which of them count. A list with a distribution
        point is about certificates that name the point.

        They count where `verify_flags` hold VERIFY_CRL_CHECK_LEAF or _CHAIN, for connections made after this.

        Raises OSError for what cannot be read; ssl.SSLError for what is no list, for delta and indirect ones
        and those partitioned by reason, and for one whose issuer is in the trust set and did not sign it;
        TypeError for none of the above. All of them are taken then, or none.
        """
        place = None
        if isinstance(source, str | bytes | os.PathLike) and not is_content(source):
            source = place = os.fsdecode(source)
        found = list(in_source(source))
        taken = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal taken
            store, taken = store.plus_crls(found, older=allow_older)
            return store.remembering(place) if place is not None else store

        self._change_trust(change)
        return taken

    def reload_crls(self) -> int:
        """Reads again the files and folders that revocation lists came from; returns how many were new.

        Those that came by `load_verify_locations` too. A list that is not there any more stays until a newer
        one replaces it. Raises as `load_crls`, and changes nothing then. Where nothing is new, sessions stay
        good.
        """
        found = list(self._trust.lists.again())
        taken = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal taken
            store, taken = store.plus_crls(found)
            return store

        self._change_trust(change)
        return taken

    def list_trust(self) -> list[TrustEntry]:
        """All that was loaded: certificates and revocation lists, their kinds and where they came from."""
        return self._trust.entries(partial_chain=self._partial_chain)

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates ("x509"), of them authorities' ("x509_ca"), and revocation lists ("crl")."""
        return self._trust.statistics()

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted authorities, DER where `binary_form`, else decoded as by `getpeercert`."""
        certificates = self._trust.authorities()
        return certificates if binary_form else [decoded(der) for der in certificates]
