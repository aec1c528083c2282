"""The settings of a context about revocation."""

from __future__ import annotations

import os
from typing import Literal

from veritls.lists import ListSource, in_source
from veritls.pem import is_content
from veritls.verification import Verification

UnknownStatus = Literal["refuse", "accept"]


class Revocation(Verification):
    """The base of SSLContext that knows revocation lists. A change holds for connections made after it."""

    @property
    def unknown_revocation_status(self) -> UnknownStatus:
        """What becomes of a certificate for which no revocation list is loaded, where `verify_flags` ask.

        "refuse", as in `ssl`, or "accept". Either way a list that is out of date or signed by somebody else
        is a refusal. Raises ValueError for anything else.
        """
        return self._unknown_status

    @unknown_revocation_status.setter
    def unknown_revocation_status(self, value: UnknownStatus) -> None:
        if value not in ("refuse", "accept"):
            raise ValueError(f'unknown_revocation_status is "refuse" or "accept", not {value!r}')
        with self._lock:
            self._unknown_status = value
            self._changed()

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
        with self._lock:
            taken = self._trust.add_lists(in_source(source), older=allow_older)
            if isinstance(source, str | bytes | os.PathLike) and not is_content(source):
                self._trust.lists = self._trust.lists.remembering(source)
            if taken:
                self._changed()
            return taken

    def reload_crls(self) -> int:
        """Reads again the files and folders that revocation lists came from; returns how many were new.

        Those that came by `load_verify_locations` too. A list that is not there any more stays until a newer
        one replaces it. Raises as `load_crls`, and changes nothing then. Where nothing is new, sessions stay
        good.
        """
        with self._lock:
            taken = self._trust.add_lists(self._trust.lists.again())
            if taken:
                self._changed()
            return taken
