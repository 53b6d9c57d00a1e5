"""What is read of the app's database: five tables, the columns of each, and what a column must hold.

Belongs here: the contract (`docs/connect/app.md` tells it to people), the SQL of a column, the checks of a row.
Does not belong here: connections (`client.py`), paging and totals (`source.py`).

Columns that are not named here are never asked for: names, e-mail addresses and the like stay in the app. An
optional column may be missing from the app's table, then it is missing from every payload and unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ops_platform.ingestion.contract import Field, Stream
from ops_platform.records import JsonObject, Record
from resources.record_checks import (
    INVALID_MONEY,
    MISSING_FIELD,
    NULL_MONEY,
    Flaw,
    currency,
    decimal_text,
    moment,
    small_enough,
    text_id,
)

VENDOR = "app"
# A transaction stamps its rows when it begins and shows them when it commits. Beside this, `source.py` keeps the
# cursor behind the oldest transaction that was under way.
LOOK_BACK = timedelta(minutes=15)
# Free text is cut in the app's server, so that one row cannot fill the memory of a page.
LONGEST_TEXT = 10_000


class Kind(StrEnum):
    """What a column holds, and so which types of PostgreSQL it may have."""

    ID = "an id"
    TEXT = "a text"
    MOMENT = "a moment"
    AMOUNT = "an exact amount"
    CURRENCY = "a currency"


_INTEGERS = frozenset({"smallint", "integer", "bigint"})
# Ordered by their own type through the index of the primary key; ids of any other type are ordered as text.
KEY_TYPES = _INTEGERS | {"uuid", "text", "character varying", "character", "numeric"}
_MOMENTS = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})
_AMOUNTS = _INTEGERS | {"numeric", "money"}
# Not one value but a document: what is in it cannot be known to be free of personal data.
_DOCUMENTS = frozenset({"json", "jsonb", "xml", "bytea"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `required` columns must exist and hold a value in every row."""

    name: str
    kind: Kind
    required: bool = False

    def accepts(self, type_name: str) -> bool:
        """Whether a column of this type (PostgreSQL's own name for it) can be read as what it should hold."""
        if self.kind is Kind.MOMENT:
            return type_name in _MOMENTS
        if self.kind is Kind.AMOUNT:
            return type_name in _AMOUNTS
        return type_name not in _DOCUMENTS

    def wanted(self) -> str:
        """The types it may have, for a sentence."""
        if self.kind is Kind.MOMENT:
            return "timestamptz, timestamp (taken as UTC) or date"
        if self.kind is Kind.AMOUNT:
            return "numeric or an integer, in whole units of the currency"
        return "a single value, not a document"

    def expression(self, type_name: str) -> str:
        """The SQL that gives the column as text: moments in UTC, amounts exact, free text cut."""
        if self.kind is Kind.ID:
            return f"{self.name}::text"
        if self.kind is Kind.MOMENT:
            return f"({self.moment(type_name)})::text"
        if self.kind is Kind.AMOUNT:
            return f"{self.name}::numeric::text"
        return f"left({self.name}::text, {LONGEST_TEXT})"

    def moment(self, type_name: str) -> str:
        """The SQL that gives a column of kind MOMENT as a timestamptz."""
        if type_name == "timestamp with time zone":
            return self.name
        return f"({self.name}::timestamp at time zone 'UTC')"

    def since(self, type_name: str, parameter: str) -> str:
        """The condition that the column is not before a timestamptz parameter, written so that an index serves."""
        if type_name == "timestamp with time zone":
            return f"{self.name} >= %({parameter})s::timestamptz"
        return f"{self.name} >= (%({parameter})s::timestamptz at time zone 'UTC')::{type_name}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the contract. `changed` are the columns by which a row tells that it changed, best first: a
    set of them is usable when all of its columns exist, and a table with none is read whole at every sync.
    `day` is the column whose day a row is counted on; `late` is a column that is filled or changed after that day:
    it is counted (an amount: summed), so that a missed update shows in the tie-out as a missed row does."""

    stream: Stream
    columns: tuple[Column, ...]
    changed: tuple[tuple[str, ...], ...] = ()
    day: str | None = None
    late: str | None = None

    @property
    def name(self) -> str:
        return self.stream.name

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def _table(
    name: str,
    description: str,
    *columns: Column,
    changed: tuple[tuple[str, ...], ...] = (),
    day: str | None = None,
    late: str | None = None,
) -> Table:
    # Only what must be there is declared; that another column came or went is learned from the payloads.
    fields = {column.name: Field("string") for column in columns if column.required}
    stream = Stream(
        VENDOR,
        name,
        description,
        look_back=LOOK_BACK if changed else timedelta(0),
        full_refresh=not changed,
        ties_out=True,
        fields=fields,
    )
    return Table(stream, columns, changed, day, late)


_ID = Column("id", Kind.ID, required=True)


def _moment(name: str, required: bool = False) -> Column:
    return Column(name, Kind.MOMENT, required)


def _text(name: str, required: bool = False) -> Column:
    return Column(name, Kind.TEXT, required)


# Small tables first, so that a cut run keeps them.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "roles",
            "What a user of the companion app may do.",
            _ID,
            _text("name", required=True),
            _text("description"),
        ),
        _table(
            "users",
            "Users of the companion app: role, where they signed up, when last seen; nobody's name or e-mail.",
            _ID,
            _text("role"),
            _text("signup_source"),
            _text("country"),
            _text("shop_customer_id"),
            _moment("created_at", required=True),
            _moment("updated_at"),
            _moment("last_seen_at"),
            _moment("deleted_at"),
            changed=(("updated_at",),),
            day="created_at",
            late="deleted_at",
        ),
        _table(
            "subscriptions",
            "Subscriptions to the app's paid plans, with their amount and period.",
            _ID,
            Column("user_id", Kind.ID, required=True),
            _text("plan", required=True),
            _text("status", required=True),
            _text("billing_period"),
            Column("amount", Kind.AMOUNT, required=True),
            Column("currency", Kind.CURRENCY, required=True),
            _moment("created_at", required=True),
            _moment("updated_at"),
            _moment("trial_ends_at"),
            _moment("current_period_start"),
            _moment("current_period_end"),
            _moment("canceled_at"),
            _text("cancel_reason"),
            changed=(("updated_at",),),
            day="created_at",
            late="amount",
        ),
        _table(
            "tickets",
            "Support tickets opened in the app.",
            _ID,
            Column("user_id", Kind.ID),
            _text("subject"),
            _text("status", required=True),
            _text("priority"),
            _text("category"),
            _moment("created_at", required=True),
            _moment("updated_at"),
            _moment("first_response_at"),
            _moment("resolved_at"),
            changed=(("updated_at",),),
            day="created_at",
            late="resolved_at",
        ),
        _table(
            "sessions",
            "Times the app was used; a session that is still open has no end.",
            _ID,
            Column("user_id", Kind.ID, required=True),
            _text("platform"),
            _text("app_version"),
            _moment("started_at", required=True),
            _moment("updated_at"),
            _moment("ended_at"),
            # Without updated_at a session that ended lately is found by its end.
            changed=(("updated_at",), ("started_at", "ended_at")),
            day="started_at",
            late="ended_at",
        ),
    )
}
STREAMS: dict[str, Stream] = {name: table.stream for name, table in TABLES.items()}


def check_row(table: Table, row: JsonObject, changed: tuple[str, ...]) -> tuple[Record, datetime | None]:
    """The record of one row (column → text or None) and when it changed, the latest of `changed`; or `Flaw`.

    The record carries no time yet: which version is the newest is told by when it was read, because a row's own stamp
    can go backwards (of two transactions on one row, the one that began earlier may commit later)."""
    identity = text_id(row.get("id"))
    latest: datetime | None = None
    size = 0
    for column in table.columns:
        value = row.get(column.name)
        if value is None:
            if column.required:
                reason = NULL_MONEY if column.kind is Kind.AMOUNT else MISSING_FIELD
                raise Flaw(reason, f"{column.name} is NULL")
            continue
        size += len(value)
        if column.kind is Kind.MOMENT:
            at = moment(value, column.name)
            if column.name in changed and (latest is None or at > latest):
                latest = at
        elif column.kind is Kind.AMOUNT:
            decimal_text(value, column.name, INVALID_MONEY)
        elif column.kind is Kind.CURRENCY:
            # Payment providers write their codes in small letters.
            currency(value.upper(), column.name)
    small_enough(size)
    return Record(identity, row), latest
