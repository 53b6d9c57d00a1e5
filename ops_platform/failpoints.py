"""Named points at which a test may kill or stop this process, to prove what survives.

Belongs here: the one function. Does not belong here: what happens at a point (the tests say). A point
costs one dictionary look-up, and does nothing unless `OPS_FAILPOINT` names it; in production it never
does anything, whatever the environment says.
"""

from __future__ import annotations

import os
import signal
import threading

_hits: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Kill this process here when `OPS_FAILPOINT` is `name`; stop it (SIGSTOP) for `name:stop`.

    `name@3` waits for the third time the point is reached. SIGKILL leaves no chance to tidy up, which is
    what a power cut does."""
    wanted = os.environ.get("OPS_FAILPOINT")
    if not wanted or os.environ.get("OPS_ENV") == "production":
        return
    point, _, action = wanted.partition(":")
    point, _, count = point.partition("@")
    if point != name:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if _hits[name] == int(count or 1):
        if action == "stop":
            # To this thread: what is sent to the process stops it once another thread has taken it up, some way on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
