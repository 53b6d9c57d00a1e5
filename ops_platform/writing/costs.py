"""What models cost, and what was had for it: the ledger of a stretch of time, read in US dollars.

Belongs here: spending by job, bot, purpose and model, per delivered output, spending that came to nothing, and what the
same work would have cost on one model. Does not belong here: reserving and settling (`budget.py`), printing
(`commands/costs.py`).

An output is a job's document of one period; it is delivered when a message of that job and period is in its channel.
Everything spent on a period counts towards its output, repairs and second versions included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

    from ops_platform.fleet.models import ModelPrice

_MILLION = Decimal(1_000_000)

# What became of the money, in the order in which it is asked. Only the first is an output.
DELIVERED = "delivered"
OUTCOMES = {
    DELIVERED: "in a message that was delivered",
    "not_delivered": "written by the model, no message (silent by rule, waiting, or refused)",
    "rules": "the answer was not used: rules wrote it",
    "no_document": "no document came of it",
}

_CALLS = """
select calls.purpose, calls.bot, calls.task, calls.model, calls.period_start, calls.state, calls.batch,
    calls.input_tokens, calls.output_tokens, calls.cache_read_tokens, calls.cache_write_tokens, calls.cost_usd,
    case when calls.period_start is null then 'no_document'
        when calls.written_by = 'rules' then 'rules'
        when exists (
            select from ops.outbox
            where outbox.kind = calls.purpose and outbox.period_start = calls.period_start and outbox.state = 'sent'
        ) then 'delivered'
        else 'not_delivered'
    end as outcome
from ops.token_ledger as calls
where calls.created_at >= %(start)s and calls.created_at < %(end)s
order by calls.id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call of the ledger. `period` is that of its document, None where none came of it; `outcome` is a key of
    `OUTCOMES`."""

    job: str
    bot: str
    task: str
    model: str
    period: Any
    state: str
    batch: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: Decimal
    outcome: str

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.output_tokens

    @property
    def tokens_in(self) -> int:
        """Everything the model read, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True)
class Line:
    """Some calls together, under the name they share. Money in US dollars. `delivered` counts the outputs that are in
    their channel; `unsettled` the calls whose cost nobody knows (yet); `zero_output_usd` is what came to no delivered
    output."""

    name: str
    calls: int
    tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: Decimal
    delivered: int
    zero_output_usd: Decimal
    unsettled: int

    @property
    def per_output(self) -> Decimal | None:
        """US dollars per delivered output, what came to nothing included; None where none was delivered."""
        return self.cost_usd / self.delivered if self.delivered else None

    def to_json(self) -> dict[str, Any]:
        """The line for a script: money as text, so that no digit is lost."""
        return {
            "name": self.name,
            "calls": self.calls,
            "tokens": self.tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
            "cost_usd": usd(self.cost_usd),
            "delivered": self.delivered,
            "per_output_usd": None if self.per_output is None else usd(self.per_output),
            "zero_output_usd": usd(self.zero_output_usd),
            "unsettled": self.unsettled,
        }


@dataclass(frozen=True, slots=True)
class Costs:
    """The ledger of `start` up to `end`: all of it, and by job, bot, purpose and model, dearest first.

    `zero_output` is what came to nothing, by outcome. `one_model` names the model that everything is held against and
    `one_model_usd` what the same tokens would have cost on it, uncached and one by one."""

    start: datetime
    end: datetime
    total: Line
    by_job: tuple[Line, ...]
    by_bot: tuple[Line, ...]
    by_purpose: tuple[Line, ...]
    by_model: tuple[Line, ...]
    zero_output: tuple[Line, ...]
    one_model: str
    one_model_usd: Decimal

    @property
    def saved(self) -> Decimal | None:
        """Share of the one-model cost that routing, cache and batch saved, 0 to 1; below zero where they cost more,
        None where there is nothing to share."""
        return 1 - self.total.cost_usd / self.one_model_usd if self.one_model_usd else None

    def to_json(self) -> dict[str, Any]:
        """The report for a script."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "total": self.total.to_json(),
            **{
                name: [line.to_json() for line in lines]
                for name, lines in (
                    ("by_job", self.by_job),
                    ("by_bot", self.by_bot),
                    ("by_purpose", self.by_purpose),
                    ("by_model", self.by_model),
                    ("zero_output", self.zero_output),
                )
            },
            "one_model": {
                "model": self.one_model,
                "cost_usd": usd(self.one_model_usd),
                "saved_share": None if self.saved is None else str(self.saved.quantize(Decimal("0.0001"))),
            },
        }


def usd(amount: Decimal) -> str:
    """US dollars to a millionth: a call costs fractions of a cent."""
    return str(amount.quantize(Decimal("0.000001")))


def read(connection: psycopg.Connection[Any], start: datetime, end: datetime) -> list[Entry]:
    """The calls that were reserved from `start` up to `end`, in the machine's time."""
    rows = connection.execute(_CALLS.encode(), {"start": start, "end": end}).fetchall()
    return [Entry(*row) for row in rows]


def costs(connection: psycopg.Connection[Any], start: datetime, end: datetime, *, top: tuple[str, ModelPrice]) -> Costs:
    """The costs from `start` up to `end`. `top` is the model, with its price, that everything is held against."""
    entries = read(connection, start, end)
    wasted = [entry for entry in entries if entry.outcome != DELIVERED and entry.cost_usd]
    return Costs(
        start=start,
        end=end,
        total=_line("all", entries),
        by_job=_lines(entries, lambda entry: entry.job),
        by_bot=_lines(entries, lambda entry: entry.bot),
        by_purpose=_lines(entries, lambda entry: entry.task),
        by_model=_lines(entries, lambda entry: entry.model),
        zero_output=_lines(wasted, lambda entry: entry.outcome),
        one_model=top[0],
        one_model_usd=sum((_alone(entry, top[1]) for entry in entries), Decimal(0)),
    )


def _alone(entry: Entry, price: ModelPrice) -> Decimal:
    """What the call's tokens cost at `price` without cache and batch."""
    return (entry.tokens_in * price.input + entry.output_tokens * price.output) / _MILLION


def _lines(entries: Iterable[Entry], name_of: Callable[[Entry], str]) -> tuple[Line, ...]:
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(name_of(entry), []).append(entry)
    lines = [_line(name, group) for name, group in groups.items()]
    return tuple(sorted(lines, key=lambda line: (-line.cost_usd, line.name)))


def _line(name: str, entries: list[Entry]) -> Line:
    delivered = {(entry.job, entry.period) for entry in entries if entry.outcome == DELIVERED}
    return Line(
        name=name,
        calls=len(entries),
        tokens=sum(entry.tokens for entry in entries),
        output_tokens=sum(entry.output_tokens for entry in entries),
        cache_read_tokens=sum(entry.cache_read_tokens for entry in entries),
        cache_write_tokens=sum(entry.cache_write_tokens for entry in entries),
        cost_usd=sum((entry.cost_usd for entry in entries), Decimal(0)),
        delivered=len(delivered),
        zero_output_usd=sum((entry.cost_usd for entry in entries if entry.outcome != DELIVERED), Decimal(0)),
        unsettled=sum(entry.state == "reserved" for entry in entries),
    )
