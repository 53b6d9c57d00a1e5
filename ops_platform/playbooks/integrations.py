"""The integrations as playbooks see them: asked for something known, how fast they answered, when they last did.

Belongs here: the values of a ping, its history in `ops.integration_pings`. Does not belong here: asking
(`resources/integration_pings.py`), what is done about it (the tools).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import psycopg

State = Literal["online", "offline", "not_connected"]


@dataclass(frozen=True, slots=True)
class Pinged:
    """What came of one ask. `latency_ms` is of the answer; `detail` what was said, or what is wrong."""

    integration: str
    state: State
    latency_ms: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class History:
    """What is on record of an integration up to a moment. `uptime` is the share of asks that were answered in the last
    30 days, None where it was never asked."""

    integration: str
    state: State | None
    at: datetime | None
    latency_ms: int | None
    detail: str
    last_success: datetime | None
    offline_since: datetime | None
    uptime: Decimal | None


#: Asks the integrations named (all where none is) side by side.
Pinger = Callable[[Sequence[str]], Sequence[Pinged]]
#: The label people know an integration by.
Labels = Mapping[str, str]

_HISTORY = """
with asked as (
    select pings.*
    from ops.integration_pings as pings
    where pings.at <= %(as_of)s and pings.at > %(as_of)s - interval '30 days'
),

newest as (
    select distinct on (asked.integration) asked.*
    from asked
    order by asked.integration asc, asked.at desc, asked.id desc
),

good as (
    select
        asked.integration,
        max(asked.at) filter (where asked.state = 'online') as last_success,
        count(*) filter (where asked.state = 'online')::numeric
        / nullif(count(*) filter (where asked.state <> 'not_connected'), 0) as uptime
    from asked
    group by asked.integration
)

select
    newest.integration,
    newest.state,
    newest.at,
    newest.latency_ms,
    newest.detail,
    good.last_success,
    case when newest.state = 'offline' then (
        select min(later.at)
        from asked as later
        where later.integration = newest.integration and later.at > coalesce(good.last_success, '-infinity')
    ) end as offline_since,
    round(good.uptime, 6) as uptime
from newest
inner join good on newest.integration = good.integration
order by newest.integration
"""


def record(connection: psycopg.Connection[Any], pings: Sequence[Pinged], at: datetime) -> None:
    """Keep what came of a round of asks, in the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.integration_pings (integration, at, state, latency_ms, detail)"
            " values (%s, %s, %s, %s, %s)",
            [(one.integration, at, one.state, one.latency_ms, one.detail[:400]) for one in pings],
        )


def history(connection: psycopg.Connection[Any], as_of: datetime) -> dict[str, History]:
    """What is on record as of a moment, by integration."""
    rows = connection.execute(_HISTORY.encode(), {"as_of": as_of})
    return {row[0]: History(*row) for row in rows}
