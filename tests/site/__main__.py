"""Builds the documentation site into build/site, or serves it while its sources change."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from tests.site.building import WORK, build, prepare
from tests.site.staging import ROOT


def serve(address: str) -> int:
    """Serve the site, and make it anew when docs/ or src/ changes, until interrupted."""
    from watchfiles import watch

    config, _ = prepare()
    command = [sys.executable, "-m", "zensical", "serve", "-f", str(config), "-a", address]
    with subprocess.Popen(command, cwd=ROOT) as server:
        try:
            for _ in watch(ROOT / "docs", ROOT / "src", ROOT / "tests/site"):
                try:
                    prepare()
                except Exception as why:  # of a file that is being written: the next change may mend it
                    print(f"The site is as it was: {why}", file=sys.stderr)
        except KeyboardInterrupt:
            pass
        finally:
            server.terminate()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.site", description=__doc__)
    does = parser.add_subparsers(dest="does", required=True)
    does.add_parser("build", help="build it: a broken link, a broken anchor or a warning is an error")
    serving = does.add_parser("serve", help="serve it, and follow its sources")
    serving.add_argument("--address", default="127.0.0.1:8000")
    given = parser.parse_args(arguments)
    if given.does == "serve":
        return serve(given.address)
    faults = build()
    print(faults or f"{WORK}/html/index.html")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
