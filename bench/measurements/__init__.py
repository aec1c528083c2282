"""What is measured, one module a subject; `ALL` is the table of contents."""

from bench.measurements import (
    checks,
    cold_start,
    contexts,
    event_loops,
    first_request,
    growth,
    handshakes,
    idle_thousands,
    libraries,
    memory,
    records,
    servers_bill,
    tails,
    threads,
)
from bench.measurements.plan import Measurement

ALL: tuple[Measurement, ...] = (
    cold_start.COLD_START,
    cold_start.COLD_MEMORY,
    contexts.CONTEXTS,
    libraries.LIBRARY_USES,
    handshakes.HANDSHAKES,
    records.BULK,
    records.ROUND_TRIPS,
    records.SIZES,
    event_loops.CONNECTIONS,
    event_loops.BULK,
    event_loops.ROUND_TRIPS,
    first_request.FIRST_REQUEST,
    tails.TAILS,
    servers_bill.SERVERS_BILL,
    memory.MEMORY,
    idle_thousands.IDLE_THOUSANDS,
    threads.THREADS,
    growth.CHAIN,
    growth.ANCHORS,
    growth.HOSTS,
    growth.REVOCATION,
    checks.CHECKS,
)
