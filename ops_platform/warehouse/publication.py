"""Publishing: what was built aside and passed its tests becomes what everybody reads, in one transaction.

Belongs here: bringing the public tables (`marts`, `metrics`) to the state of their candidates (`candidate_marts`,
`candidate_metrics`), and the record of each publication. Does not belong here: building and testing (dbt).

Write, audit, publish: dbt writes candidates and tests them there. Only when no error-level test failed are the
differences written to the public tables, all of them in one transaction, so that a reader sees either all of the old
numbers or all of the new. Public tables are changed in place: readers, grants and views on them survive, and a
publication costs what changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failpoints import failpoint
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

CANDIDATE = "candidate_"
# The publisher keeps its place in the change log as one more reader of it.
READER = "publication"
# A build and a publication never overlap with another; the number only has to be ours.
_PUBLISH_LOCK = 4_172_018_003


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A table people read: where it is, what identifies a row, and the column it is computed in parts by."""

    schema: str
    name: str
    key: tuple[str, ...]
    scope: str | None

    @property
    def candidate(self) -> str:
        return f"{CANDIDATE}{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Publication:
    """What one publication did: its id, and how many rows were deleted and inserted in each table it changed."""

    id: int
    published_at: datetime
    changed: dict[str, tuple[int, int]]


def public_models(manifest: Path) -> list[PublicModel]:
    """The public models of the project, from dbt's manifest."""
    nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"].values()
    found = []
    for node in nodes:
        config = node["config"]
        schema = str(node["schema"])
        if node["resource_type"] != "model" or config["materialized"] != "lasting_table":
            continue
        if not schema.startswith(CANDIDATE):
            continue
        key = config["unique_key"]
        found.append(
            PublicModel(
                schema.removeprefix(CANDIDATE),
                str(node["alias"]),
                (key,) if isinstance(key, str) else tuple(key),
                config.get("scope"),
            )
        )
    return sorted(found, key=lambda model: (model.schema, model.name))


def publish(
    connection: psycopg.Connection[Any],
    models: Iterable[PublicModel],
    now: datetime,
    *,
    build_id: int | None = None,
) -> Publication:
    """Bring the public tables of `models` to the state of their candidates, in one transaction.

    A candidate that was never built is left out. Raises `DataFailure` when a public table's columns changed and
    something outside the platform stands on it; nothing is published then."""
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_PUBLISH_LOCK,))
        row = connection.execute(
            "insert into ops.publications (build_id, published_at) values (%s, %s) returning id", (build_id, now)
        ).fetchone()
        assert row is not None
        publication = Publication(row[0], now, {})
        for model in models:
            failpoint("publish.before_table")
            if not _exists(connection, model.candidate):
                continue
            written = _publish_one(connection, model)
            if written != (0, 0):
                publication.changed[f"{model.schema}.{model.name}"] = written
            connection.execute(
                "insert into ops.published_models (relation, publish_id, changed_by) values (%(name)s, %(id)s, %(by)s)"
                " on conflict (relation) do update set publish_id = excluded.publish_id,"
                " changed_by = coalesce(excluded.changed_by, published_models.changed_by)",
                {
                    "name": f"{model.schema}.{model.name}",
                    "id": publication.id,
                    "by": publication.id if written != (0, 0) else None,
                },
            )
        connection.execute(
            "update ops.publications set tables_changed = %s, rows_deleted = %s, rows_inserted = %s where id = %s",
            (
                len(publication.changed),
                sum(deleted for deleted, _ in publication.changed.values()),
                sum(inserted for _, inserted in publication.changed.values()),
                publication.id,
            ),
        )
        connection.execute("select ops.prune_row_changes()")
        failpoint("publish.before_commit")
    failpoint("publish.after_commit")
    return publication


def published_state() -> Path:
    """The folder with the manifest of the last publication made from this home, as dbt's `--state` wants it."""
    from ops_platform.settings import get_settings

    return get_settings().ops_home / "warehouse" / "published"


def remember_manifest(manifest: Path, publication: Publication) -> None:
    """Keep the manifest that a publication was made from: what `ops metric diff` compares the files with."""
    folder = published_state()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "publication.json").unlink(missing_ok=True)
    temporary = folder / "manifest.json.new"
    temporary.write_bytes(manifest.read_bytes())
    temporary.replace(folder / "manifest.json")
    said = {"id": publication.id, "published_at": publication.published_at.isoformat()}
    (folder / "publication.json").write_text(json.dumps(said), encoding="utf-8")


def _exists(connection: psycopg.Connection[Any], relation: str) -> bool:
    row = connection.execute("select to_regclass(%s) is not null", (relation,)).fetchone()
    return bool(row and row[0])


def _columns(connection: psycopg.Connection[Any], schema: str, name: str) -> list[tuple[str, str, bool]]:
    return connection.execute(
        "select attname::text, format_type(atttypid, atttypmod), attnotnull from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        (f"{schema}.{name}",),
    ).fetchall()


def _publish_one(connection: psycopg.Connection[Any], model: PublicModel) -> tuple[int, int]:
    """Rows deleted and inserted."""
    from psycopg import sql

    given = sql.Identifier(f"{CANDIDATE}{model.schema}", model.name)
    standing = sql.Identifier(model.schema, model.name)
    stamp, seen = connection.execute(
        "select ops.change_stamp(%(relation)s), (select progress.seen from ops.model_progress as progress"
        " where progress.model = %(reader)s and progress.parent = %(relation)s)",
        {"relation": model.candidate, "reader": READER},
    ).fetchone() or (0, None)
    columns = _columns(connection, f"{CANDIDATE}{model.schema}", model.name)
    made = _make_ready(connection, model, columns, given, standing)
    if not made and seen is not None and stamp <= seen:
        return 0, 0
    values = None
    if not made and seen is not None and model.scope:
        values = _changed(connection, model, seen, stamp)
    if made:
        written = _fill(connection, model, given, standing)
    else:
        written = _write_differences(connection, model, [name for name, _, _ in columns], given, standing, values)
    connection.execute(
        "insert into ops.model_progress (model, parent, seen, definition) values (%s, %s, %s, '')"
        " on conflict (model, parent) do update set seen = excluded.seen",
        (READER, model.candidate, stamp),
    )
    return written


def _changed(connection: psycopg.Connection[Any], model: PublicModel, seen: int, stamp: int) -> list[str] | None:
    """The changed values of the scope; None when they are too many to name."""
    values = [
        value
        for (value,) in connection.execute(
            "select value from ops.changed_values(%s, %s, %s, %s)", (model.candidate, model.scope, seen, stamp)
        )
    ]
    return None if None in values else values


def _make_ready(
    connection: psycopg.Connection[Any],
    model: PublicModel,
    columns: list[tuple[str, str, bool]],
    given: sql.Identifier,
    standing: sql.Identifier,
) -> bool:
    """Make the public table, or make it anew where its columns changed. Whether it was made."""
    import psycopg.errors
    from psycopg import sql

    present = _columns(connection, model.schema, model.name)
    if present == columns:
        return False
    granted = _grants(connection, model) if present else []
    if present:
        kind = connection.execute("select relkind from pg_class where oid = to_regclass(%s)", (
            f"{model.schema}.{model.name}",)).fetchone()  # fmt: skip
        what = sql.SQL("view" if kind and kind[0] in ("v", b"v") else "table")
        try:
            connection.execute(sql.SQL("drop {} {}").format(what, standing))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise DataFailure(
                f"{model.schema}.{model.name} has other columns now, but something stands on it:"
                f" {error.diag.message_detail}. Drop that first; nothing was published."
            ) from None
    # Indexes come after the rows: a table filled first and indexed once costs half.
    connection.execute(sql.SQL("create table {} (like {} including all excluding indexes)").format(standing, given))
    comment = connection.execute("select obj_description(to_regclass(%s), 'pg_class')", (model.candidate,)).fetchone()
    if comment and comment[0]:
        connection.execute(sql.SQL("comment on table {} is {}").format(standing, sql.Literal(comment[0])))
    for grantee, privilege in granted:
        connection.execute(
            sql.SQL("grant {} on {} to {}").format(
                sql.SQL(privilege), standing, sql.Identifier(grantee) if grantee else sql.SQL("public")
            )
        )
    return True


def _grants(connection: psycopg.Connection[Any], model: PublicModel) -> list[tuple[str | None, str]]:
    """Who may do what on the public table as it stands, its owner left out; no name is PUBLIC."""
    return connection.execute(
        "select roles.rolname::text, acl.privilege_type from pg_class"
        " cross join lateral aclexplode(relacl) as acl left join pg_roles as roles on roles.oid = acl.grantee"
        " where pg_class.oid = to_regclass(%s) and acl.grantee <> relowner",
        (f"{model.schema}.{model.name}",),
    ).fetchall()


def _fill(
    connection: psycopg.Connection[Any], model: PublicModel, given: sql.Identifier, standing: sql.Identifier
) -> tuple[int, int]:
    """Fill a table that was just made, then index it as its candidate is."""
    from psycopg import sql

    inserted = connection.execute(sql.SQL("insert into {} select * from {}").format(standing, given)).rowcount
    for columns, unique in connection.execute(
        "select (select string_agg(quote_ident(attname), ', ' order by place) from unnest(indkey::smallint[])"
        " with ordinality as part (number, place) join pg_attribute on attrelid = indrelid and attnum = number),"
        " indisunique from pg_index where indrelid = to_regclass(%s)",
        (model.candidate,),
    ).fetchall():
        connection.execute(
            sql.SQL("create {} index on {} ({})").format(
                sql.SQL("unique" if unique else ""), standing, sql.SQL(columns)
            )
        )
    connection.execute(sql.SQL("analyze {}").format(standing))
    return 0, inserted


def _write_differences(
    connection: psycopg.Connection[Any],
    model: PublicModel,
    columns: list[str],
    given: sql.Identifier,
    standing: sql.Identifier,
    values: list[str] | None,
) -> tuple[int, int]:
    """Rows deleted and inserted; only among the values of the scope where these are given."""
    from psycopg import sql

    same_key = sql.SQL(" and ").join(
        sql.SQL("given.{column} = standing.{column}").format(column=sql.Identifier(column)) for column in model.key
    )
    given_row, standing_row = (
        sql.SQL(", ").join(sql.Identifier(alias, column) for column in columns) for alias in ("given", "standing")
    )
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    parameters: dict[str, Any] = {}
    of_given: sql.Composable = sql.SQL("true")
    of_standing: sql.Composable = of_given
    if values is not None:
        assert model.scope is not None
        parameters["values"] = values
        scope = sql.Identifier(model.scope)
        kinds = {name: kind for name, kind, _ in _columns(connection, model.schema, model.name)}
        narrowed = sql.SQL("{alias}.{scope} = any(%(values)s::{kind}[])")
        of_given, of_standing = (
            narrowed.format(alias=sql.Identifier(alias), scope=scope, kind=sql.SQL(kinds[model.scope]))
            for alias in ("given", "standing")
        )
    deleted = connection.execute(
        sql.SQL(
            "delete from {standing} as standing where {narrowed} and not exists (select 1 from {given} as given"
            " where {same_key} and ({given_row}) is not distinct from ({standing_row}))"
        ).format(
            standing=standing, given=given, narrowed=of_standing, same_key=same_key,
            given_row=given_row, standing_row=standing_row,
        ),
        parameters,
    ).rowcount  # fmt: skip
    inserted = connection.execute(
        sql.SQL(
            "insert into {standing} ({names}) select {names} from {given} as given where {narrowed} and not exists"
            " (select 1 from {standing} as standing where {same_key})"
        ).format(standing=standing, given=given, names=names, narrowed=of_given, same_key=same_key),
        parameters,
    ).rowcount
    return deleted, inserted
