"""What a campaign tool is handed, and what it says of it.

Belongs here: the values on both sides of the seam `Drafter`. Does not belong here: any vendor (`resources/klaviyo`),
keeping and repeating a hand-over (`campaign_handover.py`), what people decide (`campaigns.py`).

No name and no address is in here: a recipient is the number of the last order, by which the vendor that has heard of
that order knows who it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody by an order of theirs: `order` is the shop's number of it, `ordered_at` when it was placed (UTC).
    `values` are the texts of this person in the message, by name."""

    key: str
    order: str
    ordered_at: datetime
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """One campaign to be made as a draft. `mark` is unique in the account and stands in the name of everything that is
    made for it, so that what is there already is found and not made twice. `html` and `text` may have `{{value:NAME}}`
    where a recipient's own text belongs, and nothing else that a template language would read."""

    mark: str
    name: str
    subject: str
    preview: str
    html: str
    text: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class MadeDraft:
    """What stands in the campaign tool. `unknown` are the keys of recipients it does not know."""

    campaign: str
    name: str
    status: str
    audience: str
    reached: int
    unknown: tuple[str, ...] = ()


class Drafter(Protocol):
    """A campaign tool in which drafts can be made. Making the same draft again finds what is there."""

    def make(self, draft: CampaignDraft) -> MadeDraft:
        """Raises `TransientFailure` (made in part or not at all: making it again goes on), another `OpsError`."""
        ...
