"""Sensors of freshness and failures: transitions only, once, and what nobody knows is never well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    FreshnessPolicy,
    RunRequest,
    SensorDefinition,
    SkipReason,
    asset,
    build_sensor_context,
    in_process_executor,
    job,
    op,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat

from jobs.receipts import RECEIPT_HOOKS
from ops_platform.alerts import asset_freshness, receipts
from ops_platform.settings import Environment
from ops_platform.watch.judgement import Finding
from sensors.failures import failures_sensor
from sensors.freshness import Watched, freshness_sensor, states_in, watched_assets
from tests.alerts.scenes import fleet

SALES, PULSE, RAW = (
    AssetKey(["marts", "sales"]),
    AssetKey(["delivery", "pulse"]),
    AssetKey(["raw", "shopify", "orders"]),
)
WATCHED = {
    SALES: Watched("sales", "warehouse"),
    PULSE: Watched("coordinator", "delivery"),
    RAW: Watched("coordinator", "raw"),
}


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def here(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The test's own database is the one that code running in Dagster connects to."""
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    return warehouse


def beat(instance: DagsterInstance, ago: float = 0) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, "FRESHNESS_DAEMON", "1", []))


def judged(instance: DagsterInstance, key: AssetKey, state: FreshnessState) -> None:
    """As Dagster's own daemon writes it."""
    instance._report_runless_asset_event(
        FreshnessStateChange(
            key=key, new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=time.time()
        )
    )


def look(sensor: SensorDefinition, instance: DagsterInstance, cursor: str | None = None) -> tuple[list[Any], Any]:
    context = build_sensor_context(instance=instance, cursor=cursor)
    found: list[Any] = list(cast("Any", sensor(context)))
    return found, context.cursor


def signals(here: Any, now: datetime | None = None) -> dict[str, tuple[Finding, str]]:
    with here() as connection:
        found = asset_freshness.freshness_signals(connection, fleet(), now or datetime.now(UTC))
    return {signal.subject.value: (signal.found, signal.explanation) for signal in found}


# Freshness --------------------------------------------------------------------------------------------------


def test_a_transition_is_told_once_and_so_is_the_way_back(here: Any, instance: DagsterInstance) -> None:
    sensor = freshness_sensor(Environment.DEMO, WATCHED, "alerts")
    beat(instance)
    for key in WATCHED:
        judged(instance, key, FreshnessState.PASS)
    assert isinstance(look(sensor, instance)[0][0], SkipReason)  # the first sight of what is well is no news
    judged(instance, SALES, FreshnessState.FAIL)
    judged(instance, RAW, FreshnessState.FAIL)  # a source tells of itself
    (asked,), _ = look(sensor, instance)
    assert isinstance(asked, RunRequest)
    assert isinstance(look(sensor, instance)[0][0], SkipReason)
    assert signals(here)["warehouse"][0] is Finding.BREACHED
    assert signals(here)["delivery"][0] is Finding.CLEAR
    assert "raw" not in signals(here)
    judged(instance, SALES, FreshnessState.PASS)
    assert isinstance(look(sensor, instance)[0][0], RunRequest)
    assert signals(here)["warehouse"] == (Finding.CLEAR, "all 1 made in time")


def test_what_was_never_judged_is_unknown(instance: DagsterInstance) -> None:
    beat(instance)
    judged(instance, SALES, FreshnessState.WARN)
    seen = states_in(instance, WATCHED, datetime.now(UTC))
    assert {key: look.state for key, look in seen.items()} == {
        "marts/sales": "warning", "delivery/pulse": "unknown", "raw/shopify/orders": "unknown",
    }  # fmt: skip


@pytest.mark.parametrize("ago", [None, 601])
def test_the_last_word_of_a_daemon_that_is_gone_proves_nothing(instance: DagsterInstance, ago: float | None) -> None:
    judged(instance, SALES, FreshnessState.PASS)
    if ago is not None:
        beat(instance, ago)
    assert states_in(instance, WATCHED, datetime.now(UTC))["marts/sales"].state == "unknown"


def test_a_look_that_is_old_proves_nothing_either(here: Any, instance: DagsterInstance) -> None:
    beat(instance)
    judged(instance, SALES, FreshnessState.PASS)
    look(freshness_sensor(Environment.DEMO, {SALES: WATCHED[SALES]}, "alerts"), instance)
    assert signals(here)["warehouse"][0] is Finding.CLEAR
    assert signals(here, datetime.now(UTC) + timedelta(minutes=16))["warehouse"][0] is Finding.UNKNOWN


def test_what_is_no_longer_watched_is_forgotten(here: Any, instance: DagsterInstance) -> None:
    beat(instance)
    judged(instance, SALES, FreshnessState.FAIL)
    look(freshness_sensor(Environment.DEMO, WATCHED, "alerts"), instance)
    look(freshness_sensor(Environment.DEMO, {PULSE: WATCHED[PULSE]}, "alerts"), instance)
    assert list(signals(here)) == ["delivery"]


def test_every_asset_with_a_policy_is_watched_with_its_layer() -> None:
    policy = FreshnessPolicy.time_window(fail_window=timedelta(hours=26))

    @asset(key=SALES, kinds={"dbt"}, group_name="marts", owners=["team:sales"], freshness_policy=policy)
    def sales() -> None: ...

    @asset(key=PULSE, group_name="delivery", owners=["team:coordinator"], freshness_policy=policy)
    def pulse() -> None: ...

    @asset(key=RAW)
    def orders() -> None: ...

    assert watched_assets([sales, pulse, orders]) == {SALES: WATCHED[SALES], PULSE: WATCHED[PULSE]}


# Failures ---------------------------------------------------------------------------------------------------


def run(
    instance: DagsterInstance,
    name: str,
    status: DagsterRunStatus,
    job_name: str = "ops_pulse",
    again: str = "false",
    parent: str | None = None,
) -> None:
    tags = {"job": job_name, "bot": "coordinator", "dagster/will_retry": again}
    before = None if parent is None else parent * 8
    create_run_for_test(
        instance, job_name=job_name, run_id=name * 8, status=status, tags=tags, parent_run_id=before,
        root_run_id=before,
    )  # fmt: skip


def test_failing_is_told_once_and_recovery_once(here: Any, instance: DagsterInstance) -> None:
    sensor = failures_sensor(Environment.DEMO, "alerts")
    run(instance, "aaaa", DagsterRunStatus.SUCCESS)
    found, cursor = look(sensor, instance)
    assert isinstance(found[0], SkipReason)
    run(instance, "bbbb", DagsterRunStatus.FAILURE)
    found, cursor = look(sensor, instance, cursor)
    assert isinstance(found[0], RunRequest)
    found, cursor = look(sensor, instance, cursor)  # the overlap sees it again
    assert isinstance(found[0], SkipReason)
    with here() as connection:  # this one fails again, and had looked
        looked(connection, "cccc" * 8)
    run(instance, "cccc", DagsterRunStatus.CANCELED)
    run(instance, "dddd", DagsterRunStatus.STARTED)
    found, cursor = look(sensor, instance, cursor)
    assert isinstance(found[0], SkipReason)
    run(instance, "eeee", DagsterRunStatus.SUCCESS)
    found, cursor = look(sensor, instance, cursor)
    assert isinstance(found[0], RunRequest)
    with here() as connection:
        kept = {each.run_id[:1]: each.status for each in receipts.receipts(connection)}
        (state,) = receipts.job_states(connection, {"ops_pulse": []}, datetime.now(UTC))
    assert kept == {"a": "succeeded", "b": "failed", "c": "failed", "e": "succeeded"}
    assert (state.last, state.failing_since) == ("succeeded", None)


def looked(connection: Any, run_id: str) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    receipts.settle(
        connection, run_id, "ops_pulse", bot=None, at=now, as_of=now, looks=receipts.Looks(210), messages=0,
        freshness=receipts.Freshness(),
    )  # fmt: skip


def test_where_a_run_failed_before_it_looked_others_look_every_time(here: Any, instance: DagsterInstance) -> None:
    sensor, cursor = failures_sensor(Environment.DEMO, "alerts"), None
    for name in ("aaaa", "bbbb", "cccc"):
        run(instance, name, DagsterRunStatus.FAILURE)
        found, cursor = look(sensor, instance, cursor)
        assert isinstance(found[0], RunRequest)
        found, cursor = look(sensor, instance, cursor)
        assert isinstance(found[0], SkipReason)
    # The look itself does not ask for another one: that would never end.
    run(instance, "dddd", DagsterRunStatus.FAILURE, "alerts")
    assert isinstance(look(sensor, instance, cursor)[0][0], RunRequest)  # it turned
    run(instance, "eeee", DagsterRunStatus.FAILURE, "alerts")
    assert isinstance(look(sensor, instance, cursor)[0][0], SkipReason)


def test_a_run_that_is_tried_again_is_no_news_before_the_next_attempt_ended(
    here: Any, instance: DagsterInstance
) -> None:
    sensor = failures_sensor(Environment.DEMO, "alerts")
    run(instance, "aaaa", DagsterRunStatus.SUCCESS)
    _, cursor = look(sensor, instance)

    def kept() -> dict[str, str]:
        with here() as connection:
            return {each.run_id[:1]: each.status for each in receipts.receipts(connection)}

    for name, status, again, parent, asked in (
        ("bbbb", DagsterRunStatus.FAILURE, "true", None, SkipReason),
        ("cccc", DagsterRunStatus.FAILURE, "true", "bbbb", SkipReason),
        ("dddd", DagsterRunStatus.SUCCESS, "false", "cccc", SkipReason),  # it went well: nobody need know
        ("eeee", DagsterRunStatus.FAILURE, "true", None, SkipReason),
        ("ffff", DagsterRunStatus.FAILURE, "false", "eeee", RunRequest),  # it did not
    ):
        run(instance, name, status, again=again, parent=parent)
        found, cursor = look(sensor, instance, cursor)
        assert isinstance(found[0], asked), name
        if name == "cccc":
            assert kept() == {"a": "succeeded"}  # what looks meanwhile takes the job for well
    assert kept() == {
        "a": "succeeded", "b": "failed", "c": "failed", "d": "succeeded", "e": "failed", "f": "failed",
    }  # fmt: skip


def test_a_job_whose_first_word_is_a_failure_is_told(here: Any, instance: DagsterInstance) -> None:
    run(instance, "aaaa", DagsterRunStatus.FAILURE)
    run(instance, "bbbb", DagsterRunStatus.FAILURE, "__ASSET_JOB")
    found, _ = look(failures_sensor(Environment.DEMO, "alerts"), instance)
    assert isinstance(found[0], RunRequest)
    with here() as connection:
        assert [each.job for each in receipts.receipts(connection)] == ["ops_pulse"]


def test_a_run_writes_its_receipt_even_when_it_fails(here: Any, instance: DagsterInstance) -> None:
    @op
    def looked() -> int:
        return 1

    @op
    def said(found: int) -> None:
        raise RuntimeError("Slack is\\n away")

    @job(hooks=set(RECEIPT_HOOKS), executor_def=in_process_executor, tags={"job": "late_orders", "bot": "logistics"})
    def late_orders() -> None:
        said(looked())

    result = late_orders.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    with here() as connection:
        (receipt,) = receipts.receipts(connection)
    assert (receipt.run_id, receipt.job, receipt.bot) == (result.run_id, "late_orders", "logistics")
    assert (receipt.status, receipt.checked, receipt.noted_by) == ("failed", None, "run")
    assert receipt.error == "said: Slack is\\n away"
    # The sensor finds it told already, and that the job turned.
    found, _ = look(failures_sensor(Environment.DEMO, "alerts"), instance)
    assert isinstance(found[0], RunRequest)
    with here() as connection:
        assert receipts.receipts(connection)[0].noted_by == "run"


def test_a_receipt_that_cannot_be_written_fails_no_run(instance: DagsterInstance, monkeypatch: Any) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise OSError("the database is away")

    monkeypatch.setattr("ops_platform.database.connect", away)

    @op
    def looked() -> None: ...

    @job(hooks=set(RECEIPT_HOOKS), executor_def=in_process_executor)
    def quiet() -> None:
        looked()

    assert quiet.execute_in_process(instance=instance).success
