"""What the figures were taken on."""

import functools
import os
import platform
import re
from pathlib import Path

from bench import servers
from bench.contestants import versions


def _found(pattern: str, path: Path) -> str | None:
    try:
        match = re.search(pattern, path.read_text(), re.MULTILINE)
    except OSError:
        return None
    return match[1] if match else None


def engine_version(crate: str, lock: Path | None = None) -> str:
    """The version of a crate in the engine's (or another) lock file."""
    lock = lock or Path(__file__).parent.parent / "engine" / "Cargo.lock"
    return _found(rf'^name = "{crate}"\nversion = "(.+)"$', lock) or "unknown"


@functools.cache
def _steady() -> dict[str, str]:
    memory = _found(r"^MemTotal:\s*(\d+) kB$", Path("/proc/meminfo"))
    return {
        "processor": _found(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo")) or platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory) / 2**20:.0f} GiB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "rustls": f"{engine_version('rustls')} (aws-lc-rs {engine_version('aws-lc-rs')})",
        **versions(),
        **servers.versions(),
    }


def describe() -> dict[str, str]:
    """Machine, versions, and the load of the last minute."""
    return _steady() | {"load": f"{os.getloadavg()[0]:.1f}"}
