"""One end of a pair: ``python -m bench.worker NAME`` does the jobs that come as lines of JSON.

Each is answered with lines of JSON: {"port", ...} of a server that listens, then {"result"} or {"error"}.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from typing import Any

from bench.contestants import BLOCKING, LeftOut
from bench.loops import LOOPS
from bench.servers import SERVERS
from bench.work import (
    Job,
    Say,
    blocking,
    event_loop,
    first_request,
    idle_thousands,
    in_memory,
    processes,
    requests,
    tails,
)
from bench.work.blocking import NotTheWork

_JOBS: dict[str, Callable[[Any, Job, Say], Job]] = {
    "handshakes/server": blocking.serve_handshakes,
    "handshakes/client": blocking.make_handshakes,
    "transfer/server": blocking.serve_transfer,
    "transfer/client": blocking.make_transfer,
    "echo/server": blocking.serve_echo,
    "echo/client": blocking.make_echo,
    "idle/server": blocking.serve_idle,
    "idle/client": blocking.make_idle,
    "threads/client": in_memory.make_threads,
    "loop-connections/server": event_loop.serve_connections,
    "loop-connections/client": event_loop.make_connections,
    "loop-transfer/server": event_loop.serve_transfer,
    "loop-transfer/client": event_loop.make_transfer,
    "loop-echo/server": event_loop.serve_echo,
    "loop-echo/client": event_loop.make_echo,
    "first-request/server": first_request.serve,
    "first-request/client": first_request.make,
    "processes/server": processes.serve,
    "processes/client": processes.start,
    "tails/server": tails.serve,
    "tails/client": tails.make,
    "idle-thousands/server": idle_thousands.serve,
    "idle-thousands/client": idle_thousands.make,
    "requests/server": requests.serve,
    "requests/client": requests.make,
}


def _error(failure: BaseException) -> Job:
    if isinstance(failure, LeftOut | NotTheWork):
        return {"error": str(failure), "declined": True}
    place = traceback.extract_tb(failure.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}:{place.lineno}"
    return {"error": f"{type(failure).__name__}: {failure} ({where})"}


def main() -> None:
    # Whatever a library prints must not come between the lines of JSON.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def say(answer: Job) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        contestant = (BLOCKING | LOOPS | SERVERS)[sys.argv[1]]()
    except Exception as failure:
        say(_error(failure))
        return
    say({"ready": True})
    for line in sys.stdin:
        job = json.loads(line)
        try:
            say({"result": _JOBS[f"{job['do']}/{job['side']}"](contestant, job, say)})
        except Exception as failure:
            say(_error(failure))


if __name__ == "__main__":
    main()
