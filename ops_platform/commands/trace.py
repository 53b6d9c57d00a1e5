"""`ops trace`: a published number, its fact, the metric's row, the rows under it, the raw records.

Belongs here: finding the claim, running its source again, printing the way down. Does not belong here: the way itself
(`ops_platform.warehouse.provenance`), what a fact is (`ops_platform.evidence`).

What the warehouse holds now may have moved since the document was written; the number as it was then is in the bundle,
and both are shown. Everything is read only, by a role that sees no personal data where it runs a recorded query.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ops_platform.commands.safe_text import printable
from ops_platform.documents.terminal import columns
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from ops_platform.documents.model import Document, UsedClaim
    from ops_platform.evidence.model import Bundle, Fact, Point, Series, Source
    from ops_platform.warehouse.provenance import Graph, Level
    from ops_platform.writing.archive import Archived

METRIC_TABLE = "metrics.fct_metric_daily"
DAYS_MOST = 1_100
SUMS_SHOWN = 5
QUERY_MILLISECONDS = 60_000
_SYNCS = """
select id, vendor, stream, status, finished_at, received, inserted, updated, tie_out
from ops.sync_runs where id = any(%s) order by id
"""


@dataclass(frozen=True, slots=True)
class Now:
    """What the fact's source gives today: `text` of its first row, and whether it is the number of the document
    (None where it cannot be told)."""

    text: str
    same: bool | None


def run(document: str, claim: str | None, *, depth: int, as_json: bool) -> int:
    """List the document's claims, or trace one of them."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.warehouse.dbt import MANIFEST, prepare_manifest
    from ops_platform.warehouse.provenance import graph
    from ops_platform.writing import archive

    prepare_database()
    with connect() as connection:
        archived = archive.load(connection, archive.find(connection, document))
        if claim is None:
            return _list(archived, as_json=as_json)
        found = find_claim(archived.document, claim)
        connection.rollback()
        lineage = graph(MANIFEST if MANIFEST.exists() else prepare_manifest())
        traced = trace(connection, lineage, archived, found, depth)
    if as_json:
        click.echo(json.dumps(traced.to_json(), default=str, indent=2))
    else:
        _print(traced)
    return 0


def find_claim(document: Document, wanted: str) -> UsedClaim:
    """The claim meant by its place in the list, its fact, `fact.path` or what is printed. Raises `DataFailure` where
    there is none, and where what is printed stands for several."""
    claims = document.claims
    number = wanted.removeprefix("#")
    if number.isdecimal() and 1 <= int(number) <= len(claims):
        return claims[int(number) - 1]
    for found in (
        [one for one in claims if f"{one.fact}.{one.path}" == wanted],
        [one for one in claims if one.fact == wanted and one.path == "value"],
        [one for one in claims if one.fact == wanted],
    ):
        if found:
            return found[0]
    printed = [one for one in claims if one.text == wanted]
    if not printed:
        raise DataFailure(f"the document claims no {wanted!r}: `ops trace DOCUMENT` lists what it claims")
    if len({(one.fact, one.path) for one in printed}) > 1:
        several = ", ".join(f"{one.fact}.{one.path}" for one in printed)
        raise DataFailure(f"{wanted!r} is printed for several claims: say which of {several}")
    return printed[0]


@dataclass(frozen=True, slots=True)
class Traced:
    """A claim with all that is under it."""

    archived: Archived
    claim: UsedClaim
    fact: Fact | Series
    source: Source
    now: Now | None
    metric: str | None
    days: tuple[str, ...]
    model: str | None
    levels: tuple[Level, ...]
    syncs: tuple[dict[str, Any], ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        from ops_platform.evidence.encoding import encode

        return {
            "document": self.archived.id, "job": self.archived.job, "claim": encode(self.claim),
            "fact": encode(self.fact), "evidence": self.archived.bundle.digest,
            "now": None if self.now is None else asdict(self.now),
            "metric": self.metric, "days": list(self.days), "model": self.model,
            "levels": [asdict(level) for level in self.levels], "syncs": list(self.syncs), "note": self.note,
        }  # fmt: skip


def trace(
    connection: psycopg.Connection[Any], lineage: Graph, archived: Archived, claim: UsedClaim, depth: int = 20
) -> Traced:
    """Follow one claim down, in a read-only transaction of its own on an idle connection."""
    from ops_platform.evidence.model import Fact, Series
    from ops_platform.warehouse.provenance import descend

    bundle = archived.bundle
    fact: Fact | Series | None = bundle.get(claim.fact) or bundle.line(claim.fact)
    if fact is None:
        raise DataFailure(f"the evidence has no fact {claim.fact!r}")
    source, value = claim.source, fact.value if isinstance(fact, Fact) else None
    if isinstance(fact, Series):
        point = _point_of(fact, claim.path)
        source, value = (source, None) if point is None else (_of_month(source, point.label), point.value)
    params = dict(source.params)
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        connection.execute(f"set local statement_timeout = {QUERY_MILLISECONDS}".encode())
        now = _run_again(connection, source, value)
        metric, days = params.get("metric_id"), _days(source)
        start = lineage.model(metric) if metric is not None else lineage.at(source.relation)
        levels: list[Level] = []
        note = ""
        if start is None:
            note = _beyond(source)
        elif not days:
            note = "its source names no day to follow; the query above is the way to its rows"
        elif depth:
            where = {}
            if params.get("dimension", "all") != "all":
                name = {"country": "country_name"}.get(params["dimension"], params["dimension"])
                where = {name: params["dimension_value"]}
            found = descend(connection, lineage, start, days, where=where)
            levels = [level for level in found if level.depth <= depth]
            note = "" if levels else "nothing is stored below it (a clock, a setting, a table not built here)"
        syncs = _syncs(connection, source.sync_ids)
    model = start.relation if start is not None else None
    return Traced(archived, claim, fact, source, now, metric, tuple(days), model, tuple(levels), tuple(syncs), note)


def _run_again(connection: psycopg.Connection[Any], source: Source, value: Decimal | None) -> Now | None:
    """The recorded query on what the warehouse holds now; None where the source is no query. A query that can no longer
    be run is said so: the evidence stands by itself."""
    import psycopg

    from ops_platform.database.roles import WRITER_READER

    if not source.query.lstrip().lower().startswith("select"):
        return None
    try:
        with connection.transaction():
            # What an evidence builder may read, and no more: the query comes out of a stored bundle.
            if connection.execute("select 1 from pg_roles where rolname = %s", (WRITER_READER,)).fetchone():
                connection.execute(f"set local role {WRITER_READER}".encode())
            row = connection.execute(source.query.encode(), dict(source.params)).fetchone()
            connection.execute("reset role")
    except psycopg.Error as error:
        return Now(f"cannot be run now: {str(error).splitlines()[0]}", None)
    if row is None:
        return Now("no row", None if value is None else False)
    same = None
    if len(row) == 1 and isinstance(row[0], Decimal | int) and value is not None:
        same = _as_kept(Decimal(row[0]), value) == value
    return Now(", ".join("NULL" if value is None else str(value) for value in row[:6]), same)


def _as_kept(now: Decimal, kept: Decimal) -> Decimal:
    """The number with as many places as the evidence kept of it: a ratio is kept rounded."""
    exponent = kept.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return round(now, max(places, 8))


def _days(source: Source) -> list[str]:
    """The business days that the source's query reads, as ISO text; none where it names none."""
    params = dict(source.params)
    try:
        if "date" in params:
            return [date.fromisoformat(params["date"]).isoformat()]
        if "end" in params:
            end = date.fromisoformat(params["end"])
            first = date.fromisoformat(params["start"]) if "between" in source.query and "start" in params else end
            span = min((end - first).days, DAYS_MOST - 1)
            return [(end - timedelta(days=back)).isoformat() for back in reversed(range(span + 1))]
    except ValueError:
        return []  # a moment, not a day: the operations' own tables
    return []


def _point_of(series: Series, path: str) -> Point | None:
    """The point that `points.N` names."""
    place = path.rpartition(".")[2]
    return series.points[int(place)] if place.isdecimal() and int(place) < len(series.points) else None


def _of_month(source: Source, label: str) -> Source:
    """The source of one point of a series by month (`Oct 2025`): the whole series' one, with that month's days."""
    from ops_platform.evidence.calendar import MONTHS

    name, _, year = label.partition(" ")
    months = [number for number, month in enumerate(MONTHS, 1) if month[:3] == name]
    params = dict(source.params)
    if not months or not year.isdecimal() or not {"start", "end"} <= params.keys():
        return source
    first = date(int(year), months[0], 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    params |= {"start": first.isoformat(), "end": last.isoformat()}
    return replace(source, params=tuple(params.items()))


def _beyond(source: Source) -> str:
    if source.relation.startswith("ops."):
        return "the platform's own record: there is nothing below it"
    return f"{source.relation or 'its source'} is no table of the warehouse"


def _syncs(connection: psycopg.Connection[Any], ids: Sequence[int]) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    if not ids:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_SYNCS, (list(ids),)).fetchall()


# Printing ---------------------------------------------------------------------------------------------------


def _list(archived: Archived, *, as_json: bool) -> int:
    claims = archived.document.claims
    if as_json:
        from ops_platform.evidence.encoding import encode

        click.echo(json.dumps([encode(claim) for claim in claims], indent=2))
        return 0
    width = max((len(claim.text) for claim in claims), default=0)
    for number, claim in enumerate(claims, 1):
        mark = " ≠ not tied out" if claim.tie_out == "mismatched" else ""
        what = f"{claim.fact}.{claim.path}"
        click.echo(f"{number:>4}  {printable(claim.text):<{width}}  {what}  {printable(claim.label)}{mark}")
    click.echo(f"{len(claims)} claims in document #{archived.id} {archived.job}")
    return 0


def _print(traced: Traced) -> None:
    from ops_platform.evidence.model import Fact

    archived, claim, fact = traced.archived, traced.claim, traced.fact
    bundle, source = archived.bundle, traced.source
    number = click.style(printable(claim.text), bold=True)
    click.echo(f"{number}  {claim.fact}.{claim.path} in document #{archived.id} {archived.job}, {_period(bundle)}")
    click.echo("\nFact")
    if isinstance(fact, Fact):
        _print_fact(fact)
    else:
        point = _point_of(fact, claim.path)
        click.echo(f"  {printable(fact.label)}: {_point(point)}, one of {len(fact.points)} points in {fact.unit}")
    click.echo(f"  {claim.status}, source and landed {claim.tie_out}, evidence {bundle.digest[:16]}")
    click.echo(f"\nSource  {printable(source.relation) or '(none)'}")
    if source.query:
        click.echo(f"  {printable(' '.join(source.query.split()))}")
    if source.params:
        click.echo(f"  with {', '.join(f'{name} = {printable(value)}' for name, value in source.params)}")
    if traced.now is not None:
        verdict = {True: " (as in the document)", False: " (it has moved since)", None: ""}[traced.now.same]
        click.echo(f"  gives now: {printable(traced.now.text)}{verdict}")
    if traced.metric is not None:
        click.echo(f"  what it means: `ops metric show {traced.metric}`")
    for level in traced.levels:
        _print_level(level)
    if traced.syncs:
        click.echo("\nSyncs it rests on")
        for sync in traced.syncs:
            when = f"{sync['finished_at']:%F %H:%M} UTC" if sync["finished_at"] else "not finished"
            what = f"#{sync['id']} {sync['vendor']}.{sync['stream']} {sync['status']} {when}"
            landed = f"{sync['received']:,} received, {sync['inserted']:,} new, {sync['updated']:,} changed"
            click.echo(f"  {what}: {landed}, {sync['tie_out']}")
    if traced.note:
        click.echo(f"\n{traced.note}")


def _print_fact(fact: Fact) -> None:
    value = fact.value if fact.numeric else fact.text or fact.day
    unit = fact.currency or fact.unit
    period = f", {fact.period.label} ({fact.period.start} to {fact.period.end})" if fact.period else ""
    click.echo(f"  {printable(fact.label)}: {'unknown' if value is None else printable(str(value))} {unit}{period}")
    for other in fact.comparisons:
        change = "" if other.delta is None else f", a change of {other.delta:+f}"
        click.echo(f"  vs {printable(other.label)}: {'unknown' if other.value is None else other.value}{change}")
    if fact.fresh_to is not None:
        click.echo(f"  fresh to {fact.fresh_to:%F %H:%M} UTC")
    if fact.unknown_since is not None:
        click.echo(f"  unknown since {fact.unknown_since:%F %H:%M} UTC")


def _print_level(level: Level) -> None:
    pad = "  " * min(level.depth, 8)
    name = click.style(level.relation, bold=level.stored)
    if level.count is None:
        click.echo(f"{pad}{name}  {level.because}")
        return
    what = f"{level.count:,} {'record' if level.stored else 'row'}{'' if level.count == 1 else 's'}"
    aside = level.cut and not level.stored
    click.echo(f"{pad}{name}  {what}, by {printable(level.because)}{' (not followed this way)' if aside else ''}")
    if aside:
        return
    if level.sums:
        click.echo(f"{pad}  Σ {', '.join(f'{column} {total}' for column, total in level.sums[:SUMS_SHOWN])}")
    rows = [tuple("·" if value is None else printable(str(value)) for value in row) for row in level.shown]
    if rows:
        for line in columns([list(level.columns), *(list(row) for row in rows)]):
            click.echo(f"{pad}  {line}")
    if level.count > len(rows) and rows:
        click.echo(f"{pad}  … {level.count - len(rows):,} more")


def _point(point: Any) -> str:
    if point is None:
        return "not a point of it"
    return f"{printable(point.label)} {'unknown' if point.value is None else point.value}"


def _period(bundle: Bundle) -> str:
    return f"{bundle.period.start} to {bundle.period.end}"
