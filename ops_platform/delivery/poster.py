"""What delivery needs of a messaging vendor: post once, and find what was posted.

Belongs here: the seam (`Poster`) and the two failures only a poster can tell apart. Does not belong here:
any vendor's protocol (`resources/slack_posting.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.failures import PermanentFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class ContentRefused(PermanentFailure):
    """The vendor refused the layout of the message (its blocks), not the message: its plain text may go."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a look-up saw. `external_id` is the vendor's id of the message, or None. `complete` is true only
    where everything back to the bound asked for was read: then None means "not there". `reached` is the
    oldest id that was read, where the look-up went backwards from the newest and stopped half-way."""

    external_id: str | None
    complete: bool
    reached: str | None = None


class Poster(Protocol):
    """A vendor that shows messages in channels."""

    def post(self, channel: str, payload: Mapping[str, Any], *, outbox_id: UUID, thread_of: str | None) -> str:
        """Post `payload` ({"text": …, "blocks": […]?}) once, tagged with `outbox_id`; return the vendor's id.

        Makes at most one attempt, in bounded time. `thread_of` is the vendor's id of the message to answer.
        Raises `ContentRefused` or another `PermanentFailure` (certainly not posted, will not be),
        `AmbiguousFailure` (may be posted) or another `TransientFailure` (certainly not posted, may be
        later)."""
        ...

    def find(self, channel: str, *, outbox_id: UUID, after: str | None, thread_of: str | None) -> Lookup:
        """Look for the message tagged with `outbox_id` among those later than the vendor's id `after`
        (None: as far back as is reasonable).

        Raises `TransientFailure` (ask again later) or `PermanentFailure` (this history cannot be read)."""
        ...
