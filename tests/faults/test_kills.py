"""Killed at any named point of a sync, of any vendor, nothing is lost, doubled or half there.

The vendor's world in the sandbox is the judge, and it goes on changing between the kills. By default one connector is
killed at every point, another at those of its protocol, and each at a few; `make test-all` kills every connector at
every point, and at least a hundred times, some of them at a random instant. `OPS_KILL_TRIALS` sets its trials per point
(with n clean trials the rate of failure is below about 3/n).
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from resources.vendors import VENDORS
from tests.faults import oracle
from tests.faults.conftest import Trial, TrialOf
from tests.faults.scenarios import scenario_of
from tests.faults.test_reread_kills import POINTS as REREAD_POINTS
from tests.faults.victim import ForkServer

ROOT = Path(__file__).resolve().parents[2]
# Every kill of `make test-all`: this many times each point, and random instants on top.
TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "4"))
RANDOM_INSTANTS = 40

# In the order a sync comes by them. True: its data and cursor are committed by then, whatever follows.
POINTS: dict[str, bool] = {
    "sync.opened": False,
    "sync.page_requested": False,
    "http.answering": False,
    "sync.page_read": False,
    "sync.quarantined": False,
    "sync.page_staged": False,
    "load.copying": False,
    "sync.staged": False,
    "sync.before_merge": False,
    "sync.mid_merge": False,
    "sync.before_cursor": False,
    "sync.after_cursor": False,
    "sync.before_commit": False,
    "sync.after_commit": True,
    "sync.sweep_read": True,
    "sync.mid_sweep": True,
    "sync.after_sweep": True,
    "sync.before_tie_out": True,
    "sync.mid_tie_out": True,
    "sync.after_tie_out": True,
    "sync.closed": True,
}
# Points of one vendor's protocol; reached before or after the commit, as the stream is read or swept.
VENDOR_POINTS: dict[str, tuple[str, ...]] = {
    "shopify": (
        "shopify.bulk_started", "shopify.bulk_polled", "shopify.bulk_downloading", "shopify.bulk_downloaded",
    ),
}  # fmt: skip

# One that comes by every point, and what each of the others is killed at by default: in the middle of what it lands,
# of what it commits and of what it sweeps.
WHOLE = "klaviyo"
FEW = ("http.answering", "sync.quarantined", "sync.mid_merge", "sync.after_commit", "sync.mid_sweep")


def points_of(vendor: str) -> list[str]:
    skipped = scenario_of(vendor).unreached
    return [point for point in (*POINTS, *VENDOR_POINTS.get(vendor, ())) if point not in skipped]


def kill(trial: Trial, server: ForkServer, point: str, first: int) -> str:
    """Kill a sync at `point`, on the first stream (from `first` on, in turn) that comes by it; which one."""
    names = trial.scenario.streams
    for offset in range(len(names)):
        stream = names[(first + offset) % len(names)]
        before = trial.state(stream)
        code, said = server.run(trial.order(stream, point, spoil=point == "sync.quarantined"))
        if code == 0:
            assert said.startswith("succeeded"), (trial.scenario.vendor, stream, point, said)
            continue
        assert code == -signal.SIGKILL, (trial.scenario.vendor, stream, point, code, said)
        check_after_kill(trial, stream, before, POINTS.get(point))
        return stream
    raise AssertionError(f"{trial.scenario.vendor} never comes by {point}: say why in its scenario (unreached)")


def check_after_kill(trial: Trial, stream: str, before: oracle.State, committed: bool | None) -> None:
    """Right after a kill readers see all of the sync or nothing of it, and its receipt says which.

    `committed` is what the point promises, None where it promises neither."""
    vendor, now = trial.scenario.vendor, trial.state(stream)
    last = oracle.receipt(trial.connection, vendor, stream)
    done = last is not None and last[1] == "succeeded" and (committed is not False)
    if committed is not None:
        assert done is committed, (vendor, stream, last)
    if not done:
        assert now == before, (vendor, stream, "a sync that did not commit changed something")
        return
    assert oracle.cursor_not_ahead(trial.connection, vendor, stream), (vendor, stream, now)
    expected, found = trial.expected(stream), trial.landed(stream)
    # What the vendor deleted may still be there (the sweep comes after the commit); all else is exact.
    extra = {key: facts for key, facts in found.items() if key in expected or facts is None}
    assert not (wrong := oracle.differences(expected, extra)), (vendor, stream, wrong)


def recover(trial: Trial, stream: str) -> None:
    """The next sync ends whole; the one after it has nothing to do."""
    trial.check_whole(stream, trial.sync(stream))


def killed_while_the_world_changes(trial: Trial, server: ForkServer, points: list[str]) -> None:
    vendor = trial.scenario.vendor
    for number, point in enumerate(points):
        stream = kill(trial, server, point, number)
        if number % 2:
            # Every other time the world moves on before anybody comes back; else it is found as it was left.
            trial.step()
        if number % 3 == 2:
            # In between a kill follows upon a kill.
            recover(trial, stream)
    for stream in trial.scenario.streams:
        trial.check_whole(stream, trial.sync(stream))
        again = trial.sync(stream)
        assert again.changed == 0, (vendor, stream, again)
    planted = trial.connection.execute(
        "select count(*) from ops.quarantine where vendor = %s and record_id = 'planted'", (vendor,)
    ).fetchone()
    assert planted == (1,)


@pytest.mark.parametrize(
    "vendor", [vendor if vendor == WHOLE else pytest.param(vendor, marks=pytest.mark.slow) for vendor in VENDORS]
)
def test_killed_at_every_point_while_the_world_changes(vendor: str, trial_of: TrialOf, fork_server: ForkServer) -> None:
    killed_while_the_world_changes(trial_of(vendor), fork_server, points_of(vendor))


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor != WHOLE])
def test_killed_at_a_few_points_while_the_world_changes(
    vendor: str, trial_of: TrialOf, fork_server: ForkServer
) -> None:
    few = {*FEW, *VENDOR_POINTS.get(vendor, ())}
    points = [point for point in points_of(vendor) if point in few]
    killed_while_the_world_changes(trial_of(vendor), fork_server, points)


def test_every_point_is_killed_at_by_default() -> None:
    """Whatever else `make test-all` kills at."""
    assert set(points_of(WHOLE)) >= set(POINTS) - set(scenario_of(WHOLE).unreached)
    assert not scenario_of(WHOLE).unreached
    assert set(FEW) <= set(POINTS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("vendor", VENDORS)
def test_killed_a_hundred_times(vendor: str, trial_of: TrialOf, fork_server: ForkServer) -> None:
    """Each point several times, first loads too, kills upon kills, and kills at random instants."""
    trial = trial_of(vendor)
    kills = 0
    for round_ in range(TRIALS):
        if round_ % 2 and trial.scenario.begins_whole:
            # From nothing again: the first load of a table is another path than what changed since.
            for stream in trial.scenario.streams:
                trial.connection.execute(f"truncate raw_{vendor}.{stream}")
            trial.connection.execute("delete from ops.cursors where vendor = %s", (vendor,))
        for number, point in enumerate(points_of(vendor)):
            trial.step()
            stream = kill(trial, fork_server, point, number + round_)
            kills += 1
            if trial.draw.random() < 0.6:
                recover(trial, stream)
    # A sync that was done before its instant came is no kill; those are few, and not waited for without end.
    wanted = max(100, kills + RANDOM_INSTANTS)
    for _ in range(4 * (wanted - kills)):
        if kills == wanted:
            break
        trial.step()
        stream = trial.draw.choice(trial.scenario.streams)
        before = trial.state(stream)
        code, said = fork_server.run(trial.order(stream, after=trial.draw.uniform(0.003, 0.12)))
        if code == -signal.SIGKILL:
            kills += 1
            last = oracle.receipt(trial.connection, vendor, stream)
            now = trial.state(stream)
            assert now == before or (last is not None and last[1] == "succeeded"), (vendor, stream, last)
            assert oracle.cursor_not_ahead(trial.connection, vendor, stream)
        else:
            assert code == 0 and said.startswith("succeeded"), (vendor, stream, code, said)
        if trial.draw.random() < 0.5:
            recover(trial, stream)
    assert kills >= 100
    for stream in trial.scenario.streams:
        recover(trial, stream)


# What goes out has points of its own, and its kills in tests/delivery and tests/approvals.
SENDERS = {"email", "slack_files", "drafts"}


def test_every_point_in_the_code_is_killed_at() -> None:
    """No point of a sync without its kill, no kill at a point that is gone."""
    # Taking a record back out of the quarantine is no sync, and has points of its own.
    ingestion = [path for path in (ROOT / "ops_platform" / "ingestion").glob("*.py") if "retry" not in path.stem]
    files = [
        *ingestion,
        ROOT / "ops_platform" / "database" / "load.py",
        *(path for path in (ROOT / "resources").rglob("*.py") if path.stem not in SENDERS),
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    named = {name for names in VENDOR_POINTS.values() for name in names}
    # Days read again have their kills in test_reread_kills.py.
    assert set(re.findall(r'failpoint\("([^"]+)"\)', text)) == {*POINTS, *named, *REREAD_POINTS}


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_connector_comes_by_twelve_points_at_least(vendor: str) -> None:
    scenario = scenario_of(vendor)
    assert scenario.vendor == vendor
    assert set(scenario.unreached) <= set(POINTS), scenario.unreached
    assert len(points_of(vendor)) >= 12
