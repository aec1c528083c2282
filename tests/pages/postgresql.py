"""The PostgreSQL of docs/howto/postgresql.md, with the files that the page shows."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ecosystem.daemons import START_SECONDS, program, unprivileged_folder
from tests.pages.blocks import Block
from tests.pages.story import Story


@contextmanager
def serving(story: Story, statements: Block) -> Iterator[None]:
    """A new cluster with the certificates and the configuration that are in the folder of the story."""
    binaries = os.pathsep.join(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    postgres, initdb = (program(name, binaries) for name in ("postgres", "initdb"))
    with unprivileged_folder() as (folder, owner):
        data = str(folder / "data")
        options = [
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--wal-segsize=1",
        ]
        run: Any = {
            "check": True,
            "timeout": START_SECONDS,
            "cwd": folder,
            "stdout": subprocess.DEVNULL,
            **owner,
        }
        subprocess.run([initdb, "-D", data, *options], **run)
        single = [postgres, "--single", "-D", data, "postgres"]
        subprocess.run(single, input=statements.text.encode(), **run)
        for name in ("ca.pem", "server.pem", "server.key", "pg_hba.conf", "postgresql.conf"):
            shutil.copy(story.use(name), Path(data, name))
            shutil.chown(Path(data, name), folder.owner())
        Path(data, "server.key").chmod(0o600)
        settings = ["-c", f"port={story.port(5432)}", "-c", f"unix_socket_directories={folder}"]
        settings += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with subprocess.Popen(
            [postgres, "-D", data, *settings], stderr=subprocess.PIPE, text=True, cwd=folder, **owner
        ) as server:
            try:
                assert server.stderr is not None
                said = []
                for line in server.stderr:
                    said.append(line)
                    if "ready to accept connections" in line:
                        break
                else:
                    raise AssertionError("".join(said))
                yield
            finally:
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=START_SECONDS)
