"""The warehouse: dbt's models as assets, dbt's tests as asset checks.

Belongs here: running dbt for the selected assets and telling Dagster what came of it. Does not belong
here: any SQL (`dbt_project/`).

A model that could not be built keeps the table its last good build left; it is reported as kept, with
failing checks, so that what reads it still runs and says since when the numbers are unknown.
"""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    FreshnessPolicy,
    MaterializeResult,
    multi_asset,
)

from assets.narrowed import narrowed
from ops_platform import clock, progress
from ops_platform.fleet import get_fleet
from ops_platform.instance.steps import know_outputs_once
from ops_platform.warehouse.dbt import DBT_PROJECT, prepare_manifest
from resources.dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from resources.postgres import WarehouseResource

_LAYERS = ("staging", "intermediate", "marts", "metrics")
BUILD_WAIT_SECONDS = 900
# What is reported when dbt begins, and when it is at the last of its models, of which each waits for the one before.
BUILDING = "warehouse: building and testing models"
AT_THE_LAST = "warehouse: bringing the metrics together"
_LAST_SHARE = 0.05
# One build at a time.
POOL = "warehouse"
# dagster-dbt's names for the manifest and the node an asset is of, and for what dbt is to select.
_DBT_MANIFEST, _DBT_ID, _DBT_SELECT = "dagster_dbt/manifest", "dagster_dbt/unique_id", "dagster_dbt/select"


class WarehouseTranslator(DagsterDbtTranslator):
    """Names, groups and owners of dbt's nodes in the graph: raw sources are the raw assets."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            source, table = dbt_resource_props["source_name"], dbt_resource_props["name"]
            return (
                AssetKey(["raw", source.removeprefix("raw_"), table])
                if source.startswith("raw_")
                else AssetKey([source, table])
            )
        if dbt_resource_props["resource_type"] == "seed":
            return AssetKey(["seeds", dbt_resource_props["name"]])
        return AssetKey([_layer(dbt_resource_props), dbt_resource_props["name"]])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        meta = props.get("config", {}).get("meta", {})
        metric = meta.get("metric", {})
        owner = metric.get("owner") or meta.get("owner") or "coordinator"
        division = metric.get("division") or meta.get("division") or "all"
        return spec.replace_attributes(
            group_name="seeds" if props["resource_type"] == "seed" else _layer(props),
            owners=[f"team:{owner}"],
            tags={"bot": owner, "division": division},
            kinds={"dbt", "postgres"},
            freshness_policy=FreshnessPolicy.time_window(
                fail_window=timedelta(hours=26), warn_window=timedelta(hours=25)
            ),
        )

    def get_asset_check_spec(
        self, asset_spec: AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetCheckSpec | None:
        # A failing test must not end the run: the pulse goes out and says since when its numbers are unknown.
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return None if spec is None else spec._replace(blocking=False)


def _layer(props: Mapping[str, Any]) -> str:
    """The layer is the first folder below `models/`, which is also the schema."""
    parts = str(props["original_file_path"]).split("/")
    return parts[1] if len(parts) > 2 and parts[1] in _LAYERS else parts[0]


def warehouse_assets() -> AssetsDefinition:
    """dbt's models, seeds and tests as one asset definition, of which a job takes what it needs."""
    manifest = prepare_manifest()

    def warehouse_build(
        context: AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource
    ) -> Iterator[Any]:
        yield from build_selected(context, dbt, warehouse)

    def part(name: str, specs: Sequence[AssetSpec], checks: Sequence[AssetCheckSpec]) -> AssetsDefinition:
        # Where all of a definition is asked for, dagster-dbt builds what this tag says, else all of dbt's project.
        models = (spec.metadata[_DBT_MANIFEST].manifest["nodes"][spec.metadata[_DBT_ID]] for spec in specs)
        chosen = {_DBT_SELECT: " ".join(".".join(model["fqn"]) for model in models)}
        return multi_asset(
            name=name, specs=specs, check_specs=checks, can_subset=True, op_tags=chosen, pool=POOL,
            allow_arbitrary_check_specs=True,
        )(warehouse_build)  # fmt: skip

    whole = dbt_assets(
        manifest=manifest, project=DbtProject(DBT_PROJECT), dagster_dbt_translator=WarehouseTranslator(),
        name=POOL, pool=POOL,
    )(warehouse_build)  # fmt: skip
    return narrowed(whole, part)


def build_selected(context: AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource) -> Iterator[Any]:
    """Build and test the selected models, unless nothing they read has changed since they were built."""
    know_outputs_once()
    with (
        warehouse.connect() as holder,
        # A build that the analyst started is waited for: the morning's numbers are late rather than missing.
        _turn(holder, context.run_id),
    ):
        yield from _build_alone(context, dbt, warehouse)


def _turn(connection: Any, run_id: str) -> AbstractContextManager[None]:
    """The right to build, on a connection that does nothing else."""
    from ops_platform.warehouse.build import build_lock

    connection.autocommit = True
    connection.execute("select set_config('application_name', %s, false)", (f"dagster run {run_id[:8]}",))
    return build_lock(connection, wait_seconds=BUILD_WAIT_SECONDS)


def _build_alone(context: AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource) -> Iterator[Any]:
    from ops_platform.database.roles import ensure_roles
    from ops_platform.fleet.publish import publish
    from ops_platform.warehouse.build import describe, settle
    from ops_platform.warehouse.dbt import build_fingerprint, connection_environment, last_good_fingerprint
    from ops_platform.warehouse.dbt_process import LEAVES_NO_SQL
    from resources.vendors import VENDORS

    fleet = get_fleet()
    selection = ",".join(sorted(key.to_user_string() for key in context.selected_asset_keys))
    with warehouse.connect() as connection:
        publish(connection, fleet, clock.now())
        fingerprint = build_fingerprint(connection, selection)
        unchanged = last_good_fingerprint(connection) == fingerprint
    if unchanged:
        progress.report("warehouse: nothing changed since the last build")
        for key in in_order(context.assets_def, context.selected_asset_keys):
            yield MaterializeResult(asset_key=key, metadata={"build": "unchanged", "fingerprint": fingerprint})
        for check in context.selected_asset_check_keys:
            # What is reused passed every test without a warning: the verdict stands for the same data.
            yield AssetCheckResult(
                check_name=check.name, asset_key=check.asset_key, passed=True, metadata={"build": "unchanged"}
            )
        return
    progress.report(BUILDING)
    names = {key.path[-1] for key in context.selected_asset_keys}
    part = _part(names)
    started = datetime.now(UTC)
    import os

    # dbt's folder is removed when the build is over.
    os.environ.update({**connection_environment(), LEAVES_NO_SQL: "1"})
    # Unit tests prove the SQL, not the data: they belong to `make test`, not to every morning.
    arguments = ["build", "--exclude-resource-type", "unit_test", "--log-level-file", "none"]
    if part is not None:
        # A test is of the part when all it compares is; one whose other side stays as it was could only fail.
        arguments += ["--indirect-selection", "cautious"]
    invocation = dbt.cli(arguments, context=context, raise_on_error=False)
    # It was of that process; what else dbt does here keeps its SQL.
    del os.environ[LEAVES_NO_SQL]
    emitted: set[AssetKey] = set()
    try:
        to_come = len(context.selected_asset_keys) * (1 - _LAST_SHARE)
        for event in invocation.stream():
            if (made := _key_of(context, event)) is not None:
                emitted.add(made)
                if len(emitted) >= to_come:
                    progress.report(AT_THE_LAST)
                    to_come = math.inf
            yield event
        passed = invocation.is_successful()
        with warehouse.connect() as connection:
            outcome = settle(
                connection, invocation.target_path, run_id=context.run_id, fingerprint=fingerprint, started=started,
                now=clock.now(), passed=passed, only=names, part=part,
            )  # fmt: skip
            verdict = outcome.verdict
            progress.report(
                f"warehouse: nothing was published: {verdict.why_not}"
                if outcome.publication is None
                else f"warehouse: {describe(outcome.publication, outcome.tables)}"
            )
            ensure_roles(connection, fleet.bots, [f"raw_{vendor}" for vendor in VENDORS])
    finally:
        shutil.rmtree(invocation.target_path, ignore_errors=True)
    progress.report(f"warehouse: {verdict.models} models, {verdict.tests} tests, {verdict.failures} failures")
    for key in in_order(context.assets_def, context.selected_asset_keys - emitted):
        yield MaterializeResult(
            asset_key=key, metadata={"build": "kept", "reason": "not built this time: see the checks"}
        )


def _part(names: Set[str]) -> Set[str] | None:
    """The models to be built where they are not all there are; None for the whole project."""
    from ops_platform.warehouse.publication import public_models

    return None if all(model.name in names for model in public_models(prepare_manifest())) else names


def in_order(definition: AssetsDefinition, keys: Set[AssetKey]) -> list[AssetKey]:
    """`keys` with parents before children: Dagster takes the outputs of one step in no other order."""
    parents = {spec.key: {dep.asset_key for dep in spec.deps} for spec in definition.specs}
    return [key for key in TopologicalSorter(parents).static_order() if key in keys]


def _key_of(context: AssetExecutionContext, event: Any) -> AssetKey | None:
    from dagster import Output

    if isinstance(event, Output):
        return context.asset_key_for_output(event.output_name)
    if isinstance(event, MaterializeResult) and not isinstance(event, AssetCheckResult):
        return event.asset_key
    return None
