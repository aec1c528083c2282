"""Runs programs one after the other and says what each took: ``spawn.py COUNT PROGRAM BESIDE ARGUMENT...``.

A process of its own, with as little in it as can be: Linux counts as the peak of a new process also what its
parent held when it was started. Each line is: which of the two programs, seconds by the clock, seconds of the
processor, peak memory in KiB, status. What a program prints comes before its line. BESIDE may be empty.
"""

import os
import sys
import time


def main() -> None:
    count, *programs = sys.argv[1:4]
    for _ in range(int(count)):
        for which, program in enumerate(programs):
            if not program:
                continue
            command = [sys.executable, "-P", "-c", program, *sys.argv[4:]]
            began = time.perf_counter()
            child = os.posix_spawn(sys.executable, command, os.environ)
            _, status, usage = os.wait4(child, 0)
            took = time.perf_counter() - began
            status = os.waitstatus_to_exitcode(status)
            print(which, took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, status, flush=True)
            if status:
                return


if __name__ == "__main__":
    main()
