"""The sdists with the tests, and an environment with the libraries that they test. Both below build/suites.

The environment is not the one that runs this: what the suites need would change what our own tests see. Of
veritls it has a link to the package that is imported here, so that it is tested as it is built.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import veritls
from tests.suites.libraries import Library

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = ROOT / "build" / "suites"
SDISTS = HERE / "sdists.txt"
REQUIREMENTS = HERE / "requirements.txt"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class NotFetched(RuntimeError):
    """pip could not bring the sdists or the libraries. The message is what it said."""


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise NotFetched(f"{' '.join(command)}: {(done.stderr or done.stdout)[-2000:]}")


def _made(folder: Path, stamp: str) -> bool:
    """Whether `folder` was finished from just these files; where not, it is gone."""
    note = folder / "made-from"
    if note.exists() and note.read_text() == stamp:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def environment() -> Path:
    """The interpreter with the libraries, of the version that runs this. Raises NotFetched."""
    where = FOLDER / f"venv-{VERSION}"
    python = where / "bin" / "python"
    stamp = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not _made(where, stamp):
        _run([sys.executable, "-m", "venv", str(where)])
        _run(
            [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "-r", str(REQUIREMENTS)]
        )
        (where / "made-from").write_text(stamp)
    packages = where / "lib" / f"python{VERSION}" / "site-packages"
    for name, target in {
        "veritls": Path(veritls.__file__).parent,
        "veritls_suites_recorder.py": HERE / "recorder.py",
    }.items():
        (packages / name).unlink(missing_ok=True)
        (packages / name).symlink_to(target)
    return python


def sdist(library: Library, python: Path) -> Path | None:
    """The library's sdist, as its hash says; None where its wheel has the tests. Raises NotFetched."""
    if not library.kept:
        return None
    [line] = [line for line in SDISTS.read_text().splitlines() if line.startswith(f"{library.package}==")]
    where = FOLDER / "sdists" / library.package
    if not _made(where, line):
        where.mkdir(parents=True)
        wanted = where / "requirements.txt"
        wanted.write_text(line)
        command = [
            str(python),
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--no-binary",
            library.package,
        ]
        _run([*command, "--require-hashes", "-r", str(wanted), "-d", str(where)])
        (where / "made-from").write_text(line)
    [archive] = where.glob("*.tar.gz")
    return archive


def unpacked(library: Library, archive: Path | None, module: str) -> Path:
    """A fresh folder with what the library's tests are run from."""
    part = re.sub(r"\W+", "-", library.name)
    where = FOLDER / "tests" / f"{part}-{module}"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    if archive is not None:
        with tarfile.open(archive) as content:
            for member in content.getmembers():
                _, _, name = member.name.partition("/")
                if name.split("/")[0] in library.kept:
                    content.extract(member.replace(name=name), where, filter="data")
    for file, old, new in library.changed:
        text = (where / file).read_text("utf-8")
        assert text.count(old) == 1, f"{library.name}: {file} is not what libraries.py changes"
        (where / file).write_text(text.replace(old, new), "utf-8")
    return where
