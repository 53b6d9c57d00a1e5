"""The app's database as a source: five tables, paged by key in one snapshot each, counted in the same snapshot.

Belongs here: the contract with the loader (pages, living ids, totals). Does not belong here: what a column must
hold (`tables.py`), sessions and retries (`client.py`), the probes of `ops doctor` (`probes.py`).

How nothing is lost. A stream is read inside one repeatable-read transaction, so its pages and its totals are one
truth. Every snapshot is counted first, and every page must bring exactly the rows that the count promises: a short,
empty or repeated page fails, and the reading begins anew. Paging is by key, never by offset: the whole of a table by
its primary key, its changes by (updated_at, id). When the connection breaks, reading goes on behind the last key in
a new snapshot; what changed meanwhile comes with the next sync, because no cursor passes the first snapshot's time.

What commits late. A transaction stamps `updated_at` when it begins and shows its rows when it commits, so rows can
appear behind a cursor that has passed them. The cursor therefore never passes the moment at which the oldest
transaction under way began. Where that cannot be seen, a transaction under way counts as `UNSEEN_TRANSACTION` old:
another role's begin needs pg_read_all_stats, and a replica shows nothing of its primary's transactions, so there one
is always assumed. The streams' look-back comes on top: for transactions that had not written anything yet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.app_database.failures import grant
from resources.app_database.tables import KEY_TYPES, TABLES, VENDOR, Column, Kind, Table, check_row
from resources.record_checks import Flaw, moment, rejected, utc_text

if TYPE_CHECKING:
    from resources.app_database.client import AppDatabase, Session

log = logging.getLogger(__name__)

PAGE_ROWS = 2_000
ID_ROWS = 20_000
# Rows without an id cannot be told apart: so many of them are kept as a sample.
NAMELESS_ROWS = 100
MOST_RESTARTS = 4
UNSEEN_TRANSACTION = timedelta(hours=6)
LARGEST_LAG = timedelta(hours=1)
# The loader always ties out the last week; a few days more cost nothing.
RECENT_DAYS = 10
MOST_RANGES = 60
DEFAULT_SCHEMAS = ("ops_export", "public")

Row = tuple[Any, ...]

_POSITION = """
select clock_timestamp(), pg_is_in_recovery(),
    -- Every transaction that has written holds the lock of its own number, and everybody may see that.
    exists (select 1 from pg_locks where locktype = 'transactionid' and mode = 'ExclusiveLock'
            and pid is distinct from pg_backend_pid()),
    pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
    extract(epoch from clock_timestamp() - least(
        (select min(xact_start) from pg_stat_activity
         where pid <> pg_backend_pid() and datname = current_database() and backend_type = 'client backend'),
        (select min(prepared) from pg_prepared_xacts where database = current_database())))
"""
_LAG = """
select case
    when pg_last_wal_receive_lsn() is null or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
    else extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()) end
"""
_COLUMNS = """
select n.nspname, c.relkind::text, a.attname, a.attnotnull,
    pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
    pg_catalog.has_schema_privilege(n.oid, 'usage'),
    pg_catalog.has_column_privilege(c.oid, a.attnum, 'select'),
    pg_catalog.row_security_active(c.oid)
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type as t on t.oid = a.atttypid
where n.nspname = any(%s) and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by array_position(%s, n.nspname::text), a.attnum
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table as the app has it: where it is, and the type of every column that can be read. `unreadable` are
    columns of the contract that exist and are not granted."""

    table: Table
    schema: str
    types: Mapping[str, str]
    unreadable: tuple[str, ...]
    id_may_be_null: bool

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table.name}"

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.table.columns if column.name in self.types)

    @property
    def absent(self) -> tuple[str, ...]:
        """Columns of the contract that the table does not have."""
        here = {*self.types, *self.unreadable}
        return tuple(column.name for column in self.table.columns if column.name not in here)

    @property
    def changed(self) -> tuple[str, ...]:
        """The columns that tell when a row changed; none where the table must be read whole."""
        return next((names for names in self.table.changed if set(names) <= set(self.types)), ())

    @property
    def selected(self) -> str:
        # Each under a name of its own: ORDER BY would take an output column called id for the id.
        expressions = (column.expression(self.types[column.name]) for column in self.columns)
        return ", ".join(f"{expression} as value_{place}" for place, expression in enumerate(expressions))

    def moment(self, name: str) -> str:
        return self.table.column(name).moment(self.types[name])

    def since(self, name: str, parameter: str) -> str:
        return self.table.column(name).since(self.types[name], parameter)

    # -- keys -----------------------------------------------------------------------------------------------

    @property
    def _ordered_by_type(self) -> bool:
        return self.types["id"] in KEY_TYPES

    @property
    def id_key(self) -> str:
        """The id as it is ordered: by its own type where its index serves, else as bytes."""
        return "id" if self._ordered_by_type else '(id::text collate "C")'

    def after_id(self, parameter: str) -> str:
        return f"%({parameter})s::{self.types['id'] if self._ordered_by_type else 'text'}"

    def after_moment(self, name: str, parameter: str) -> str:
        if self.types[name] == "timestamp with time zone":
            return f"%({parameter})s::timestamptz"
        return f"(%({parameter})s::timestamptz at time zone 'UTC')::{self.types[name]}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where the server stands, asked before a snapshot is taken. `oldest` is the age of the oldest transaction that
    can be seen; `lag` that of a replica behind its primary, None where it does not tell."""

    server_time: datetime
    replica: bool
    under_way: bool
    sees_all: bool
    oldest: timedelta
    lag: timedelta | None

    def horizon(self, now: datetime) -> datetime:
        """The moment the cursor may not pass: rows stamped before it are all in the snapshot."""
        age = self.oldest
        if self.replica or (self.under_way and not self.sees_all):
            age = max(age, UNSEEN_TRANSACTION)
        # Both clocks may be wrong, and a test's stands still: the earlier one cannot skip anything.
        return min(now, self.server_time) - age


@dataclass(slots=True)
class Walk:
    """A way through the rows of a relation that meet `condition`, by `keys` (SQL to order by, SQL of the last
    one's parameter, place in the row). `remaining` is counted anew in every snapshot."""

    relation: Relation
    condition: str
    parameters: dict[str, Any]
    keys: tuple[tuple[str, str, int], ...]
    last: tuple[str, ...] | None = None
    snapshot: int = -1
    remaining: int = 0
    seen: frozenset[tuple[str, ...]] = field(default_factory=frozenset)
    restarts: int = 0

    def where(self) -> str:
        if self.last is None:
            return self.condition
        left = ", ".join(key for key, _, _ in self.keys)
        right = ", ".join(after for _, after, _ in self.keys)
        return f"{self.condition} and ({left}) > ({right})"

    def given(self) -> dict[str, Any]:
        last = dict(zip(("last_0", "last_1"), self.last or (), strict=False))
        return {**self.parameters, **last}

    def begin_anew(self, why: str) -> OpsError:
        """The failure of a page that contradicts the count. What was read so far is in doubt with it, so the next
        try starts from the first row; rows that come twice are merged by their id."""
        self.restarts += 1
        self.last, self.seen, self.snapshot = None, frozenset(), -1
        told = f"app: a page of {self.relation.name} {why}"
        if self.restarts >= MOST_RESTARTS:
            return PermanentFailure(
                f"{told}, time and again; is it a view with volatile functions, which gives other rows every time?"
                " See docs/connect/app.md"
            )
        return TransientFailure(told)

    def key_of(self, row: Row) -> tuple[str, ...]:
        return tuple(row[place] for _, _, place in self.keys)


@dataclass(frozen=True, slots=True)
class Totals:
    """Totals by day as one snapshot had them. `days` are those that were asked for; None is all of them."""

    days: frozenset[date] | None
    by_day: Mapping[date | None, ControlTotal]

    def cover(self, days: Sequence[date] | None) -> bool:
        return self.days is None or (days is not None and set(days) <= self.days)


class AppSource:
    """The app's database, read table by table. `zone` is the company's: its days are those of the totals. `schemas`
    are looked through in their order. Opens nothing until first used; for use by one thread."""

    vendor = VENDOR

    def __init__(
        self,
        database: AppDatabase,
        *,
        zone: str,
        schemas: Sequence[str] = DEFAULT_SCHEMAS,
        page_rows: int = PAGE_ROWS,
        id_rows: int = ID_ROWS,
    ) -> None:
        self.database = database
        self.zone = ZoneInfo(zone)
        self.schemas = tuple(schemas)
        self.page_rows = page_rows
        self.id_rows = id_rows
        self.streams: dict[str, Stream] = {name: table.stream for name, table in TABLES.items()}
        self._totals: dict[str, Totals] = {}

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the rows changed since `cursor` less the look-back; all of them when it is None or when the table
        does not say when a row changed. The cost of a page is in queries.

        The totals of the days touched are taken before the snapshot is let go, for `control_totals`."""
        table = TABLES[stream.name]
        database = self.database
        self._totals.pop(table.name, None)
        database.begin()
        try:
            spent = database.queries
            # Before the snapshot: a transaction that ends between the two is in it, one that began has a later stamp.
            position: Position = database.ask(table.name, self.position)
            _not_too_late(position)
            database.begin()
            relation: Relation = database.ask(table.name, lambda session: self.relation(session, table))
            since = None
            if cursor is not None and relation.changed:
                since = min(datetime.fromisoformat(cursor), now) - stream.look_back
            horizon = position.horizon(now)
            if position.oldest > stream.look_back:
                log.info("app: %s waits for a transaction that began %s ago", table.name, position.oldest)
            touched = self._recent(now) if since is not None else None
            nameless = self._nameless(relation, since, now)
            if nameless is not None:
                yield nameless
            for walk in _walks(relation, since):
                for rows in self._walked(walk):
                    page = self._page(relation, rows, now, horizon, database.queries - spent)
                    if touched is not None and table.day is not None:
                        touched |= self._days_of(page.records, table.day)
                    yield page
                    spent = database.queries
            self._keep_totals(relation, touched)
        finally:
            # Also when the loader gave up in the middle: an open snapshot would hold up the app's vacuum.
            database.begin()

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every row of these company days, in one snapshot, whose totals of them are kept for `control_totals`."""
        table = TABLES[stream.name]
        database = self.database
        self._totals.pop(table.name, None)
        database.begin()
        try:
            spent = database.queries
            relation: Relation = database.ask(table.name, lambda session: self.relation(session, table))
            inside, given = _inside(relation, _ranges(frozenset(days), self.zone))
            (by_id,) = _walks(relation, None)[0].keys
            for rows in self._walked(Walk(relation, f"id is not null and ({inside})", given, (by_id,))):
                yield self._page(relation, rows, now, None, database.queries - spent)
                spent = database.queries
            self._keep_totals(relation, set(days))
        finally:
            database.begin()

    def _walked(self, walk: Walk) -> Iterator[list[Row]]:
        while True:
            rows: list[Row] = self.database.ask(walk.relation.name, partial(self._next, walk))
            if not rows:
                return
            yield rows

    def _next(self, walk: Walk, session: Session) -> list[Row]:
        """The next page of a walk, or none at its end."""
        relation = walk.relation
        if walk.snapshot != self.database.snapshot:
            ((walk.remaining,),) = self.database.rows(
                session, f"select count(*) from {relation.name} where {walk.where()}", walk.given()
            )
            walk.snapshot = self.database.snapshot
        if walk.remaining == 0:
            return []
        order = ", ".join(key for key, _, _ in walk.keys)
        rows = self.database.rows(
            session,
            f"select {relation.selected} from {relation.name} where {walk.where()}"
            # With ties: rows of one key (a view that multiplies them) stay together and none is stepped over.
            f" order by {order} fetch first {self.page_rows} rows with ties",
            walk.given(),
        )
        least = min(self.page_rows, walk.remaining)
        if not least <= len(rows) <= walk.remaining:
            raise walk.begin_anew(f"has {len(rows)} rows where the count promises {least} or more of {walk.remaining}")
        keys = [walk.key_of(row) for row in rows]
        if len(rows) > least and keys[least - 1] != keys[-1]:
            raise walk.begin_anew("goes on behind its end")
        if not walk.seen.isdisjoint(keys):
            raise walk.begin_anew("came a second time")
        walk.last = keys[-1]
        walk.seen = frozenset(keys)
        walk.remaining -= len(rows)
        return rows

    def _nameless(self, relation: Relation, since: datetime | None, now: datetime) -> Page | None:
        """Rows without an id, which no key can reach: a sample of them, refused."""
        if not relation.id_may_be_null:
            return None
        walk = _walks(relation, since)[0]
        condition = walk.condition.replace("id is not null", "id is null")
        query = f"select {relation.selected} from {relation.name} where {condition} limit {NAMELESS_ROWS}"
        rows = self.database.ask(relation.name, lambda session: self.database.rows(session, query, walk.parameters))
        return self._page(relation, rows, now, None, 1) if rows else None

    def _page(
        self, relation: Relation, rows: Sequence[Row], now: datetime, horizon: datetime | None, cost: int
    ) -> Page:
        names = [column.name for column in relation.columns]
        payloads = [dict(zip(names, row, strict=True)) for row in rows]
        records, refused, latest = _checked(relation.table, payloads, relation.changed)
        cursor = None
        if latest is not None and horizon is not None:
            cursor = utc_text(min(latest, horizon))
        # A version is as new as its reading (see `check_row`).
        return Page([replace(record, updated_at=now) for record in records], refused, cursor, Decimal(cost))

    def recheck(self, stream: Stream, payloads: Sequence[JsonObject], *, now: datetime) -> Page:
        """The checks of `pages` on rows kept in quarantine."""
        table = TABLES[stream.name]
        records: list[Record] = []
        refused: list[Rejected] = []
        for payload in payloads:
            here = {name for name, value in payload.items() if value is not None}
            changed = next((names for names in table.changed if here & set(names)), ())
            good, bad, _ = _checked(table, [payload], changed)
            records += good
            refused += bad
        return Page(records, refused)

    # -- what the app has -----------------------------------------------------------------------------------

    def relation(self, session: Session, table: Table) -> Relation:
        """How the app has a table. Raises `PermanentFailure` with what to run where it cannot be read."""
        role = self.database.address.role
        rows = self.database.rows(session, _COLUMNS, (list(self.schemas), table.name, list(self.schemas)))
        if not rows:
            raise PermanentFailure(
                f"app: there is no table or view {' or '.join(f'{schema}.{table.name}' for schema in self.schemas)}; "
                "make a view of what the app has in the schema ops_export (docs/connect/app.md)"
            )
        schema = rows[0][0]
        name = f"{schema}.{table.name}"
        rows = [row for row in rows if row[0] == schema]
        there = {row[2] for row in rows}
        # By name, never the whole table: what is not needed stays out of reach.
        wanted = self.database.columns[name] = tuple(column.name for column in table.columns if column.name in there)
        if not rows[0][5]:
            raise PermanentFailure(
                f"app: the role {role} may not look into the schema {schema}; run: {grant(name, role, wanted)}"
            )
        if rows[0][7]:
            raise PermanentFailure(
                f"app: row-level security hides rows of {name} from the role {role}; run: ALTER ROLE {role} BYPASSRLS; "
                "or make a view in ops_export whose owner sees them all"
            )
        contract = {column.name: column for column in table.columns}
        types = {column: kind for _, _, column, _, kind, _, readable, _ in rows if column in contract and readable}
        unreadable = tuple(row[2] for row in rows if row[2] in contract and not row[6])
        needed = [column.name for column in table.columns if column.required]
        if denied := [column for column in needed if column in unreadable]:
            raise PermanentFailure(
                f"app: the role {role} may not read {', '.join(denied)} of {name}; run: {grant(name, role, wanted)}"
            )
        if missing := [column for column in needed if column not in types]:
            raise PermanentFailure(
                f"app: {name} has no column {', '.join(missing)}; was it renamed? Give it back by a view in ops_export "
                "(docs/connect/app.md)"
            )
        for column, kind in types.items():
            if not contract[column].accepts(kind):
                raise PermanentFailure(
                    f"app: {name}.{column} has the type {kind}, not {contract[column].wanted()}; give it the right one "
                    "by a view in ops_export (docs/connect/app.md)"
                )
        # The primary key may be null nowhere; a view cannot say so.
        nullable = not any(row[2] == "id" and row[3] for row in rows)
        return Relation(table, schema, types, unreadable, nullable)

    def position(self, session: Session) -> Position:
        """Where the server stands in time."""
        import psycopg

        ((server_time, replica, under_way, sees_all, oldest),) = self.database.rows(session, _POSITION)
        lag: timedelta | None = None
        if replica:
            try:
                # Some managed replicas lack these functions; that must not cost the snapshot.
                with session.transaction():
                    ((seconds,),) = self.database.rows(session, _LAG)
                lag = timedelta(seconds=float(seconds)) if seconds is not None else None
            except psycopg.Error as error:
                if error.sqlstate is None or error.sqlstate[:2] in ("08", "40", "57"):
                    raise
        age = timedelta(seconds=max(0.0, float(oldest or 0)))
        return Position(server_time.astimezone(UTC), replica, under_way, sees_all, age, lag)

    # -- deletions ------------------------------------------------------------------------------------------

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """Every id the table has now, through a cursor of the server. Raises rather than end early."""
        table = TABLES[stream.name]
        database = self.database
        database.begin()
        try:
            relation: Relation = database.ask(table.name, lambda session: self.relation(session, table))
            walk = Walk(relation, "id is not null", {}, ((relation.id_key, relation.after_id("last_0"), 0),))
            while True:
                rows: list[Row] = database.ask(relation.name, partial(self._next_ids, walk))
                if not rows:
                    break
                for (identity,) in rows:
                    yield identity
            # The rows found gone are no longer of the snapshot that `pages` counted, but of this one.
            self._keep_totals(relation, None)
        finally:
            database.begin()

    def _next_ids(self, walk: Walk, session: Session) -> list[Row]:
        if walk.snapshot != self.database.snapshot:
            where, given, name = walk.where(), walk.given(), walk.relation.name
            ((walk.remaining,),) = self.database.rows(session, f"select count(*) from {name} where {where}", given)
            # A cursor lives as long as its snapshot; a new one begins behind the last id.
            order = walk.relation.id_key
            query = f"select id::text as value from {name} where {where} order by {order}"
            session.execute(f"declare living_ids no scroll cursor for {query}".encode(), given)
            walk.snapshot = self.database.snapshot
        if walk.remaining == 0:
            return []
        rows = self.database.rows(session, f"fetch forward {self.id_rows} from living_ids")
        if len(rows) != min(self.id_rows, walk.remaining):
            raise walk.begin_anew(f"has {len(rows)} ids where {min(self.id_rows, walk.remaining)} were due")
        walk.last = (rows[-1][0],)
        walk.remaining -= len(rows)
        return rows

    # -- tie-out --------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """By company day of `created_at` (sessions: `started_at`), counted by the app's own server in the snapshot
        the rows were read in: how many, and the sum of what changes later (amounts of subscriptions; how many users
        are deleted, tickets resolved, sessions ended). Of roles only how many there are."""
        table = TABLES[stream.name]
        kept = self._totals.get(table.name)
        if kept is None or not kept.cover(days):
            database = self.database
            database.begin()
            try:
                kept = database.ask(
                    table.name, lambda session: self._count(session, self.relation(session, table), _set(days))
                )
            finally:
                database.begin()
        assert kept is not None
        if days is None or table.day is None:
            return list(kept.by_day.values())
        return [kept.by_day.get(day) or ControlTotal(table.name, day, 0, Decimal(0)) for day in sorted(set(days))]

    def _keep_totals(self, relation: Relation, days: set[date] | None) -> None:
        name = relation.table.name
        try:
            self._totals[name] = self.database.ask(
                relation.name, lambda session: self._count(session, relation, _set(days))
            )
        except OpsError as failure:
            # The rows are good. Asked again later, the totals may come, or the tie-out is unknown and says why.
            log.warning("app: the totals of %s could not be taken with its rows: %s", relation.name, failure)

    def _count(self, session: Session, relation: Relation, days: frozenset[date] | None) -> Totals:
        table = relation.table
        if table.day is None:
            ((count,),) = self.database.rows(session, f"select count(*) from {relation.name}")
            return Totals(None, {None: ControlTotal(table.name, None, count)})
        ranges = _ranges(days, self.zone) if days is not None else []
        if len(ranges) > MOST_RANGES:
            days, ranges = None, []
        if days is None:
            ranges = [(datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))]
        inside, given = _inside(relation, ranges)
        late = "null::numeric"
        if table.late is not None and table.late in relation.types:
            amount = table.column(table.late).kind is Kind.AMOUNT
            late = f"sum({table.late}::numeric)" if amount else f"count({table.late})::numeric"
        rows = self.database.rows(
            session,
            f"select ({relation.moment(table.day)} at time zone %(zone)s)::date as day, count(*), {late}"
            f" from {relation.name} where {inside} group by 1",
            {**given, "zone": self.zone.key},
        )
        found: dict[date | None, ControlTotal] = {
            day: ControlTotal(table.name, day, count, amount if amount is not None and amount.is_finite() else None)
            for day, count, amount in rows
        }
        return Totals(days, found)

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side of the same totals."""
        table = TABLES[stream.name]
        raw = f"raw_{VENDOR}.{table.name}"
        if table.day is None:
            return LandedQuery(
                table.name, f"select null::date, count(*)::bigint, null::numeric from {raw} where deleted_at is null"
            )
        day = f"((payload->>'{table.day}')::timestamptz at time zone '{self.zone.key}')::date"
        assert table.late is not None
        amount = table.column(table.late).kind is Kind.AMOUNT
        late = f"sum((payload->>'{table.late}')::numeric)" if amount else f"count(payload->>'{table.late}')::numeric"
        sql = (
            f"select {day} as day, count(*)::bigint as count, {late} as amount from {raw} where deleted_at is null"
            f" and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
        )
        return LandedQuery(table.name, sql, day)

    def _recent(self, now: datetime) -> set[date]:
        today = now.astimezone(self.zone).date()
        return {today - timedelta(days=back) for back in range(RECENT_DAYS)}

    def _days_of(self, records: Sequence[Record], column: str) -> set[date]:
        return {moment(record.payload[column], column).astimezone(self.zone).date() for record in records}

    # -- the rest of the contract ---------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Ask for the credentials, what the role may do, and every table's newest row, for `ops doctor`."""
        from resources.app_database.probes import probes

        yield from probes(self)

    def close(self) -> None:
        self.database.close()


# -- small parts --------------------------------------------------------------------------------------------


def _walks(relation: Relation, since: datetime | None) -> list[Walk]:
    """The ways that together meet every row wanted: of all, or of those changed since then."""
    places = {column.name: place for place, column in enumerate(relation.columns)}
    by_id = (relation.id_key, relation.after_id("last_0"), places["id"])
    if since is None:
        return [Walk(relation, "id is not null", {}, (by_id,))]
    changed, given = relation.changed, {"since": since}
    if len(changed) > 1:
        news = " or ".join(relation.since(name, "since") for name in changed)
        return [Walk(relation, f"id is not null and ({news})", given, (by_id,))]
    (stamp,) = changed
    by_stamp = (stamp, relation.after_moment(stamp, "last_0"), places[stamp])
    return [
        Walk(
            relation,
            f"id is not null and {relation.since(stamp, 'since')}",
            given,
            (by_stamp, (relation.id_key, relation.after_id("last_1"), places["id"])),
        ),
        # Rows that were never stamped do not say when they changed: they are always read.
        Walk(relation, f"id is not null and {stamp} is null", {}, (by_id,)),
    ]


def _checked(
    table: Table, payloads: Sequence[JsonObject], changed: tuple[str, ...]
) -> tuple[list[Record], list[Rejected], datetime | None]:
    """The good rows, the refused ones, and the latest change among the good."""
    good: list[Record] = []
    bad: list[Rejected] = []
    latest: datetime | None = None
    for payload in payloads:
        try:
            record, at = check_row(table, payload, changed)
            good.append(record)
            if at is not None and (latest is None or at > latest):
                latest = at
        except Flaw as flaw:
            identity = payload.get("id")
            bad.append(rejected(payload, flaw, identity if isinstance(identity, str) and identity else None))
    return good, bad, latest


def _not_too_late(position: Position) -> None:
    if position.lag is not None and position.lag > LARGEST_LAG:
        hours = position.lag.total_seconds() / 3600
        raise TransientFailure(
            f"app: the replica is {hours:.1f} hours behind its primary: what it shows would pass for fresh"
        )


def _inside(relation: Relation, ranges: Sequence[tuple[datetime, datetime]]) -> tuple[str, dict[str, Any]]:
    """SQL that holds of a row whose day lies in one of the stretches, and its parameters."""
    assert relation.table.day is not None
    given: dict[str, Any] = {}
    conditions = []
    for number, (first, end) in enumerate(ranges):
        given |= {f"from_{number}": first, f"to_{number}": end}
        begun = relation.since(relation.table.day, f"from_{number}")
        conditions.append(f"({begun} and not {relation.since(relation.table.day, f'to_{number}')})")
    return " or ".join(conditions) or "false", given


def _set(days: Sequence[date] | set[date] | None) -> frozenset[date] | None:
    return None if days is None else frozenset(days)


def _ranges(days: frozenset[date], zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """The stretches of time the days make up, neighbours joined, from the first instant to that of the day after."""
    found: list[tuple[datetime, datetime]] = []
    for day in sorted(days):
        first = datetime.combine(day, time(), zone).astimezone(UTC)
        end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], end)
        else:
            found.append((first, end))
    return found
