"""In which order the streams of one vendor are synced: one after another, or side by side where its source says so.

Belongs here: that order. Does not belong here: one stream's sync (`sync.py`), which streams may be read at once (the
vendor's source, as `side_by_side`).

A vendor that limits calls by place (Airtable: five a second in each base) lets streams of different places wait side by
side; one after another, their waits add up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from ops_platform.ingestion.contract import Stream, SyncResult

MOST_AT_ONCE = 8


def in_lanes(
    streams: Sequence[Stream], side_by_side: Collection[str], sync: Callable[[Stream, bool], SyncResult]
) -> Iterator[SyncResult]:
    """The results of `sync(stream, apart)` in the order of `streams`. Neighbours whose names are in `side_by_side` are
    synced at once, each in a thread and with `apart` true: it then needs a connection of its own."""
    for together, neighbours in groupby(streams, lambda stream: stream.name in side_by_side):
        group = list(neighbours)
        if not together or len(group) == 1:
            for stream in group:
                yield sync(stream, False)
            continue
        pool = ThreadPoolExecutor(min(len(group), MOST_AT_ONCE), thread_name_prefix=f"sync {group[0].vendor}")
        try:
            failed: Exception | None = None
            for under_way in [pool.submit(sync, stream, True) for stream in group]:
                try:
                    result = under_way.result()
                except Exception as error:
                    # What the others landed is told first.
                    failed = failed or error
                    continue
                yield result
            if failed is not None:
                raise failed
        finally:
            # Who stops listening leaves what has begun to its end, and the rest undone.
            pool.shutdown(wait=True, cancel_futures=True)
