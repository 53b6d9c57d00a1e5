"""What delivery needs of a messaging vendor: post once, and find what was posted.

Belongs here: the seam (`Poster`) and the two failures only a poster can tell apart. Does not belong here:
any vendor's protocol (`resources/slack_posting.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.failures import PermanentFailure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class ContentRefused(PermanentFailure):
    """The vendor refused the layout of the message (its blocks), not the message: its plain text may go."""


def lighter(payload: Mapping[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """What goes where the vendor refused a payload's layout, and what it is called: the payload's own `lighter` (an
    e-mail without its files), else its text without blocks. None where there is nothing lighter."""
    if payload.get("lighter"):
        without = {key: value for key, value in payload.items() if key not in ("lighter", "files")}
        return {**without, **payload["lighter"]}, "the message without its files"
    if "blocks" in payload:
        return {key: value for key, value in payload.items() if key != "blocks"}, "the plain text"
    return None, ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a look-up saw. `external_id` is the vendor's id of the message, or None. `complete` is true only
    where everything back to the bound asked for was read: then None means "not there". `reached` is the
    oldest id that was read, where the look-up went backwards from the newest and stopped half-way."""

    external_id: str | None
    complete: bool
    reached: str | None = None


#: Notes, committed, by what name the vendor will know the message from the next step on.
HandOver = Callable[[str], None]


def not_noted(known_as: str) -> None:
    """Where nobody keeps a note."""


class Poster(Protocol):
    """A vendor that shows messages in channels."""

    def post(
        self,
        channel: str,
        payload: Mapping[str, Any],
        *,
        outbox_id: UUID,
        thread_of: str | None,
        hand_over: HandOver = not_noted,
    ) -> str:
        """Post `payload` ({"text": …, "blocks": […]?, "files": […]?}) once, tagged with `outbox_id`; return the
        vendor's id.

        Makes at most one attempt, in bounded time. `thread_of` is the vendor's id of the message to answer. A poster
        that takes several steps calls `hand_over` just before the only one that has an effect, with the name by which
        it would know the message again; what that raises it lets through, and does not take the step.
        Raises `ContentRefused` or another `PermanentFailure` (certainly not posted, will not be),
        `AmbiguousFailure` (may be posted) or another `TransientFailure` (certainly not posted, may be
        later)."""
        ...

    def find(
        self,
        channel: str,
        *,
        outbox_id: UUID,
        after: str | None,
        thread_of: str | None,
        handed_over: str | None = None,
    ) -> Lookup:
        """Look for the message tagged with `outbox_id` among those later than the vendor's id `after`
        (None: as far back as is reasonable). `handed_over` is the name that the attempt whose end nobody knows gave to
        `hand_over`; None where it never came so far, or takes one step only.

        Raises `TransientFailure` (ask again later) or `PermanentFailure` (this history cannot be read)."""
        ...
