"""The example of a fleet: started as its first lines say."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.ecosystem.daemons import program
from tests.ecosystem.parties import library
from tests.operate.processes import ROOT


def test_workers_of_two_hosts_resume_each_others_sessions_and_redis_has_salts() -> None:
    for name in ("uvicorn", "redis"):
        library(name)
    program("redis-server")
    command = [sys.executable, "examples/fleet_with_redis.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=True)
    found = re.search(r"^(\d+) of (\d+) sessions were resumed", done.stdout, re.M)
    assert found, done.stdout
    resumed, asked = map(int, found.groups())
    assert resumed == asked >= 10
    assert len(re.findall(r": veritls:tickets:7200:\d+, a salt of 32 bytes$", done.stdout, re.M)) == 2
