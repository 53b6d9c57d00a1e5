"""Is every asset as fresh as it should be: transitions only, once each, into `ops.asset_freshness`.

Belongs here: reading the freshness states Dagster keeps, and starting the alerts job when one changed. Does not belong
here: what a transition means (`ops_platform.alerts.asset_freshness`), telling anybody (the alerts job).

Dagster's open-source edition judges freshness and tells nobody. Reading its states is not a public call, so it stands
in one function, `states_in`; where a newer Dagster changes it, the states are unknown, which is said, and never well.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from dagster import (
    AssetKey,
    AssetsDefinition,
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from ops_platform.settings import Environment

if TYPE_CHECKING:
    from ops_platform.alerts.asset_freshness import Seen, State

#: The judging process writes only changes; without a heartbeat so recent its last words prove nothing.
HEARTBEAT = timedelta(minutes=10)
_DAEMON = "FRESHNESS_DAEMON"
_STATES: "dict[str, State]" = {"PASS": "fresh", "WARN": "warning", "FAIL": "stale"}


class Watched(NamedTuple):
    """An asset with a freshness policy: the bot that owns it, and the layer it is told with."""

    owner: str
    layer: str


def watched_assets(assets: Iterable[AssetsDefinition]) -> dict[AssetKey, Watched]:
    """Every asset with a freshness policy."""
    found = {}
    for definition in assets:
        for spec in definition.specs:
            if spec.freshness_policy is not None:
                owner = next((name.removeprefix("team:") for name in spec.owners), "coordinator")
                layer = "warehouse" if "dbt" in spec.kinds else spec.group_name or "other"
                found[spec.key] = Watched(owner, layer)
    return found


def states_in(instance: DagsterInstance, watched: Mapping[AssetKey, Watched], now: datetime) -> "dict[str, Seen]":
    """The state of every watched asset: one indexed query, and one for the heartbeat. The only non-public calls."""
    from ops_platform.alerts.asset_freshness import Seen

    try:
        records = instance.get_freshness_state_records(list(watched))
        beat = instance.get_daemon_heartbeats().get(_DAEMON)
        alive = beat is not None and now.timestamp() - beat.timestamp <= HEARTBEAT.total_seconds()
        states = {key: (record.freshness_state.value, record.updated_at) for key, record in records.items()}
    except (AttributeError, TypeError):
        alive, states = False, {}
    seen = {}
    for key, (owner, layer) in watched.items():
        value, since = states.get(key, ("UNKNOWN", None))
        if value == "NOT_APPLICABLE":
            continue
        state = _STATES.get(value, "unknown") if alive else "unknown"
        seen[key.to_user_string()] = Seen(state, layer, since if alive else None, owner)
    return seen


def freshness_sensor(environment: Environment, watched: Mapping[AssetKey, Watched], job_name: str) -> SensorDefinition:
    """The sensor; it runs by itself only in production, like the schedules. `job_name` is the alerts job."""
    status = DefaultSensorStatus.RUNNING if environment is Environment.PRODUCTION else DefaultSensorStatus.STOPPED

    @sensor(
        name="freshness_sensor",
        job_name=job_name,
        minimum_interval_seconds=300,
        default_status=status,
        description="Notes when an asset becomes stale or fresh again, and has the alert machine look; else silent.",
    )
    def changes(context: SensorEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        from ops_platform.alerts import asset_freshness
        from ops_platform.database import connect

        now = datetime.now(UTC)
        seen = states_in(context.instance, watched, now)
        with connect() as connection:
            changed = asset_freshness.note(connection, seen, now)
        told = [change for change in changed if change.layer != asset_freshness.SOURCES]
        if not told:
            yield SkipReason(f"{len(seen)} assets are as they were")
            return
        # Once for these changes: the moment is that of the change, not of the look.
        yield RunRequest(run_key=f"freshness:{now.isoformat()}", tags={"ops/started_by": "freshness"})

    return changes
