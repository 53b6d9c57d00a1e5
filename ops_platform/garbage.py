"""How often Python looks for reference cycles while records stream through.

Belongs here: the one setting. Does not belong here: what streams.

Records are trees of new objects, many thousand a second and without a cycle among them; by default Python would
walk over them again and again, a quarter of the processor time of a load. What they leave is freed at once by its
reference count, as always, and so is what a request leaves (`resources/http.py`).
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# New containers between two looks, instead of 700.
RARELY = 50_000

_lock = threading.Lock()
_streaming = 0
_usual = gc.get_threshold()


@contextmanager
def rarely_collecting() -> Iterator[None]:
    """Look for cycles rarely in this process while the block runs, and as usual when the last such block ends."""
    global _streaming, _usual
    with _lock:
        if _streaming == 0:
            _usual = gc.get_threshold()
            gc.set_threshold(RARELY, *_usual[1:])
        _streaming += 1
    try:
        yield
    finally:
        with _lock:
            _streaming -= 1
            if _streaming == 0:
                gc.set_threshold(*_usual)
