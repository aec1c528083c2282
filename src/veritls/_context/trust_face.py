"""SSLContext's members about whom to trust: certificates and CRLs."""

from __future__ import annotations

import os
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from veritls._context import trust
from veritls._context.face import Face
from veritls._context.settings import Settings
from veritls._context.trust import Batch, TrustData, TrustEntry
from veritls._loading.certificates import decoded
from veritls._loading.crls import ListSource, in_source
from veritls._loading.pem import StrPath, is_content

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class TrustFace(Face):
    """A part of SSLContext. A change holds for connections made after it."""

    def _trust_also(self, batches: list[Batch]) -> None:
        self._change(lambda settings: replace(settings, trust=settings.trust.plus(batches)))

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
            batches += trust.in_data(cadata)
        if cafile is not None:
            batches += trust.in_file(cafile)
        if capath is not None:
            batches += trust.in_folder(capath)
        self._trust_also(batches)

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Adds what the operating system trusts; SSL_CERT_FILE and SSL_CERT_DIR are honoured."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        self._trust_also(trust.in_system())

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

        def change(settings: Settings) -> Settings:
            nonlocal taken
            store, taken = settings.trust.plus_lists(found, older=allow_older)
            if place is not None:
                store = store.remembering(place)
            return replace(settings, trust=store)

        self._change(change)
        return taken

    def reload_crls(self) -> int:
        """Reads again the files and folders that revocation lists came from; returns how many were new.

        Those that came by `load_verify_locations` too. A list that is not there any more stays until a newer
        one replaces it. Raises as `load_crls`, and changes nothing then. Where nothing is new, sessions stay
        good.
        """
        found = list(self._settings.trust.lists.again())
        taken = 0

        def change(settings: Settings) -> Settings:
            nonlocal taken
            store, taken = settings.trust.plus_lists(found)
            return replace(settings, trust=store) if taken else settings

        self._change(change)
        return taken

    def list_trust(self) -> list[TrustEntry]:
        """All that was loaded: certificates and revocation lists, their kinds and where they came from."""
        settings = self._settings
        return settings.trust.entries(partial_chain=settings.peer.partial_chain)

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates ("x509"), of them authorities' ("x509_ca"), and revocation lists ("crl")."""
        return self._settings.trust.statistics()

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """The trusted authorities, DER where `binary_form`, else decoded as by `getpeercert`."""
        certificates = self._settings.trust.authorities()
        return certificates if binary_form else [decoded(der) for der in certificates]
