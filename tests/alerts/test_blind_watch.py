"""A watch that breaks does not take the alerts with it: real runs of the real assets, on a small warehouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, ExecuteInProcessResult, materialize

from assets.alerts import alerts_cycle
from assets.watch import watch_judgements, watch_level_shifts
from ops_platform import clock
from ops_platform.alerts import receipts
from resources.postgres import WarehouseResource
from tests.alerts.test_quiet_days import DAY, FIRST, HOURS, OVERDUE, QUIET_FROM, STOCK, ZONE, fill, fleet_of
from tests.conftest import Connect

MORNING = datetime(QUIET_FROM.year, QUIET_FROM.month, QUIET_FROM.day, 6, tzinfo=ZONE)
Morning = Callable[..., ExecuteInProcessResult]


@pytest.fixture
def here(warehouse: Connect) -> Connect:
    """Two metrics in their range, one of them out on the second day; one rule on stock; two sources."""
    with warehouse() as connection:
        fill(connection)
        connection.execute("truncate metrics.fct_metric_daily, marts.fct_stock, marts.fct_late, marts.fct_gaps")
        connection.execute("delete from metrics.dim_metric where metric_id in ('roas', 'spend')")
        connection.execute("delete from ops.cursors where vendor = 'airtable'")
        connection.execute("insert into marts.fct_stock values ('A-1', true, 60, 'none', 'healthy', 900)")
        connection.execute("insert into ops.company values (true, 'Blind Ltd', 'America/New_York', 'USD', now())")
        with connection.cursor().copy("copy metrics.fct_metric_daily from stdin") as copy:
            for place in range((QUIET_FROM - FIRST).days + 5):
                day = FIRST + DAY * place
                hours = 90 if day == QUIET_FROM else 30 + place % 3
                copy.write_row(("hours", day, "all", "all", hours, hours * 10, 10, day + 2 * DAY, "matched"))
                copy.write_row(("overdue", day, "all", "all", 0, 0, None, day + 2 * DAY, "matched"))
    return warehouse


@pytest.fixture
def morning(here: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Morning]:
    """The watch and the alerts made in one run, so many days after the first, with the sources so many hours old."""
    fleet = fleet_of(tmp_path, stock=STOCK, hours=HOURS, overdue=OVERDUE)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: here())
    for module in ("assets.watch", "assets.alerts"):
        monkeypatch.setattr(f"{module}.get_fleet", lambda: fleet)
    with DagsterInstance.ephemeral() as instance:

        def run(day: int, *, sources_hours: float = 0.5) -> ExecuteInProcessResult:
            now = MORNING + DAY * day
            monkeypatch.setattr(clock, "now", lambda: now)
            with here() as connection:
                connection.execute("update ops.cursors set fresh_to = %s", (now - timedelta(hours=sources_hours),))
            return materialize(
                [watch_level_shifts, watch_judgements, alerts_cycle],
                resources={"warehouse": WarehouseResource()}, instance=instance, raise_on_error=False,
            )  # fmt: skip

        yield run


def made(result: ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node("__".join(key))
    return {name: value.value for name, value in event.metadata.items()}


def looked(result: ExecuteInProcessResult, step: str) -> bool:
    key = AssetKey(["watch", step])
    (check,) = [each for each in result.get_asset_check_evaluations() if each.asset_key == key]
    return check.passed


def told(here: Connect) -> list[tuple[str, str]]:
    """Kind and text of every message, in order."""
    with here() as connection:
        rows = connection.execute("select kind, payload from ops.outbox order by created_at, dedupe_key").fetchall()
    return [(kind, json.dumps(payload, ensure_ascii=False)) for kind, payload in rows]


def standing(here: Connect) -> dict[str, str]:
    with here() as connection:
        return dict(connection.execute("select head, state from ops.alerts order by id").fetchall())


def break_watch(monkeypatch: pytest.MonkeyPatch, where: str = "ops_platform.watch.judge.judge") -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ValueError("shapes (900,) and\n(0,) do not fit")

    monkeypatch.setattr(where, broken)


def test_a_broken_watch_is_told_and_the_sources_are_still_seen(
    here: Connect, morning: Morning, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = morning(0)
    assert good.success and looked(good, "judgements") and told(here) == []
    checked = made(good, "alerts", "cycle")["checked"]

    with monkeypatch.context() as breaking:
        break_watch(breaking)
        blind = morning(1, sources_hours=40)
    assert blind.success and not looked(blind, "judgements") and looked(blind, "level_shifts")
    assert made(blind, "watch", "judgements")["reason"] == "ValueError: shapes (900,) and (0,) do not fit"
    found = made(blind, "alerts", "cycle")
    # Blind to both metrics, though their judgements of yesterday are still there.
    assert found["checked"] < checked
    assert {head.split(":")[0] for head in standing(here)} == {"job", "source"}
    about = " ".join(text for _, text in told(here))
    assert "Watch of the metrics" in about and "No metric is judged" in about and "do not fit" in about
    assert "shopify" in about.lower()
    with here() as connection:
        receipt = receipts.receipts(connection, limit=1)[0]
    assert not receipt.silent and receipt.breached and receipt.held == {"unposted": found["messages"]}

    seen = morning(2)
    assert seen.success and looked(seen, "judgements")
    assert standing(here)["job:watch_judgements:all:all"] == "resolved"
    # What happened meanwhile is not lost with the look that failed: 90 hours on the day it did not look.
    assert standing(here)["metric:hours:all:all"] in ("open", "recovering")
    kinds = [kind for kind, text in told(here) if "Watch of the metrics" in text]
    assert kinds == ["alert_opened", "alert_resolved"]


def test_a_watch_that_nobody_started_is_blind_too(here: Connect, morning: Morning) -> None:
    morning(0)
    with here() as connection:
        connection.execute("update ops.watch_looks set looked_at = looked_at - interval '3 days'")
        connection.commit()
        from ops_platform.alerts.gather import gather
        from ops_platform.fleet import get_fleet

        found = {each.subject.key: each for each in gather(connection, get_fleet(), MORNING)}
    assert found["job:watch_judgements:all:all"].found == "breached"
    assert "has not looked for longer than 26" in found["job:watch_judgements:all:all"].explanation
    assert not any(key.startswith("metric:") for key in found)


def test_without_new_levels_the_metrics_are_judged_all_the_same(
    here: Connect, morning: Morning, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as breaking:
        break_watch(breaking, "ops_platform.watch.level_shift.find_shifts")
        run = morning(0)
    assert run.success and looked(run, "judgements") and not looked(run, "level_shifts")
    assert standing(here) == {"job:watch_level_shifts:all:all": "open"}


@pytest.mark.parametrize(
    ("watcher", "where"),
    [("metrics", "judgement_signals"), ("rules", "rule_signals")],
)
def test_a_watcher_that_breaks_takes_no_other_with_it(
    here: Connect, morning: Morning, monkeypatch: pytest.MonkeyPatch, watcher: str, where: str
) -> None:
    def broken(connection: Any, *_: Any, **__: Any) -> Any:
        connection.execute("select no_such_column from ops.cursors")

    with monkeypatch.context() as breaking:
        breaking.setattr(f"ops_platform.alerts.gather.{where}", broken)
        assert morning(0, sources_hours=40).success
    out = standing(here)
    assert out[f"job:look_at_{watcher}:all:all"] == "open"
    assert any(head.startswith("source:") for head in out)
    morning(1)
    assert standing(here)[f"job:look_at_{watcher}:all:all"] == "resolved"


def test_an_alert_without_its_drivers_is_better_than_none(
    here: Connect, morning: Morning, monkeypatch: pytest.MonkeyPatch
) -> None:
    morning(0)
    break_watch(monkeypatch, "ops_platform.watch.explain.explain")
    assert morning(1).success
    assert standing(here)["metric:hours:all:all"] == "open"


def test_where_not_even_the_failure_can_be_noted_the_run_fails(
    morning: Morning, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_watch(monkeypatch)
    break_watch(monkeypatch, "ops_platform.watch.store.note_failed_look")
    assert not morning(0).success
