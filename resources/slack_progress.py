"""How far Slack's messages were read, when a workspace lets so little through that one sync does not suffice.

Belongs here: the state kept between syncs, as the cursor's text. Does not belong here: reading (`slack.py`).

A *round* is one reading of the whole window, in as many syncs as it takes. Each sync begins with what is newest and
then goes on where the last one stopped. What was read is complete up to the begin of the last round that came to its
end; until one does, `since` stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import orjson

from resources.record_checks import utc_text


@dataclass(slots=True)
class ChannelProgress:
    """Within a round: everything up to `top` was read but what lies between `low` and `high` (ts, both outside).
    `high` is '' where nothing is missing."""

    top: str = ""
    low: str = ""
    high: str = ""


@dataclass(slots=True)
class Progress:
    """`since` and `begun` are UTC as text; `latest` the newest message of the round; `pending` the threads whose
    replies are still to be read, as channel and ts."""

    since: str | None = None
    begun: str | None = None
    latest: str | None = None
    lead: str = ""
    sequence: int = 0
    channels: dict[str, ChannelProgress] = field(default_factory=dict)
    pending: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, cursor: str | None) -> Progress:
        """A plain time is the end of a round that took one sync."""
        if cursor is None:
            return cls()
        lead, _, rest = cursor.partition(" ")
        if not rest:
            return cls(since=lead)
        number, _, text = rest.partition(" ")
        state = orjson.loads(text)
        return cls(
            state["since"],
            state["begun"],
            state["latest"],
            lead,
            int(number),
            {key: ChannelProgress(*values) for key, values in state["channels"].items()},
            [(channel, ts) for channel, ts in state["pending"]],
        )

    def text(self, now: datetime) -> str:
        """As a cursor: sorts after the one it was read from, because the loader keeps the largest."""
        state = {
            "since": self.since,
            "begun": self.begun,
            "latest": self.latest,
            "channels": {key: [each.top, each.low, each.high] for key, each in sorted(self.channels.items())},
            "pending": self.pending,
        }
        return f"{max(self.lead, utc_text(now))} {self.sequence + 1:06d} {orjson.dumps(state).decode()}"

    def finish(self) -> None:
        """The round came to its end."""
        reached = [self.latest, self.begun]
        self.since = min(each for each in reached if each is not None) if self.latest is not None else self.since
        self.begun = self.latest = None
        self.channels.clear()
        self.pending.clear()
