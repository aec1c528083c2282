"""Time on the wall and on the processor."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    wall: float = field(default_factory=time.perf_counter)
    processor: float = field(default_factory=time.process_time)

    def report(self, amount: float) -> dict[str, float]:
        """What was done since, in how many seconds, and in how many of this process's processor."""
        return {
            "amount": amount,
            "seconds": time.perf_counter() - self.wall,
            "cpu": time.process_time() - self.processor,
        }
