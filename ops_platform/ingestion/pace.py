"""How far a sync has come, told to a waiting person at every page and to the log now and then.

Belongs here: the progress line of a stream. Does not belong here: who listens (`ops_platform.progress`), how it looks
at a terminal.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ops_platform.ingestion.contract import Stream, SyncResult

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOG_LINES = 30.0


class Pace:
    """The progress of one stream: `hubspot deals: 12,400 rows, page 63, 8.1 s`."""

    def __init__(self, stream: Stream, tell: Callable[[str], None] | None) -> None:
        self._name = f"{stream.vendor} {stream.name}"
        self._tell = tell
        self._started = self._logged = time.monotonic()

    def line(self, result: SyncResult) -> str:
        return (
            f"{self._name}: {result.received:,} rows, page {result.pages:,}, {time.monotonic() - self._started:.1f} s"
        )

    def page(self, result: SyncResult) -> None:
        """A page was staged."""
        if self._tell is not None:
            self._tell(self.line(result))
        now = time.monotonic()
        if now - self._logged >= SECONDS_BETWEEN_LOG_LINES:
            self._logged = now
            log.info("%s", self.line(result))

    def landed(self, result: SyncResult) -> None:
        """Everything was committed."""
        log.info("%s; %s changed", self.line(result), f"{result.inserted + result.updated + result.deleted:,}")
