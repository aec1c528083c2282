"""Handshakes without sockets, both ends in the same thread, in several threads at once."""

import threading
import time

from bench.contestants import Contestant
from bench.recipe import Recipe
from bench.work import Job, Say
from bench.work.clock import Clock


def make_threads(contestant: Contestant, job: Job, say: Say) -> Job:
    """Handshakes of `threads` threads within `limit` seconds; they share the two contexts."""
    recipe = Recipe.of(job["recipe"])
    server, client = contestant.server_context(recipe), contestant.client_context(recipe)
    contestant.in_memory(server, client, recipe.host(0))
    counts, failures = [], []
    start = threading.Barrier(job["threads"] + 1)

    def run() -> None:
        done = 0
        try:
            start.wait(30)
            end = time.perf_counter() + job["limit"]
            while time.perf_counter() < end:
                contestant.in_memory(server, client, recipe.host(0))
                done += 1
        except BaseException as failure:
            failures.append(failure)
            start.abort()
        counts.append(done)

    threads = [threading.Thread(target=run) for _ in range(job["threads"])]
    for thread in threads:
        thread.start()
    start.wait(30)
    clock = Clock()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return clock.report(sum(counts))
