"""SSLContext's members about what it trusts."""

from __future__ import annotations

import os
import ssl
from types import MappingProxyType

from veritls._loading.pem import is_content
from veritls._loading.trust import in_data, in_file, in_folder, in_system
from veritls._value import shown_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal, overload

    from _typeshed import ReadableBuffer

    from veritls._context.trust_entries import TrustEntry
    from veritls._context.trust_store import TrustStore
    from veritls._loading.bundles import CertificateData, CertificateSource
    from veritls._loading.crls import CRLSource
    from veritls._loading.pem import StrPath
    from veritls._loading.trust import Batch, TrustData
    from veritls.events.material import Kind


def _kinds_in(batches: list[Batch]) -> tuple[Kind, ...]:
    crls = any(batch.crls or batch.place is not None for batch in batches)
    return ("trust", "crls") if crls else ("trust",)


@shown_in("veritls")
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
        self._change_trust(lambda store: store.plus(batches), *_kinds_in(batches))

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
        self._trust_also(self._batches(cafile, capath, cadata))

    @staticmethod
    def _batches(
        cafile: StrPath | None, capath: StrPath | None, cadata: str | ReadableBuffer | TrustData | None
    ) -> list[Batch]:
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
        return batches

    def replace_trust(
        self,
        cafile: StrPath | None = None,
        capath: StrPath | None = None,
        cadata: str | ReadableBuffer | TrustData | None = None,
    ) -> None:
        """Trusts these certificates instead of all others: old and new are never trusted together.

        Arguments and errors are those of `load_verify_locations`; nothing changes where it raises. Whatever
        `load_verify_locations` and `load_default_certs` loaded is replaced, and `spiffe_bundles` is None
        afterwards. CRLs and intermediates stay, because neither is trusted. Sessions of before are not
        resumed; connections that exist go on.
        """
        batches = self._batches(cafile, capath, cadata)
        self._change_trust(lambda store: store.with_trust(batches), *_kinds_in(batches))

    def clear_trust(self) -> int:
        """Trusts no certificate any more, and returns how many it were; `spiffe_bundles` is None afterwards.

        CRLs and intermediates stay. A peer whose certificate is verified is refused until others are loaded.
        """
        before = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal before
            before = store.count
            return store.with_trust(()) if before or store.bundles is not None else store

        self._change_trust(change, "trust")
        return before

    def remove_trust(self, certificates: CertificateSource) -> int:
        """Removes certificates that were loaded, and returns how many of them were there.

        `certificates`: the path of a file (PEM or DER), PEM text, PEM or DER bytes, `cryptography`
        certificates, or several of those.

        They are removed wherever they are: trust anchors, certificates of `spiffe_bundles`, intermediates. A
        trust domain whose last anchor is removed is not known any more; `spiffe_bundles` stays a mapping
        then, even if it is empty, and no other anchor counts.

        A certificate that is not an anchor, but was signed by one, is still trusted: CRLs revoke it. Sessions
        of before are not resumed; connections that exist go on. Raises OSError for a file that cannot be
        read, ssl.SSLError for what is not a certificate, ValueError where there is none, TypeError for other
        types. Nothing is removed then.
        """
        from veritls._loading.bundles import in_source

        gone = in_source(certificates, "certificates")
        removed = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal removed
            store, removed = store.without(gone)
            return store

        self._change_trust(change, "trust", "intermediates")
        return removed

    def load_intermediates(self, source: CertificateSource) -> int:
        """Adds certificates that help to build paths and are never trusted, and returns how many were new.

        `source`: the path of a file (PEM or DER), PEM text, PEM or DER bytes, `cryptography` certificates, or
        several of those. str is a path unless it contains ``-----BEGIN``; bytes are told from a path as by
        `load_cert_chain`. CRLs in `source` are ignored.

        They count as if each peer had sent them after its own: none ends a path, whether self-signed or under
        VERIFY_X509_PARTIAL_CHAIN, and none is trusted by itself. A certificate that is a trust anchor, too,
        stays one. An own certificate that was loaded alone is sent with them, as with those of the trust set.

        Raises OSError for a file that cannot be read; ssl.SSLError for what is not a certificate; ValueError
        where there is none, and for more than 10,000 in one context; TypeError for other types. Nothing is
        added then. A peer for whose path more than 64 certificates come into question is refused where none
        of the first 64 leads to an anchor.
        """
        from veritls._loading.bundles import in_source

        found = in_source(source, "load_intermediates")
        added = 0

        def change(store: TrustStore) -> TrustStore:
            nonlocal added
            store, added = store.plus_intermediates(found)
            return store

        self._change_trust(change, "intermediates")
        return added

    @property
    def spiffe_bundles(self) -> Mapping[str, tuple[bytes, ...]] | None:
        """Trust anchors by SPIFFE trust domain: each vouches for IDs of its own domain only. Default None.

        While it is set, no other anchor counts, and a peer's certificate is verified with the anchors of the
        trust domain of its SPIFFE ID. It is refused where it has no URI, more than one, or one that is not a
        SPIFFE ID with a path; where it may sign certificates or CRLs (X509-SVID, section 5.2); and where its
        trust domain has no bundle. `load_intermediates` and CRLs are for all domains.

        A client needs `allowed_peers` and `check_hostname` False: otherwise any workload of a domain could
        impersonate the server. Setting it on a PROTOCOL_TLS_CLIENT context raises ValueError without them,
        and so does a change that takes them away; with PROTOCOL_TLS, making a client's connection does. A
        server requests certificates as its `verify_mode` says. Where `sni_callback` chooses another context,
        the trust domains of both count, with the second's anchors; if the second has no bundles, the first's.

        Set it to a mapping of trust domains (``example.org``, as in ``spiffe://example.org/``) to PEM text,
        PEM or DER bytes, `cryptography` certificates, or several of those; None removes it. Read, it contains
        DER. Raises TypeError for other types; ValueError for an empty mapping or bundle, for what is not a
        trust domain, for a certificate that is not a CA's, for more than 1,000 domains or 10,000
        certificates; ssl.SSLError for what is not a certificate.
        """
        bundles = self._trust.bundles
        if bundles is None:
            return None
        return MappingProxyType({domain: tuple(bundle) for domain, bundle in bundles.items()})

    @spiffe_bundles.setter
    def spiffe_bundles(self, value: Mapping[str, CertificateData] | None) -> None:
        from veritls._loading.bundles import as_bundles

        bundles = None if value is None else as_bundles(value, "spiffe_bundles")
        self._change_trust(lambda store: store.with_bundles(bundles), "trust")

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
        by `load_cert_chain`. `allow_older`: whether a CRL may replace a newer one; default False.

        A CRL replaces an older one of the same issuer, key and distribution point: by CRL number, else by
        thisUpdate. A CRL that no known certificate signed, because the peer sends its issuer's certificate,
        replaces none: it is kept beside the others, eight at most, and the peer's chain verifies it. A CRL
        with a distribution point covers the certificates that name this point.

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

    if TYPE_CHECKING:

        @overload
        def get_ca_certs(self, binary_form: Literal[False] = False) -> list[dict[str, Any]]: ...
        @overload
        def get_ca_certs(self, binary_form: Literal[True]) -> list[bytes]: ...
        @overload
        def get_ca_certs(self, binary_form: bool) -> Any: ...

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted CA certificates: DER bytes where `binary_form`, else dicts as of `getpeercert`."""
        certificates = self._trust.ca_certificates()
        if binary_form:
            return certificates
        from veritls._loading.certificates import decoded

        return [decoded(der) for der in certificates]
