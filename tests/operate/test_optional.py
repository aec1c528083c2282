"""What is optional is imported where it is asked for, and says what to install where it is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

OPTIONAL = {"prometheus": ("prometheus_client", "metrics"), "opentelemetry": ("opentelemetry", "otel")}


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.parametrize("module", OPTIONAL)
def test_without_its_package_a_module_names_the_extra_that_brings_it(module: str) -> None:
    package, extra = OPTIONAL[module]
    said = run(f"import sys; sys.modules[{package!r}] = None; import veritls.events.{module}")
    assert said.splitlines()[-1].startswith("ImportError: ")
    assert said.rstrip().endswith(f"pip install 'veritls[{extra}]'")


def test_events_import_none_of_them() -> None:
    packages = {package for package, _ in OPTIONAL.values()}
    said = run(f"import sys, veritls.events, veritls.sources; print({packages!r} & set(sys.modules))")
    assert said == "set()\n"
