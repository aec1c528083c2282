"""Sources, listeners and folders for tests of what renews itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.certificates import Party
from tests.support.connections import SECONDS
from veritls.events import Event, MaterialEvent
from veritls.sources import Identity, Kind, Material

CA = Party("Root", ca=True)
OTHER_CA = Party("Other root", ca=True)


def own(issuer: Party = CA, *names: Any, **options: Any) -> tuple[Identity, str]:
    """A new identity, and the serial number as `getpeercert` shows it."""
    party = issuer.issue(*(names or ("localhost",)), **options)
    serial = f"{party.certificate.serial_number:X}"
    return Identity(party.pem, party.key_pem), serial.zfill(len(serial) + len(serial) % 2)


class Memory:
    """A source whose next answer the test gives: a Material, or what is raised."""

    name = "memory"

    def __init__(self, *provides: Kind, **first: Any) -> None:
        self.provides: Any = frozenset(provides)
        self._answer: Any = Material(**first)
        self._news = threading.Event()
        self.loads: list[int] = []
        """The threads that loaded."""
        self.inside = 0
        self.most_inside = 0

    def put(self, answer: Any = None, **material: Any) -> None:
        self._answer = Material(**material) if answer is None else answer
        self._news.set()

    def load(self) -> Material:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            self.loads.append(threading.get_ident())
            answer = self._answer
            if callable(answer):
                answer = answer()
            if isinstance(answer, BaseException):
                raise answer
            given: Material = answer
            return given
        finally:
            self.inside -= 1

    def wait(self, stop: threading.Event, timeout: float) -> None:
        until = time.monotonic() + timeout
        while not stop.is_set() and time.monotonic() < until:
            if self._news.wait(0.01):
                self._news.clear()
                return


class Told:
    """A listener that keeps what it hears of material."""

    def __init__(self) -> None:
        self.events: list[MaterialEvent] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        if isinstance(event, MaterialEvent):
            with self._changed:
                self.events.append(event)
                self._changed.notify_all()

    def wait(self, fits: Callable[[MaterialEvent], bool], seconds: float = 2 * SECONDS) -> MaterialEvent:
        """The first event that fits, and that nobody has waited for yet."""
        found: list[MaterialEvent] = []

        def there() -> bool:
            for place, event in enumerate(self.events):
                if fits(event):
                    found.append(event)
                    del self.events[: place + 1]
                    return True
            return False

        with self._changed:
            assert self._changed.wait_for(there, seconds), self.events
        return found[0]

    def outcome(self, outcome: str, seconds: float = 2 * SECONDS) -> MaterialEvent:
        return self.wait(lambda event: event.outcome == outcome, seconds)


def watchers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("veritls watcher")]


def until(fits: Callable[[], bool]) -> None:
    """Returns once something holds that nobody tells of."""
    end = time.monotonic() + 2 * SECONDS
    while not fits():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def followed(context: Any, source: Any, **options: Any) -> Iterator[Told]:
    """Follows, with a listener, and ends it."""
    told = Told()
    context.on_material(told)
    context.follow(source, **options)
    try:
        yield told
    finally:
        context.follow(None)


class Mount:
    """A folder as Kubernetes mounts a secret: links to ``..data``, which is a link to the version in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0
        self.old: list[Path] = []

    def put(self, **files: bytes) -> None:
        """The next version, swapped in by a rename; the former folder stays until `clean`."""
        self._versions += 1
        version = self.folder / f"..version_{self._versions}"
        version.mkdir()
        for name, data in files.items():
            (version / name.replace("_", ".")).write_bytes(data)
        link = self.folder / "..data_tmp"
        link.symlink_to(version.name)
        data_link = self.folder / "..data"
        if data_link.is_symlink():
            self.old.append(self.folder / os.readlink(data_link))
        link.rename(data_link)
        for name in files:
            path = self.folder / name.replace("_", ".")
            if not path.is_symlink():
                path.symlink_to(f"..data/{path.name}")

    def clean(self) -> None:
        """Deletes the former folders, as the kubelet does a while later."""
        for folder in self.old:
            for each in folder.iterdir():
                each.unlink()
            folder.rmdir()
        self.old.clear()

    def put_identity(self, party: Party, *more: Party, **others: bytes) -> str:
        """The files tls.crt and tls.key of `party`; its serial number as `getpeercert` shows it."""
        chain = b"".join(each.pem for each in (party, *more))
        self.put(tls_crt=chain, tls_key=party.key_pem, **others)
        return serial_of(party)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def serial_of(party: Party) -> str:
    digits = f"{party.certificate.serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)
