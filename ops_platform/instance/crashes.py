"""Runs whose process died, by bot, and the bots that are isolated for it.

Belongs here: the rule and its rows (`ops.worker_deaths`). Does not belong here: noticing a death (`launcher.py`), steps
that fail in the ordinary way: those are told and retried by themselves.

A process that dies (killed, out of memory, a crash in a library) is started again by the run's retries. Three deaths
within half an hour are a loop: no run of that bot starts any more, for six hours or until `ops bot release`, while the
other bots go on. The runs that are refused fail with that reason, and a job that fails is an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

DEATHS = 3
WITHIN = timedelta(minutes=30)
ISOLATED_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Isolation:
    """A bot whose runs do not start: since when, until when, and the job that died last."""

    bot: str
    since: datetime
    until: datetime
    last_job: str


def note_death(connection: psycopg.Connection[Any], *, run_id: str, bot: str, job: str, why: str, at: datetime) -> None:
    """Remember that the process of a run died; a run counts once."""
    connection.execute(
        "insert into ops.worker_deaths (run_id, bot, job, why, died_at) values (%s, %s, %s, %s, %s)"
        " on conflict (run_id) do nothing",
        (run_id, bot, job, why, at),
    )


def isolations(connection: psycopg.Connection[Any], now: datetime, bot: str | None = None) -> list[Isolation]:
    """The bots that are isolated at `now`, or only `bot`."""
    rows = connection.execute(
        """
        with counted as (
            select bot, job, died_at,
                count(*) over (
                    partition by bot order by died_at range between %(within)s preceding and current row
                ) as n
            from ops.worker_deaths as deaths
            where died_at > %(now)s - %(kept)s - %(within)s and (%(bot)s::text is null or bot = %(bot)s)
              and died_at > coalesce(
                  (select max(released_at) from ops.bot_releases where bot_releases.bot = deaths.bot), '-infinity')
        )
        select distinct on (bot) bot, died_at, job from counted
        where n >= %(deaths)s and died_at > %(now)s - %(kept)s and died_at <= %(now)s
        order by bot, died_at desc
        """,
        {"within": WITHIN, "now": now, "kept": ISOLATED_FOR, "deaths": DEATHS, "bot": bot},
    ).fetchall()
    return [Isolation(name, died_at, died_at + ISOLATED_FOR, job) for name, died_at, job in rows]


def release(connection: psycopg.Connection[Any], bot: str, *, by: str, at: datetime) -> None:
    """Let runs of `bot` start again."""
    connection.execute(
        "insert into ops.bot_releases (bot, released_by, released_at) values (%s, %s, %s)", (bot, by, at)
    )
