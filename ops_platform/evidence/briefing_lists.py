"""A list of a report: rows of a mart that fit its conditions, which of them are news, how near the next one comes.

Belongs here: from a list of `fleet.yaml` to rows and facts. Does not belong here: the shape of the entry
(`ops_platform.fleet.reports`), metrics and what the report comes to (`evidence.briefing`), how it looks
(`documents.briefing`).

The whole list is counted, summed and compared with what was told; its first rows are shown. What its sources cannot
vouch for is unknown: no rows, and a count that says since when. A number that is missing in a row is left out of it.

Facts. `<list>_count`, `<list>_new`, `<list>_looked` (rows of the view), `<list>_total_<column>`, `<list>_in_<group>`,
`<list>_<n>_<column>`, `<list>_nearest` (1 is the limit; `about` says what).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from ops_platform.evidence.calendar import DAY
from ops_platform.evidence.metrics import finite
from ops_platform.evidence.model import Fact, Row, Source, Status, TieOut, Unit
from ops_platform.evidence.quoting import minimise
from ops_platform.failures import ConfigurationError, DataFailure

if TYPE_CHECKING:
    from psycopg import sql

    from ops_platform.evidence.calendar import Calendar
    from ops_platform.evidence.metrics import Warehouse
    from ops_platform.fleet.reports import Column, Listing, Test

#: More rows than this are no list for a person: its conditions are wrong.
MOST_ROWS = 20_000
_NUMBERS: frozenset[str] = frozenset({"money", "count", "ratio", "percent", "days", "hours", "score"})
_OPERATORS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
KEY_TEXT = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """What a list's figures rest on. `usable` False: nothing may be concluded, and since when (`fresh_to`)."""

    usable: bool
    fresh_to: datetime | None = None
    tie_out: TieOut = "unknown"


@dataclass(frozen=True, slots=True)
class Read:
    """A list as it stands: its facts in order, the rows shown, the digests of all rows (`key` → `told_as`)."""

    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    groups: tuple[Row, ...]
    keys: Mapping[str, str]
    known: bool
    count: int
    new: int


class ListReader:
    """Reads lists on one connection, as of one moment. `limits` are the thresholds by name."""

    def __init__(
        self, warehouse: Warehouse, connection: Any, calendar: Calendar, currency: str, limits: Mapping[str, Decimal]
    ) -> None:
        self.warehouse, self.connection, self.calendar = warehouse, connection, calendar
        self.currency, self.limits = currency, limits
        self._types: dict[str, dict[str, str]] = {}

    def read(self, listing: Listing, standing: Standing, told: Mapping[str, str]) -> Read:
        """The list with what was `told` of it (`key` → `told_as`). Raises `ConfigurationError` for a column that the
        view does not have."""
        if not standing.usable or not self.warehouse.has(listing.view):
            since = standing.fresh_to
            unknown = Fact(
                id=f"{listing.name}_count", label=_label(listing), unit="count", status="unknown", unknown_since=since,
                fresh_to=since, source=Source(listing.view),
            )  # fmt: skip
            return Read((unknown,), (), (), {}, known=False, count=0, new=0)
        self._check(listing)
        query = self._query(listing)
        found = self.warehouse.rows(query)
        if len(found) > MOST_ROWS:
            raise DataFailure(f"list {listing.name}: more than {MOST_ROWS} rows of {listing.view} fit its conditions")
        if listing.date is not None and not listing.every_day and found:
            newest = max(row[listing.date] for row in found)
            found = [row for row in found if row[listing.date] == newest]
        if listing.group is not None:
            found = [row for row in found if str(row[listing.group.column]) in listing.group.labels]
        keys = {_digest(row, listing.key): _digest(row, listing.news) for row in found}
        fresh = [told.get(_digest(row, listing.key)) != _digest(row, listing.news) for row in found]
        return self._facts(listing, standing, query, found, fresh, keys)

    # Reading --------------------------------------------------------------------------------------------------

    def _check(self, listing: Listing) -> None:
        rows = self.warehouse.rows(
            "select column_name::text as name, data_type::text as type from information_schema.columns"
            " where table_schema = %s and table_name = %s",
            listing.view.split("."),
        )
        self._types[listing.view] = {row["name"]: row["type"] for row in rows}
        missing = [name for name in listing.read() if name not in self._types[listing.view]]
        if missing:
            raise ConfigurationError(f"list {listing.name}: {listing.view} has no column {', '.join(missing)}")

    def _query(self, listing: Listing) -> str:
        from psycopg import sql

        columns = sql.SQL(", ").join(sql.Identifier(name) for name in listing.read())
        statement = sql.SQL("select {} from {}{}{} limit {}").format(
            columns, _relation(listing.view), self._where(listing), _order(listing), sql.Literal(MOST_ROWS + 1)
        )
        return str(statement.as_string(self.connection))

    def _looked(self, listing: Listing) -> str:
        """How many rows were judged: all of a mart (of its days); of a table of many metrics, those of the one."""
        from psycopg import sql

        judged = {name: test for name, test in listing.where.items() if test.limit() is None}
        among = judged if listing.view.startswith("metrics.") else {}
        statement = sql.SQL("select count(*) as rows from {}{}").format(
            _relation(listing.view), self._where(listing, among)
        )
        return str(statement.as_string(self.connection))

    def _where(self, listing: Listing, tests: Mapping[str, Test] | None = None) -> sql.Composable:
        """The list's tests (or these) and its days as a condition."""
        from psycopg import sql

        named = listing.where if tests is None else tests
        conditions = [self._condition(listing, name, test) for name, test in named.items()]
        if listing.date is not None:
            first = self.calendar.today - (listing.days - 1) * DAY
            conditions.append(
                sql.SQL("{} between {} and {}").format(
                    sql.Identifier(listing.date), sql.Literal(first), sql.Literal(self.calendar.today)
                )
            )
        return sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")

    def _condition(self, listing: Listing, name: str, test: Test) -> sql.Composable:
        """One test as SQL; a value that is not known fulfils none of them."""
        from psycopg import sql

        column, today = sql.Identifier(name), self.calendar.today
        if test.known is not None:
            return sql.SQL("{} is not null" if test.known else "{} is null").format(column)
        if test.is_ is not None:
            return sql.SQL("{} = any({})").format(column, sql.Literal(list(test.is_)))
        if test.is_not is not None:
            return sql.SQL("{} <> all({})").format(column, sql.Literal(list(test.is_not)))
        for days, first, last in (
            (test.next_days, 0, test.next_days),
            (test.last_days, -(test.last_days or 0), 0),
            (test.before_days, -100_000, -(test.before_days or 0)),
        ):
            if days is not None:
                begin, end = today + timedelta(days=first), today + timedelta(days=(last or 0) + 1)
                bounds: tuple[Any, Any] = (begin, end)
                if self._types[listing.view][name] != "date":
                    bounds = (self.calendar.start_of(begin), self.calendar.start_of(end))
                return sql.SQL("{0} >= {1} and {0} < {2}").format(
                    column, sql.Literal(bounds[0]), sql.Literal(bounds[1])
                )
        limit = test.limit()
        assert limit is not None
        operator, bound = limit[0], self._limit(limit[1])
        if operator == "beyond":
            return sql.SQL("abs({}) > {}").format(column, sql.Literal(bound))
        return sql.SQL(f"{{}} {_OPERATORS[operator]} {{}}").format(column, sql.Literal(bound))

    def _limit(self, limit: str | Decimal) -> Decimal:
        return self.limits[limit] if isinstance(limit, str) else limit

    # Facts ----------------------------------------------------------------------------------------------------

    def _facts(
        self,
        listing: Listing,
        standing: Standing,
        query: str,
        found: Sequence[Mapping[str, Any]],
        fresh: Sequence[bool],
        keys: Mapping[str, str],
    ) -> Read:
        stale = standing.fresh_to is not None and standing.fresh_to < self.calendar.start_of(self.calendar.today)
        status: Status = "stale" if stale else "known"
        common: dict[str, Any] = {
            "status": status, "fresh_to": standing.fresh_to, "tie_out": standing.tie_out,
            "source": Source(listing.view, query), "period": self.calendar.day_period(self.calendar.today),
        }  # fmt: skip
        number, facts = len(found), []

        def count(fact_id: str, label: str, value: int, **more: Any) -> None:
            facts.append(Fact(id=fact_id, label=label, unit="count", value=Decimal(value), **{**common, **more}))

        label = _label(listing)
        count(f"{listing.name}_count", label, number, direction="down_is_good")
        count(f"{listing.name}_new", f"New {label[:1].lower()}{label[1:]}", sum(fresh))
        looked = self._looked(listing)
        rows = self.warehouse.rows(looked)[0]["rows"]
        count(f"{listing.name}_looked", f"{label} looked at", rows, source=Source(listing.view, looked))
        for column in listing.total:
            facts.append(self._total(listing, column, f"{listing.name}_total_{column.column}", found, common))
        facts += self._nearest(listing, common, found=bool(found))
        groups = self._groups(listing, found, facts, common)
        if listing.only_new:
            shown = [pair for pair in zip(found, fresh, strict=True) if pair[1]]
        else:
            # News first; within news, and within the rest, the order asked for.
            pairs = list(zip(found, fresh, strict=True))
            shown = [pair for pair in pairs if pair[1]] + [pair for pair in pairs if not pair[1]]
        picked = self._picked(listing, shown)
        made = tuple(self._row(listing, place, row, new, facts, common) for place, (row, new) in enumerate(picked, 1))
        hidden = len(shown) - len(picked)
        if hidden:
            count(f"{listing.name}_hidden", f"{label} not shown", hidden)
        return Read(tuple(facts), made, groups, keys, known=True, count=number, new=sum(fresh))

    def _picked(
        self, listing: Listing, shown: Sequence[tuple[Mapping[str, Any], bool]]
    ) -> Sequence[tuple[Mapping[str, Any], bool]]:
        """The rows shown: the first ones, of groups in the order of the groups."""
        if listing.group is None:
            return shown[: listing.limit]
        places = {value: place for place, value in enumerate(listing.group.labels)}
        column = listing.group.column
        return sorted(shown, key=lambda pair: places[str(pair[0][column])])[: listing.limit]

    def _groups(
        self, listing: Listing, found: Sequence[Mapping[str, Any]], facts: list[Fact], common: Mapping[str, Any]
    ) -> tuple[Row, ...]:
        if listing.group is None:
            return ()
        rows = []
        for value, label in listing.group.labels.items():
            mine = [row for row in found if str(row[listing.group.column]) == value]
            if not mine:
                continue
            name = f"{listing.name}_in_{_slug(value)}"
            facts.append(Fact(id=name, label=label, unit="count", value=Decimal(len(mine)), **common))
            named = {"count": name}
            for place, column in enumerate(listing.total):
                total = self._total(listing, column, f"{name}_total_{column.column}", mine, common)
                facts.append(total)
                named[f"total{place:02}"] = total.id
            rows.append(Row({"value": value, "label": label}, named))
        return tuple(rows)

    def _total(
        self,
        listing: Listing,
        column: Column,
        fact_id: str,
        rows: Sequence[Mapping[str, Any]],
        common: Mapping[str, Any],
    ) -> Fact:
        """The sum over the rows; unknown as soon as one of them is."""
        values = [finite(row[column.column]) for row in rows]
        known = [value for value in values if value is not None]
        total = sum(known, Decimal(0)) if len(known) == len(values) else None
        return self._number(column, fact_id, total, common)

    def _number(self, column: Column, fact_id: str, value: Decimal | None, common: Mapping[str, Any]) -> Fact:
        more = dict(common) if value is not None else {**common, "status": "unknown"}
        return Fact(
            id=fact_id[:80], label=_words(column.column), unit=cast("Unit", column.unit), value=value,
            currency=self.currency if column.unit == "money" else None, **more,
        )  # fmt: skip

    def _row(
        self,
        listing: Listing,
        place: int,
        row: Mapping[str, Any],
        new: bool,
        facts: list[Fact],
        common: Mapping[str, Any],
    ) -> Row:
        texts, named = {}, {}
        about = minimise(" · ".join(str(row[name]) for name in listing.key if row[name] is not None), KEY_TEXT)
        common = {**common, "about": about}
        for column in listing.columns:
            value, name = row[column.column], f"{listing.name}_{place}_{column.column}"[:80]
            if value is None or (column.unit == "flag" and not value):
                continue
            if column.unit == "flag":
                texts[column.column] = "yes"
            elif column.unit == "date":
                facts.append(
                    Fact(id=name, label=_words(column.column), unit="date", day=self._day(value), **common)
                )  # fmt: skip
                named[column.column] = name
            elif column.unit in _NUMBERS:
                number = finite(value)
                if number is not None and not (column.hide_zero and not number):
                    facts.append(self._number(column, name, number, common))
                    named[column.column] = name
            else:
                texts[column.column] = minimise(str(value).replace("_", " "), column.width)
        if listing.group is not None:
            texts[":group"] = str(row[listing.group.column])
        return Row(texts, named, "new" if new else "")

    def _day(self, value: Any) -> date:
        if isinstance(value, datetime):
            return value.astimezone(self.calendar.zone).date()
        if isinstance(value, date):
            return value
        raise ConfigurationError(f"{value!r} is not a day")

    def _nearest(self, listing: Listing, common: Mapping[str, Any], *, found: bool) -> list[Fact]:
        """How near the nearest row comes that is not of the list: by the first test of a number."""
        from psycopg import sql

        numeric = next(((name, test) for name, test in listing.where.items() if test.limit() is not None), None)
        if numeric is None or found:
            return []
        name, test = numeric
        limit = test.limit()
        assert limit is not None
        operator, bound = limit[0], self._limit(limit[1])
        others = [self._condition(listing, each, other) for each, other in listing.where.items() if each != name]
        column = sql.Identifier(name)
        low = operator in ("below", "at_most")
        value = sql.SQL("abs({})").format(column) if operator == "beyond" else column
        statement = sql.SQL("select {}, {} as near from {} where {} order by 2 {} nulls last limit 1").format(
            sql.SQL(", ").join(sql.Identifier(each) for each in listing.key),
            value,
            _relation(listing.view),
            sql.SQL(" and ").join([sql.SQL("{} is not null").format(column), *others]),
            sql.SQL("asc" if low else "desc"),
        )
        query = str(statement.as_string(self.connection))
        row = next(iter(self.warehouse.rows(query)), None)
        number = finite(row["near"]) if row else None
        if row is None or number is None or bound <= 0 or number < 0 or (low and not number):
            return []
        closeness = bound / number if low else number / bound
        about = minimise(f"{_label(listing)}: " + " · ".join(str(row[each]) for each in listing.key), KEY_TEXT)
        return [
            replace(
                Fact(
                    id=f"{listing.name}_nearest", label="Nearest to its limit", unit="ratio",
                    value=min(closeness, Decimal(1)).quantize(Decimal("0.0001")), **common,
                ),
                about=about, source=Source(listing.view, query),
            )
        ]  # fmt: skip


def _relation(view: str) -> sql.Composable:
    from psycopg import sql

    schema, _, table = view.partition(".")
    return sql.Identifier(schema, table)


def _order(listing: Listing) -> sql.Composable:
    """The order asked for, and the key after it, so that the same data are always read alike."""
    from psycopg import sql

    parts = [
        sql.SQL("{} desc nulls last" if name.startswith("-") else "{} asc nulls last").format(
            sql.Identifier(name.removeprefix("-"))
        )
        for name in (*listing.order, *listing.key)
    ]
    return sql.SQL(" order by ") + sql.SQL(", ").join(parts)


def _digest(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """What stands for a row's values in the memory of what was told: nothing of a vendor is kept there."""
    text = "\x1f".join("" if row[name] is None else str(row[name]) for name in names)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


def _label(listing: Listing) -> str:
    return listing.many[:1].upper() + listing.many[1:]


def _words(column: str) -> str:
    words = column.replace("_company", "").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
