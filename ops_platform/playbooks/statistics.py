"""How playbooks go over weeks: success, duration, uptime, notices, campaigns.

Belongs here: the figures from the record. Does not belong here: showing them. NULL is unknown: no run has no rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from ops_platform.playbooks.model import Playbook

MOST_MINUTES = 5
LEAST_UPTIME = Decimal("0.995")
WEEK = timedelta(days=7)
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a span: ratios are fractions of one, durations milliseconds, `weeks` its length. `uptime` is the share of
    asks that an integration answered. `notices` are by severity,
    `failed` names the playbooks with a failure and how often, `writing_calls` and `writing_usd` count what their roles
    had models write."""

    start: datetime
    end: datetime
    executions: int
    success_rate: Decimal | None
    mean_duration_ms: int | None
    longest_duration_ms: int | None
    notices: dict[str, int]
    failed: dict[str, int]
    campaigns: int
    tokens: int
    uptime: dict[str, Decimal]
    writing_calls: int
    writing_usd: Decimal

    @property
    def months(self) -> Decimal:
        return Decimal((self.end - self.start) / MONTH)

    @property
    def weeks(self) -> Decimal:
        return Decimal((self.end - self.start) / WEEK)

    def to_json(self) -> dict[str, Any]:
        return {
            "from": self.start.isoformat(), "to": self.end.isoformat(), "executions": self.executions,
            "successRate": None if self.success_rate is None else str(round(self.success_rate, 4)),
            "meanDuration": self.mean_duration_ms, "longestDuration": self.longest_duration_ms,
            "noticesBySeverity": self.notices, "failedByPlaybook": self.failed, "campaigns": self.campaigns,
            "campaignsPerWeek": str(round(self.campaigns / self.weeks, 2)), "tokens": self.tokens,
            "writingCalls": self.writing_calls, "writingUsd": str(self.writing_usd),
            "writingUsdPerMonth": str(round(self.writing_usd / self.months, 4)),
            "uptime": {name: str(share) for name, share in self.uptime.items()},
        }  # fmt: skip

    def lines(self, before: Statistics | None = None) -> list[str]:
        """For a reader; `before` is the span of the same length that this one follows, for how notices go."""
        rate = "unknown: nothing ran" if self.success_rate is None else f"{100 * self.success_rate:.1f} %"
        duration = "unknown" if self.mean_duration_ms is None else f"{self.mean_duration_ms / 1000:.1f} s"
        longest = "" if self.longest_duration_ms is None else f", the longest {self.longest_duration_ms / 1000:.1f} s"
        told = ", ".join(f"{count} {severity}" for severity, count in self.notices.items()) or "none"
        campaigns = f"campaigns put up for approval: {self.campaigns / self.weeks:.1f} a week"
        made = [
            f"success rate {rate}", f"mean duration {duration}{longest} (goal: less than {MOST_MINUTES} minutes)",
            f"notices told: {told}{_trend(self, before)}", campaigns, f"tokens: {self.tokens:,}",
            f"writing by models: {self.writing_calls:,} calls, ${self.writing_usd:.4f};"
            f" ${self.writing_usd / self.months:.2f} a month",
        ]  # fmt: skip
        made += [
            f"uptime of {name}: {100 * share:.2f} %{'' if share >= LEAST_UPTIME else ' (goal: 99.5 %)'}"
            for name, share in self.uptime.items()
        ]
        if not self.uptime:
            made.append("uptime of integrations: unknown, none was asked")
        return made + [f"{name} failed {count} times" for name, count in self.failed.items()]


def _trend(now: Statistics, before: Statistics | None) -> str:
    """How many more or fewer notices than in the span before; nothing where nothing ran then."""
    if before is None or not before.executions:
        return ""
    here, there = sum(now.notices.values()), sum(before.notices.values())
    word = "as many as" if here == there else "more than" if here > there else "fewer than"
    return f" ({here}, {word} the {there} of the span before)"


def statistics(connection: psycopg.Connection[Any], start: datetime, end: datetime) -> Statistics:
    """Of the executions for moments in [start, end)."""
    span = {"start": start, "end": end}
    row = connection.execute(
        """select count(*), avg(success::int), avg(duration_ms)::bigint, max(duration_ms) from ops.playbook_executions
           where as_of >= %(start)s and as_of < %(end)s and state <> 'running' and trigger_kind <> 'dry_run'""",
        span,
    ).fetchone()
    assert row is not None
    notices = connection.execute(
        "select severity, count(*) from ops.playbook_notices where at >= %(start)s and at < %(end)s"
        " group by severity order by severity",
        span,
    ).fetchall()
    failed = connection.execute(
        "select playbook_id, count(*) from ops.playbook_executions where as_of >= %(start)s and as_of < %(end)s"
        " and state = 'failed' group by playbook_id order by count(*) desc, playbook_id",
        span,
    ).fetchall()
    tokens = connection.execute(
        """select coalesce(sum(steps.tokens), 0)::bigint from ops.playbook_steps as steps
           join ops.playbook_executions as executions on executions.id = steps.execution_id
           where executions.as_of >= %(start)s and executions.as_of < %(end)s""",
        span,
    ).fetchone()
    campaigns = connection.execute(
        "select count(*) from ops.approvals"
        " where kind = 'campaign' and created_at >= %(start)s and created_at < %(end)s",
        span,
    ).fetchone()
    uptime = connection.execute(
        """select integration, round(avg((state = 'online')::int), 6) from ops.integration_pings
           where at >= %(start)s and at < %(end)s and state <> 'not_connected'
           group by integration order by integration""",
        span,
    ).fetchall()
    writing = connection.execute(
        "select count(*), coalesce(sum(cost_usd), 0) from ops.token_ledger"
        " where purpose like 'role:%%' and state = 'spent' and created_at >= %(start)s and created_at < %(end)s",
        span,
    ).fetchone()
    assert tokens is not None and campaigns is not None and writing is not None
    return Statistics(
        start,
        end,
        row[0],
        row[1],
        row[2],
        row[3],
        dict(notices),
        dict(failed),
        campaigns[0],
        tokens[0],
        dict(uptime),
        *writing,
    )


@dataclass(frozen=True, slots=True)
class Month:
    """What the schedules lead to in thirty days: runs, and calls of a writer at most (a step that a condition holds
    back makes none)."""

    runs: int
    calls: int


def scheduled_month(playbooks: Iterable[Playbook], zone: str, start: datetime) -> Month:
    """Of the enabled playbooks, from `start`, in company time."""
    from ops_platform.fleet.ticks import ticks_between

    runs = calls = 0
    for playbook in playbooks:
        if playbook.enabled and playbook.triggers.schedule is not None:
            due = len(list(ticks_between(playbook.triggers.schedule, zone, start, start + MONTH)))
            runs += due
            calls += due * sum(step.type in ("synthesize", "delegate") for step in playbook.steps)
    return Month(runs, calls)
