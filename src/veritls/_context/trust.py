"""SSLContext's members about what it trusts."""

from __future__ import annotations

import os
import ssl

from veritls._loading.pem import is_content
from veritls._loading.trust import in_data, in_file, in_folder, in_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from _typeshed import ReadableBuffer

    from veritls._context.trust_entries import TrustEntry
    from veritls._context.trust_store import TrustStore
    from veritls._loading.crls import CRLSource
    from veritls._loading.pem import StrPath
    from veritls._loading.trust import Batch, TrustData
    from veritls.events.material import Kind


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
