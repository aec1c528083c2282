"""What the processes of a pair do: one function for each job and side.

A job function takes (contestant, job, say). A server's says {"port": number} as soon as it listens. What it
returns goes to the caller; of a client that is {"amount", "seconds", "cpu", ...}.
"""

from collections.abc import Callable
from typing import Any

Job = dict[str, Any]
Say = Callable[[Job], None]
