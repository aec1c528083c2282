"""BoringSSL, through utls, which has the interface of `ssl`."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import Any

from tests.peers.cases import VERSIONS
from tests.peers.peer import Cannot
from tests.peers.stdlib import Stdlib


class BoringSSL(Stdlib):
    name = "boringssl (utls)"
    version_command = (sys.executable, "-c", "import utls; print(utls.__version__)")
    cannot_resume = (Cannot("client", {"version": VERSIONS[1]}, "utls shows no ticket of TLS 1.3"),)

    def module(self) -> Any:
        return importlib.import_module("utls")

    def missing(self) -> str | None:
        return None if find_spec("utls") else "utls"
