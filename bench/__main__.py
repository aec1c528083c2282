"""``python -m bench``: full handshakes per second, veritls beside `ssl`, turn by turn in one run."""

import argparse
import contextlib
import os
import platform
import re
import ssl
import statistics
import tempfile
from pathlib import Path

import veritls
from bench import certificates
from bench.handshakes import MODULES, pair

_CASES = {"without a client certificate": False, "with one, CERT_REQUIRED": True}


def _processor() -> str:
    with contextlib.suppress(OSError):
        if found := re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
            return found[1]
    return platform.processor() or platform.machine()


def _rustls() -> str:
    lock = Path(__file__).parent.parent / "engine" / "Cargo.lock"
    with contextlib.suppress(OSError):
        if found := re.search(r'^name = "rustls"\nversion = "(.+)"$', lock.read_text(), re.MULTILINE):
            return f"rustls {found[1]}"
    return "rustls"


def _around() -> str:
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{_processor()}, {os.cpu_count()} cores, load {load} at the start; {platform.system()}, "
        f"Python {platform.python_version()}\n"
        f"veritls {veritls.__version__} ({_rustls()}) beside ssl ({ssl.OPENSSL_VERSION})"
    )


def measure(seconds: float, rounds: int, tickets: bool) -> dict[str, dict[str, list[float]]]:
    """case -> module -> rates in handshakes per second, one a round; the modules take turns."""
    rates: dict[str, dict[str, list[float]]] = {case: {name: [] for name in MODULES} for case in _CASES}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        files = certificates.make(Path(folder))
        pairs = {
            (case, name): stack.enter_context(pair(name, files, mutual=mutual, tickets=tickets))
            for case, mutual in _CASES.items()
            for name in MODULES
        }
        for _ in range(rounds):
            for (case, name), each in pairs.items():
                rates[case][name].append(each.rate(seconds))
    return rates


def _print(rates: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'TLS 1.3 full handshakes/s':<32}{'ssl':>8}{'veritls':>10}{'ratio':>8}   spread of the ratio")
    for case, by_module in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(by_module["veritls"], by_module["ssl"], strict=True)]
        columns = "".join(
            f"{statistics.median(by_module[name]):>{width},.0f}"
            for name, width in (("ssl", 8), ("veritls", 10))
        )
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{case:<32}{columns}{statistics.median(ratios):>8.2f}   {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement (default: 1)")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each kind (default: 7)")
    parser.add_argument("--quick", action="store_true", help="a glance: 3 rounds of 0.2 seconds")
    parser.add_argument(
        "--no-tickets",
        action="store_true",
        help="no server sends session tickets (both send two by default)",
    )
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 0.2, 3
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds and --seconds must be more than 0")
    print(_around())
    print(
        f"{options.rounds} rounds of {options.seconds:g} s each, in turns; medians; P-256; loopback", end=""
    )
    print("; no session tickets" if options.no_tickets else "", flush=True)
    _print(measure(options.seconds, options.rounds, not options.no_tickets))


if __name__ == "__main__":
    main()
