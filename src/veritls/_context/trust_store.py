"""What a context trusts, as one immutable value: anchors, a bundle map, intermediates, CRLs."""

from __future__ import annotations

from types import MappingProxyType

from veritls import _engine
from veritls._loading.trust import trust_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    from veritls._context.trust_entries import TrustEntry
    from veritls._loading.crls import CRLStore, Found
    from veritls._loading.pem import StrPath
    from veritls._loading.trust import Batch

    Certificates: TypeAlias = Mapping[bytes, str]
    """DER -> source."""
    Bundles: TypeAlias = Mapping[str, Certificates]
    """SPIFFE trust domain -> its trust anchors."""

_NONE: Certificates = MappingProxyType({})
_LONGEST_PATH = 10
_MOST_UNREAD = 4
"""Certificates or files that could not be read, of which an error tells."""
MOST_INTERMEDIATES = 10_000
"""Certificates of `load_intermediates` in one context."""


def _signed(issuer: bytes, subject: bytes) -> bool:
    if _engine.is_signed_by(subject, issuer):
        return True
    from veritls._loading.signatures import is_signed_by

    return is_signed_by(subject, issuer)


class TrustStore:
    """The certificates that a context trusts, those that help to build paths, and its CRLs.

    Never changed: the methods give the next one. `TrustStore()` is empty; `with_trust`, `with_bundles`,
    `with_intermediates` and `with_crls` replace one kind whole, `plus...` add to it, `without` removes.

    A self-issued certificate ends a path and is trusted by itself (`CA:TRUE` or not). Any other may stand
    within a path; with ``VERIFY_X509_PARTIAL_CHAIN`` it ends one too. With a bundle map no such certificate
    counts: the anchors of a peer are those of the trust domain of its SPIFFE ID. An intermediate never ends
    a path. The engine's form is made once.
    """

    def __init__(
        self,
        certificates: Certificates = _NONE,
        crls: CRLStore | None = None,
        on_request: frozenset[bytes] = frozenset(),
        unread: tuple[str, ...] = (),
        intermediates: Certificates = _NONE,
        bundles: Bundles | None = None,
    ) -> None:
        """`on_request`: the certificates that are not listed until used.

        `unread`: the system's certificates that could not be read, in words, for the errors that follow.
        """
        self._certificates = certificates
        self._crls = crls
        self._on_request = on_request
        self._unread = unread
        self._intermediates = intermediates
        self._bundles = bundles
        self._frozen: dict[bool, _engine.TrustSet] = {}
        self._subjects: dict[bytes, list[bytes]] | None = None

    def _replaced(self, **changes: Any) -> TrustStore:
        parts: dict[str, Any] = {
            "certificates": self._certificates,
            "crls": self._crls,
            "on_request": self._hidden(),
            "unread": self._unread,
            "intermediates": self._intermediates,
            "bundles": self._bundles,
        }
        return TrustStore(**(parts | changes))

    @property
    def crls(self) -> CRLStore:
        """The CRLs; empty where none was loaded."""
        if self._crls is not None:
            return self._crls
        from veritls._loading.crls import CRLStore

        return CRLStore()

    @property
    def bundles(self) -> Bundles | None:
        """The bundle map; None where there is none."""
        return self._bundles

    @property
    def intermediates(self) -> Certificates:
        """The certificates that help to build paths and are never trusted themselves."""
        return self._intermediates

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
        store = self._replaced(
            certificates=certificates, on_request=frozenset(hidden), unread=tuple(unread)[:_MOST_UNREAD]
        )
        for batch in batches:
            if batch.crls:
                from veritls._loading.crls import read

                crls = [read(der, batch.source) for der in batch.crls]
                store, _ = store.plus_crls(crls, foreign=True)
            if batch.place is not None:
                store = store.remembering(batch.place)
        return store

    def with_trust(self, batches: Sequence[Batch]) -> TrustStore:
        """With the certificates in the batches instead of all others that were trusted, and no bundle map.

        CRLs in the batches are added. The other CRLs and the intermediates stay: neither is trusted.
        """
        emptied = self._replaced(certificates=_NONE, on_request=frozenset(), unread=(), bundles=None)
        return emptied.plus(batches)

    def with_bundles(self, bundles: Bundles | None) -> TrustStore:
        """With a bundle map, of `as_bundles`; None removes it, and the other anchors count again."""
        return self if bundles == self._bundles else self._replaced(bundles=bundles)

    def plus_intermediates(self, found: Certificates) -> tuple[TrustStore, int]:
        """With more intermediates, and how many of them were new.

        Raises ValueError where there are more than `MOST_INTERMEDIATES` then.
        """
        together = {
            **self._intermediates,
            **{der: found[der] for der in found if der not in self._intermediates},
        }
        added = len(together) - len(self._intermediates)
        if len(together) > MOST_INTERMEDIATES:
            raise ValueError(f"a context takes {MOST_INTERMEDIATES} intermediates at most")
        return (self._replaced(intermediates=together) if added else self), added

    def with_intermediates(self, found: Certificates) -> TrustStore:
        """With these certificates instead of all other intermediates. Raises as `plus_intermediates`."""
        return self._replaced(intermediates=_NONE).plus_intermediates(found)[0]

    def without(self, certificates: Collection[bytes]) -> tuple[TrustStore, int]:
        """Without these certificates (DER), wherever they stand, and how many of them were there.

        A trust domain of whose bundle nothing is left goes with it; the map stays, even if it is empty.
        """
        known = {*self._certificates, *self._intermediates}
        known.update(der for bundle in (self._bundles or {}).values() for der in bundle)
        gone = known & set(certificates)
        if not gone:
            return self, 0

        def rest(those: Certificates) -> Certificates:
            return {der: source for der, source in those.items() if der not in gone}

        bundles = self._bundles
        if bundles is not None:
            smaller = {domain: rest(bundle) for domain, bundle in bundles.items()}
            bundles = {domain: bundle for domain, bundle in smaller.items() if bundle}
        store = self._replaced(
            certificates=rest(self._certificates),
            on_request=self._hidden() - gone,
            intermediates=rest(self._intermediates),
            bundles=bundles,
        )
        return store, len(gone)

    def after(self, first: TrustStore) -> TrustStore:
        """The trust of a connection that began under `first` and goes on under this one.

        This one's, but a bundle map is not left behind: where both have one, for the trust domains of both;
        where only `first` has one, `first` stays, with the CRLs of both.
        """
        mine, theirs = self._bundles, first.bundles
        if theirs is None:
            return self
        if mine is None:
            if not self.crls:
                return first
            from veritls._loading.crls import Found

            return first.plus_crls([Found(*each) for each in self.crls], foreign=True)[0]
        shared = {domain: bundle for domain, bundle in mine.items() if domain in theirs}
        return self.with_bundles(shared)

    def plus_crls(
        self, found: Iterable[Found], *, foreign: bool = False, older: bool = False
    ) -> tuple[TrustStore, int]:
        """With the CRLs, added by `CRLStore.add`, and how many of them were new."""
        crls, added = self.crls.add(
            found, lambda name: self._by_subject().get(name, ()), foreign=foreign, older=older
        )
        return self._replaced(crls=crls) if added else self, added

    def with_crls(self, found: Iterable[Found]) -> TrustStore:
        """With these CRLs instead of all others; nothing is read again by `reload_crls` then.

        Raises ssl.SSLError for a CRL whose issuer is here and did not sign it: replace the trust first.
        """
        return self._replaced(crls=None).plus_crls(found)[0]

    def with_newer_crls(self, former: TrustStore) -> TrustStore:
        """With those CRLs of `former` that are newer than what is here of the same issuer, key and point."""
        crls = self.crls.with_newer(former.crls, lambda name: self._by_subject().get(name, ()))
        return self if crls is self.crls else self._replaced(crls=crls)

    def remembering(self, place: StrPath) -> TrustStore:
        """With a file or folder that CRLs are read from again."""
        return self._replaced(crls=self.crls.remembering(place))

    def _hidden(self) -> frozenset[bytes]:
        if not self._on_request:
            return self._on_request
        used = {der for frozen in self._frozen.values() for der in frozen.used()}
        return self._on_request - used

    def _trusted(self) -> Certificates:
        """The certificates that count: the anchors of the bundle map where there is one."""
        if self._bundles is None:
            return self._certificates
        return {der: source for bundle in self._bundles.values() for der, source in bundle.items()}

    @property
    def count(self) -> int:
        """How many certificates are loaded as trusted, whether or not they count."""
        bundled = (der for bundle in (self._bundles or {}).values() for der in bundle)
        return len({*self._certificates, *bundled})

    def _listed(self) -> list[bytes]:
        hidden = self._hidden() if self._bundles is None else frozenset()
        return [der for der in self._trusted() if der not in hidden]

    def ca_certificates(self) -> list[bytes]:
        """The trusted CA certificates, DER, in the order in which they were loaded."""
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
            for der in {**self._trusted(), **self._intermediates}:
                subjects.setdefault(_engine.names(der)[0], []).append(der)
            self._subjects = subjects
        return subjects

    def frozen(self, *, partial_chain: bool) -> _engine.TrustSet:
        """The engine's form."""
        kept = self._frozen.get(partial_chain)
        if kept is None:
            certificates = tuple(self._certificates)
            crls = self._crls.engines() if self._crls is not None else []
            helping = tuple(self._intermediates)
            if self._bundles is not None:
                bundles = {domain: tuple(bundle) for domain, bundle in self._bundles.items()}
                made = _engine.TrustSet((), crls, partial_chain, (), helping, bundles)
            elif crls or helping:
                made = _engine.TrustSet(certificates, crls, partial_chain, self._unread, helping)
            else:
                made = trust_set(certificates, partial_chain, self._unread)
                made = made.fresh() if self._on_request else made
            kept = self._frozen.setdefault(partial_chain, made)
        return kept

    def has_anchors(self, partial_chain: bool) -> bool:
        """Whether a path can end here."""
        return any(entry.kind == "anchor" for entry in self.entries(partial_chain=partial_chain))

    def entries(self, *, partial_chain: bool) -> list[TrustEntry]:
        """Every certificate, then every CRL, in the order in which they were loaded."""
        from veritls._context.trust_entries import entries_of

        return entries_of(
            self._certificates, self._bundles, self._intermediates, self.crls, partial_chain=partial_chain
        )
