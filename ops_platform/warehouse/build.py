"""One build of the warehouse at a time, and what a build must be to be published.

Belongs here: the lock that every build takes, the verdict on a finished dbt run, recording and publishing it. Does not
belong here: running dbt (`ops dbt`, Dagster's asset), how tables are published (`publication.py`).

Only a build of the whole project in which nothing failed is published: a part of it would put numbers of two
definitions beside each other. The lock is the session's: a build that dies gives it back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import TransientFailure

if TYPE_CHECKING:
    import psycopg

    from ops_platform.warehouse.publication import Publication

# Every process that builds in this database takes turns; the number only has to be ours.
BUILD_LOCK = 4_172_018_004
_WAIT_SECONDS = 2.0
# What the dbt results say of a node that is as it should be.
_GOOD = frozenset({"success", "pass", "warn", "no-op", "reused"})
# Options under which dbt builds something else than what the files say, with the value that is no change.
_CHANGES_MEANING: dict[str, object] = {
    "empty": False, "sample": None, "defer": False, "favor_state": False, "vars": {}, "event_time_start": None,
    "event_time_end": None,
}  # fmt: skip


@contextmanager
def build_lock(connection: psycopg.Connection[Any], *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the right to build while the block runs. `connection` is in autocommit and does nothing else meanwhile.

    Raises `TransientFailure`, which names the holder, when another build is still running after `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", (BUILD_LOCK,)).fetchone()
        if row is not None and row[0]:
            break
        if time.monotonic() >= deadline:
            raise TransientFailure(
                f"another build of the warehouse is running ({_holder(connection)}): "
                "nothing was started here. Try again when it is done."
            )
        time.sleep(min(_WAIT_SECONDS, max(0.0, deadline - time.monotonic())))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", (BUILD_LOCK,))


def _holder(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute(
        "select activity.application_name, activity.pid, activity.backend_start from pg_locks"
        " join pg_stat_activity as activity using (pid) where locktype = 'advisory' and granted"
        " and pg_locks.database = (select oid from pg_database where datname = current_database())"
        " and (classid::bigint << 32) | objid::bigint = %s",
        (BUILD_LOCK,),
    ).fetchone()
    if row is None:
        return "it has just ended"
    since = "" if row[2] is None else f", since {row[2]:%H:%M:%S} UTC"
    return f"{row[0] or 'unnamed'}, connection {row[1]}{since}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a dbt run. `why_not` says why nothing of it may be published; empty when it may."""

    models: int
    tests: int
    failures: int
    warnings: int
    why_not: str

    @property
    def publishable(self) -> bool:
        return not self.why_not


def judge(manifest: Path, run_results: Path, *, whole: bool = True, passed: bool = True) -> Verdict:
    """Whether a run built and proved the whole project, or all that it was to build where that is not the whole.

    `passed` is dbt's own word, its exit code: a run that was stopped leaves results, too. Missing or unreadable
    results are a failure."""
    try:
        nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
        run = json.loads(run_results.read_text(encoding="utf-8"))
        statuses = {str(item["unique_id"]): str(item["status"]) for item in run["results"]}
        options = run["args"]
    except (OSError, ValueError, KeyError, TypeError):
        return Verdict(0, 0, 1, 0, "dbt left no readable results")
    kinds = [unique_id.split(".", 1)[0] for unique_id in statuses]
    bad = sorted(unique_id for unique_id, status in statuses.items() if status not in _GOOD)
    return Verdict(
        models=sum(kind in ("model", "seed", "snapshot") for kind in kinds),
        tests=sum(kind in ("test", "unit_test") for kind in kinds),
        failures=sum(statuses[unique_id] != "skipped" for unique_id in bad),
        warnings=sum(status == "warn" for status in statuses.values()),
        why_not=_why_not(nodes, statuses, bad, options, whole=whole) or ("" if passed else "dbt did not end well"),
    )


def _why_not(
    nodes: dict[str, Any], statuses: dict[str, str], bad: list[str], options: dict[str, Any], *, whole: bool
) -> str:
    if bad:
        first = ", ".join(_short(nodes, unique_id) for unique_id in _first_causes(bad, statuses)[:3])
        return f"{len(bad)} of {len(statuses)} did not pass: {first}" + (" and more" if len(bad) > 3 else "")
    if options.get("which") != "build":
        return f"`dbt {options.get('which')}` does not test what it builds"
    changed = [
        name for name, same in _CHANGES_MEANING.items() if name in options and (options[name] or same) != same
    ]  # fmt: skip
    if changed:
        return "it was built with " + ", ".join(f"--{name.replace('_', '-')}" for name in changed)
    if not whole:
        return "" if statuses else "nothing was built"
    wanted = {
        unique_id
        for unique_id, node in nodes.items()
        if node["resource_type"] in ("model", "seed", "snapshot", "test")
        and node.get("config", {}).get("enabled", True)
        and node.get("config", {}).get("materialized") != "ephemeral"
    }
    missing = wanted - statuses.keys()
    if missing:
        return f"only a part was built: {len(wanted) - len(missing)} of {len(wanted)} models, seeds and tests"
    return ""


def _first_causes(bad: list[str], statuses: dict[str, str]) -> list[str]:
    """What failed itself before what was only skipped."""
    return sorted(bad, key=lambda unique_id: (statuses[unique_id] == "skipped", unique_id))


def _short(nodes: dict[str, Any], unique_id: str) -> str:
    return str(nodes.get(unique_id, {}).get("name") or unique_id.split(".")[-1])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a build: the verdict, and the publication if there was one. `tables` is how many it covers."""

    verdict: Verdict
    publication: Publication | None
    tables: int


def settle(
    connection: psycopg.Connection[Any],
    target: Path,
    *,
    run_id: str,
    fingerprint: str,
    started: datetime,
    now: datetime,
    passed: bool,
    only: Set[str] | None = None,
    part: Iterable[str] | None = None,
    record_failure: bool = True,
) -> Outcome:
    """Record the dbt run whose artifacts are in `target`, and publish it if it is whole and nothing failed.

    `passed` is whether dbt ended well. `only` names the public models of a job that builds no more than it reads:
    those are published when its part of the project passed. `part` names the models where they are not the whole
    project. A failed run is recorded unless it is somebody's trial
    (`record_failure`): the published numbers stay as they are, and documents say since when they are not proven
    anew."""
    from ops_platform.warehouse.publication import public_models, publish, remember_manifest

    manifest = target / "manifest.json"
    verdict = judge(manifest, target / "run_results.json", whole=only is None, passed=passed)
    if not verdict.publishable and not record_failure:
        return Outcome(verdict, None, 0)
    row = connection.execute(
        "insert into ops.warehouse_builds (run_id, fingerprint, status, started_at, finished_at, models, tests,"
        " failures, warnings, of_models) values (%s, %s, %s, %s, clock_timestamp(), %s, %s, %s, %s, %s) returning id",
        (
            run_id, fingerprint, "succeeded" if verdict.publishable else "failed", started, verdict.models,
            verdict.tests, verdict.failures, verdict.warnings, None if part is None else sorted(part),
        ),
    ).fetchone()  # fmt: skip
    assert row is not None
    connection.commit()
    if not verdict.publishable:
        return Outcome(verdict, None, 0)
    public = public_models(manifest)
    models = [model for model in public if only is None or model.name in only]
    publication = publish(connection, models, now, build_id=row[0])
    connection.commit()
    if len(models) == len(public):
        remember_manifest(manifest, publication)
    return Outcome(verdict, publication, len(models))


def describe(publication: Publication, models: int) -> str:
    """One line of what a publication did."""
    if not publication.changed:
        return f"publication {publication.id}: {models} tables, nothing in them changed"
    deleted = sum(gone for gone, _ in publication.changed.values())
    inserted = sum(come for _, come in publication.changed.values())
    return (
        f"publication {publication.id}: {len(publication.changed)} of {models} tables changed"
        f" (rows −{deleted:,} +{inserted:,})"
    )
