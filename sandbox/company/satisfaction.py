"""What customers answered when they were asked how their ticket went, up to the clock.

Belongs here: who answered, when, and how content they were. Does not belong here: the tickets (`crm.py`), HubSpot's
wording of it (`sandbox/hubspot`).

Agreements that hold exactly, and are tested:
  * an answer belongs to one ticket that was closed before, and no ticket has two;
  * who waited longer for a first reply is content less often.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.company.chance import stream
from sandbox.company.crm import Crm, CrmTicket, build_crm
from sandbox.company.model import Company

_ANSWER = 5_000_000_000_000
_ASKED_AND_ANSWERS = 0.56
# Up to so many hours to a first reply, so many of a hundred are happy, and so many of the others neutral.
_HAPPY = ((8, 90), (24, 82), (10**6, 66))
_NEUTRAL = 55


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """`rating`: 0 unhappy, 1 neutral, 2 happy."""

    id: int
    at: datetime
    rating: int
    channel: str
    words: str | None
    ticket_id: int
    contact_id: int | None
    archived_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        return self.at

    @property
    def modified_at(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class Satisfaction:
    answers: tuple[SurveyAnswer, ...]


def build_satisfaction(company: Company) -> Satisfaction:
    crm: Crm = company.part(build_crm)
    found = (answer for ticket in crm.tickets for answer in _answers(company.seed, ticket, company.clock))
    return Satisfaction(tuple(sorted(found, key=lambda each: each.id)))


def _answers(seed: int, ticket: CrmTicket, clock: datetime) -> Iterator[SurveyAnswer]:
    closed = next((entry.at for entry in ticket.stages if entry.stage == "closed"), None)
    if closed is None or ticket.archived_at is not None or ticket.first_reply_at is None:
        return
    rng = stream(seed, "survey", ticket.id)
    at = (closed + timedelta(minutes=rng.randint(20, 3 * 1440))).replace(microsecond=0)
    answers = rng.random() < _ASKED_AND_ANSWERS
    hours = (ticket.first_reply_at - ticket.created_at).total_seconds() / 3600
    happy = next(share for limit, share in _HAPPY if hours <= limit)
    rating = 2 if rng.randrange(100) < happy else 1 if rng.randrange(100) < _NEUTRAL else 0
    words = rng.choice((None, None, "Thanks!", "Took long, but solved.", "<b>great</b> 👍", "=SUM(A1)"))
    if answers and at <= clock:
        yield SurveyAnswer(
            _ANSWER + ticket.id, at, rating, rng.choice(("EMAIL", "EMAIL", "CHAT")), words, ticket.id, ticket.contact_id
        )
