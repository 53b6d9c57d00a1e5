"""What Dagster knows of the freshness of assets, kept as transitions, and told as signals.

Belongs here: noting a state (what changed is news, the same again is not), and signals of what is not fresh. Does not
belong here: asking Dagster (`sensors/freshness.py`), sources (`sources.py` judges them by their own receipts).

An asset whose state nobody knows is unknown and said to be: never made, or the process that judges does not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.alerts.signal import Severity, Signal, Subject, SubjectKind
from ops_platform.clock import business_day
from ops_platform.watch.judgement import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import psycopg

    from ops_platform.fleet import Fleet

State = Literal["fresh", "warning", "stale", "unknown"]
#: Judged by the sources' own receipts; their assets would only say the same again.
SOURCES = "raw"
NAMED = 3
#: Told by the alert machine: a look that is this old says nothing any more.
TRUSTED_FOR = timedelta(minutes=15)
_NOTE = """
insert into ops.asset_freshness as kept (asset, layer, state, since, owner, seen_at)
values (%(asset)s, %(layer)s, %(state)s, %(since)s, %(owner)s, %(now)s)
on conflict (asset) do update set
    before = case when kept.state <> excluded.state then kept.state else kept.before end,
    since = case when kept.state <> excluded.state then excluded.since else kept.since end,
    layer = excluded.layer, state = excluded.state, owner = excluded.owner, seen_at = excluded.seen_at
returning (select previous.state from ops.asset_freshness as previous where previous.asset = %(asset)s) as was
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """An asset's state as Dagster has it. `since` is when it took that state, as far as anybody knows; `layer` what it
    is told with (raw, warehouse, evidence, …)."""

    state: State
    layer: str
    since: datetime | None = None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    asset: str
    layer: str
    before: State | None
    after: State


def note(connection: psycopg.Connection[Any], seen: Mapping[str, Seen], now: datetime) -> list[Transition]:
    """Keep what was seen and return what changed. The first sight of an asset is a change only where it is not well.
    An asset that is no longer watched is forgotten. Does not commit."""
    changed = []
    for asset in sorted(seen):
        look = seen[asset]
        values = {
            "asset": asset, "layer": look.layer, "state": look.state, "since": look.since or now,
            "owner": look.owner, "now": now,
        }  # fmt: skip
        row = connection.execute(_NOTE, values).fetchone()
        was = row[0] if row is not None else None
        if was != look.state and not (was is None and look.state in ("fresh", "unknown")):
            changed.append(Transition(asset, look.layer, was, look.state))
    connection.execute("delete from ops.asset_freshness where asset <> all(%s)", (list(seen),))
    return changed


def freshness_signals(connection: psycopg.Connection[Any], fleet: Fleet, now: datetime) -> list[Signal]:
    """One signal a layer, but for the sources': a warehouse that was not built is one thing to tell, not two hundred.

    `now` is the machine's clock: freshness is about machines. What nobody has looked at for a quarter of an hour is
    unknown, whatever it was. Nothing where nobody ever looked: there are no sensors, or not yet."""
    zone = fleet.company.timezone
    layers: dict[str, list[tuple[str, str, datetime, str | None, datetime]]] = {}
    for asset, layer, state, since, owner, seen_at in connection.execute(
        "select asset, layer, state, since, owner, seen_at from ops.asset_freshness where layer <> %s order by asset",
        (SOURCES,),
    ):
        layers.setdefault(layer, []).append((asset, state, since, owner, seen_at))
    signals = []
    for layer, assets in sorted(layers.items()):
        stale = [asset for asset in assets if asset[1] == "stale"]
        unknown = [asset for asset in assets if asset[1] == "unknown"]
        owners = {asset[3] for asset in stale or assets}
        if now - min(asset[4] for asset in assets) > TRUSTED_FOR:
            found, why = Finding.UNKNOWN, "nobody has looked lately: do the daemon and its sensors run?"
        elif stale:
            found, why = Finding.BREACHED, f"not made for longer than they may be: {_named(stale, len(assets))}"
        elif unknown:
            found, why = Finding.UNKNOWN, f"never made, or nobody judges them: {_named(unknown, len(assets))}"
        else:
            found, why = Finding.CLEAR, f"all {len(assets)} made in time"
        out = found is Finding.BREACHED
        signals.append(
            Signal(
                subject=Subject(SubjectKind.JOB, "freshness", "layer", layer),
                found=found,
                period=business_day(now, zone),
                observed_at=now,
                label=f"Freshness of {layer}",
                severity=Severity.ALERT,
                # A limit there is none of; a look out of order is beyond it, one in order far from it.
                closeness=Decimal("1.01") if out else Decimal(0) if found is Finding.CLEAR else None,
                since=business_day(min(asset[2] for asset in stale), zone) if out else None,
                owner=next(iter(owners)) if len(owners) == 1 else "coordinator",
                explanation=why,
            )
        )
    return signals


def _named(assets: list[tuple[str, str, datetime, str | None, datetime]], of: int) -> str:
    names = ", ".join(asset[0] for asset in assets[:NAMED])
    more = f" and {len(assets) - NAMED} more" if len(assets) > NAMED else ""
    return f"{len(assets)} of {of} ({names}{more})"
