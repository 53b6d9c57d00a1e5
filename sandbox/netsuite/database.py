"""The ERP's tables in SQLite, and Oracle's functions on them.

Belongs here: building the database from the books, functions SQL calls, running one statement, changing rows
from outside. Does not belong here: understanding SuiteQL (`suiteql.py`).

One in-memory connection under one lock: answers come from worker threads, one statement at a time. The
database is built when somebody first asks for it.
"""

from __future__ import annotations

import calendar
import gc
import random
import re
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.hooks import Clock
from sandbox.mutation import MutationRefused, required
from sandbox.netsuite.catalog import INDEXES, RECORD_TYPES, STORAGE, TYPE_NAMES, labels, views
from sandbox.netsuite.errors import bad_query
from sandbox.netsuite.mirror import LINES_PER_TRANSACTION, Row, local_seconds, mirror

MAX_SECONDS = 60.0
# Local time without a zone: a moment only together with the account's.
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001


class Database:
    """The tables of one company."""

    def __init__(self, company: Company, clock: Clock) -> None:
        self._company = company
        self._clock = clock
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._random = random.Random(0)
        self._failure: str | None = None
        self._deadline = 0.0

    def load(self, company: Company) -> None:
        """Another company from now on."""
        with self._lock:
            self.close()
            self._company = company

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def ready(self) -> None:
        """Build the tables now, if nobody has."""
        with self._lock:
            self._connection()

    def select(self, sql: str, values: Sequence[Any] = (), *, seed: int = 0) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows. `seed` decides the order of rows that the query leaves open. Raises
        `NetSuiteError` for what SQLite or a function refuses."""
        with self._lock:
            db = self._connection()
            self._random.seed(seed)
            self._failure = None
            self._deadline = time.monotonic() + MAX_SECONDS
            try:
                cursor = db.execute(sql, values)
                return [column[0] for column in cursor.description], cursor.fetchall()
            except sqlite3.Error as error:
                raise bad_query(self._failure or f"Invalid or unsupported search ({error}).") from None

    def _connection(self) -> sqlite3.Connection:
        if self._db is not None:
            return self._db
        db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA case_sensitive_like=ON; {STORAGE}")
        db.execute("BEGIN")

        def write(table: str, rows: list[Row]) -> None:
            db.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)

        # Hundreds of thousands of tuples come and go: looking for cycles among them only costs time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            mirror(self._company, write)
        finally:
            if collecting:
                gc.enable()
        db.executemany("INSERT INTO t_label VALUES (?, ?, ?)", labels())
        db.execute("COMMIT")
        # No ANALYZE: with statistics SQLite builds a filter over all transactions for every page of lines.
        db.executescript(f"{INDEXES} {views()}")
        self._functions(db)
        db.set_progress_handler(lambda: time.monotonic() > self._deadline, 100_000)
        self._db = db
        return db

    def to_utc(self, seconds: int) -> datetime:
        """Seconds of local time as the instant they mean."""
        local = _EPOCH + timedelta(seconds=int(seconds))
        return local.replace(tzinfo=self._company.zone).astimezone(UTC)

    # Functions --------------------------------------------------------------------------------------------

    def _functions(self, db: sqlite3.Connection) -> None:
        def add(name: str, count: int, function: Any, *, pure: bool = True) -> None:
            db.create_function(name, count, self._told(function), deterministic=pure)

        add("NS_TO_CHAR", 2, to_char)
        add("NS_TEXT", 1, as_text)
        add("NS_TO_DATE", 2, to_date)
        add("NS_TO_NUMBER", 1, to_number)
        add("NS_ADD_MONTHS", 2, add_months)
        add("NS_LAST_DAY", 1, last_day)
        add("NS_MONTHS_BETWEEN", 2, months_between)
        add("NS_TRUNC_DATE", 2, trunc_date)
        add("NS_TRUNC_NUMBER", 2, trunc_number)
        add("NS_REGEXP_LIKE", 2, lambda text, pattern: None if text is None else bool(re.search(pattern, str(text))))
        add("NS_INITCAP", 1, lambda text: None if text is None else str(text).title())
        add("NS_LPAD", 3, lambda text, width, fill: _pad(text, width, fill, left=True))
        add("NS_RPAD", 3, lambda text, width, fill: _pad(text, width, fill, left=False))
        add("NS_SYSDATE", 0, lambda: local_seconds(self._clock.now(), self._company.zone), pure=False)
        add("NS_TIE", 0, self._random.random, pure=False)

    def _told(self, function: Any) -> Any:
        """SQLite reports only that a function failed; keep what it said."""

        def call(*values: Any) -> Any:
            try:
                return function(*values)
            except (ValueError, TypeError, OverflowError, re.error) as error:
                self._failure = str(error)
                raise

        return call

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Change the books. Operations:

        `add_transaction` {type, tranid, day; entity, status, otherrefnum, lines: [{item, quantity, amount,
        kind}]} · `update_transaction` {id, set: {column: value}, keep_modified} · `delete_transaction` {id;
        silent} · `add_line` {transaction, amount; item, quantity, kind} · `update_line` {uniquekey, set,
        keep_modified, header_only} · `delete_line` {uniquekey} · `update_item` {id | itemid, set} ·
        `update_stock` {item, location, set}. Columns are those of the storage (`catalog.STORAGE`). A change
        stamps the time of change unless `keep_modified`; a deletion leaves a deleted record unless `silent`."""
        operations = {
            "add_transaction": self._add_transaction,
            "update_transaction": self._update_transaction,
            "delete_transaction": self._delete_transaction,
            "add_line": self._add_line,
            "update_line": self._update_line,
            "delete_line": self._delete_line,
            "update_item": self._update_item,
            "update_stock": self._update_stock,
        }
        if op not in operations:
            raise MutationRefused(f"NetSuite knows no operation {op!r}.")
        with self._lock:
            self._deadline = time.monotonic() + MAX_SECONDS
            try:
                return operations[op](self._connection(), data)
            except sqlite3.Error as error:
                raise MutationRefused(str(error)) from None

    def _now(self) -> int:
        return local_seconds(self._clock.now(), self._company.zone)

    def _add_transaction(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        kind = required(data, "type")
        if kind not in TYPE_NAMES:
            raise MutationRefused(f"There is no transaction type {kind!r}.")
        now = self._at(data)
        number = int(data.get("id") or db.execute("SELECT max(id) + 16 FROM t_transaction").fetchone()[0] or 1)
        day = to_date(required(data, "day"), "YYYY-MM-DD") if data.get("day") else now - now % 86400
        lines = data.get("lines") or []
        total = sum(float(line.get("amount", 0)) for line in lines if line.get("kind", "I") in "IX")
        period = db.execute(
            "SELECT id FROM t_period WHERE isposting = 'T' AND ? BETWEEN start AND finish", (day,)
        ).fetchone()
        db.execute(
            "INSERT INTO t_transaction (id, type, tranid, day, created, modified, status, entity, total, period, "
            "otherrefnum, posting, voided, exchangerate, currency) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'T', 'F', 1.0, 1)",
            (number, kind, required(data, "tranid"), day, now, now, data.get("status", "B"), data.get("entity", 2001),
             abs(total) if kind == "VendBill" else -total, period[0] if period else None, data.get("otherrefnum")),
        )  # fmt: skip
        main = {"transaction": number, "kind": "M", "amount": -total, "seq": 0}
        for line in [main, *({**line, "transaction": number} for line in lines)]:
            self._add_line(db, {**line, "at": data.get("at")})
        return {"id": number}

    def _add_line(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        number, now = int(required(data, "transaction")), self._at(data)
        last = db.execute("SELECT max(seq) FROM t_line WHERE txn = ?", (number,)).fetchone()[0]
        seq = int(data["seq"]) if data.get("seq") is not None else (last or 0) + 1
        key = number * LINES_PER_TRANSACTION + seq
        db.execute(
            "INSERT INTO t_line (uniquekey, txn, seq, kind, item, quantity, rate, amount, account, modified, closed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'F')",
            (key, number, seq, data.get("kind", "I"), data.get("item"), data.get("quantity"), data.get("rate"),
             float(data.get("amount", 0)), data.get("account", 400), now),
        )  # fmt: skip
        return {"uniquekey": key}

    def _update_transaction(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        return self._update(db, "t_transaction", "id = ?", (int(required(data, "id")),), data)

    def _delete_transaction(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        number = int(required(data, "id"))
        found = db.execute("SELECT type, tranid FROM t_transaction WHERE id = ?", (number,)).fetchone()
        if found is None:
            raise MutationRefused(f"There is no transaction {number}.")
        db.execute("DELETE FROM t_line WHERE txn = ?", (number,))
        db.execute("DELETE FROM t_transaction WHERE id = ?", (number,))
        if not data.get("silent"):
            db.execute(
                "INSERT INTO t_deleted VALUES (?, ?, ?, ?, ?)",
                (
                    number,
                    found[0],
                    f"{TYPE_NAMES[found[0]]} #{found[1]}",
                    self._at(data),
                    list(RECORD_TYPES.values()).index(found[0]),
                ),
            )
        return {"id": number, "deleted": True}

    def _update_line(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        return self._update(db, "t_line", "uniquekey = ?", (int(required(data, "uniquekey")),), data)

    def _delete_line(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        key = int(required(data, "uniquekey"))
        found = db.execute("SELECT txn FROM t_line WHERE uniquekey = ?", (key,)).fetchone()
        if found is None:
            raise MutationRefused(f"There is no line {key}.")
        db.execute("DELETE FROM t_line WHERE uniquekey = ?", (key,))
        if not data.get("keep_modified"):
            db.execute("UPDATE t_transaction SET modified = ? WHERE id = ?", (self._at(data), found[0]))
        return {"uniquekey": key, "deleted": True}

    def _update_item(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        if data.get("itemid"):
            return self._update(db, "t_item", "itemid = ?", (str(data["itemid"]),), data)
        return self._update(db, "t_item", "id = ?", (int(required(data, "id")),), data)

    def _update_stock(self, db: sqlite3.Connection, data: Mapping[str, Any]) -> dict[str, Any]:
        place = (int(required(data, "item")), int(required(data, "location")))
        return self._update(db, "t_stock", "item = ? AND location = ?", place, data)

    def _update(
        self, db: sqlite3.Connection, table: str, where: str, key: tuple[Any, ...], data: Mapping[str, Any]
    ) -> dict[str, Any]:
        changes = dict(data.get("set") or {})
        if not changes:
            raise MutationRefused('"data" needs "set": {column: value}.')
        if not data.get("keep_modified"):
            changes.setdefault("modified", self._at(data))
        known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if set(changes) - known:
            raise MutationRefused(f"{table} has no column {sorted(set(changes) - known)}; it has {sorted(known)}.")
        assignments = ", ".join(f'"{column}" = ?' for column in changes)
        done = db.execute(f"UPDATE {table} SET {assignments} WHERE {where}", (*changes.values(), *key)).rowcount
        if not done:
            raise MutationRefused(f"No row of {table} where {where} {key}.")
        return {"changed": done}

    def _at(self, data: Mapping[str, Any]) -> int:
        at = data.get("at")
        return local_seconds(parse_instant(str(at)), self._company.zone) if at else self._now()


# Oracle's functions -------------------------------------------------------------------------------------------

# Longest first: HH24 before HH.
_FORMAT = re.compile(
    r'"([^"]*)"|(YYYY|SYYYY|YY|MONTH|MON|MM|DDD|DD|DAY|DY|D|HH24|HH12|HH|MI|SSSSS|SS|FF\d?|AM|PM|Q|WW|IW|IYYY|J)'
    r"|([^A-Za-z\"])",
    re.IGNORECASE,
)
_STRFTIME = {
    "YYYY": "%Y",
    "SYYYY": "%Y",
    "YY": "%y",
    "MONTH": "%B",
    "MON": "%b",
    "MM": "%m",
    "DDD": "%j",
    "DD": "%d",
    "DAY": "%A",
    "DY": "%a",
    "HH24": "%H",
    "HH12": "%I",
    "HH": "%I",
    "MI": "%M",
    "SS": "%S",
    "AM": "%p",
    "PM": "%p",
    "WW": "%U",
    "IW": "%V",
    "IYYY": "%G",
}


def format_parts(form: str) -> list[tuple[str, str]]:
    """An Oracle date format as ("literal" | "field", text) parts. Raises `ValueError` where it is none."""
    parts, at = [], 0
    while at < len(form):
        found = _FORMAT.match(form, at)
        if found is None:
            raise ValueError(f"ORA-01821: date format not recognized: {form}")
        if found.group(2):
            parts.append(("field", found.group(2).upper()))
        else:
            parts.append(("literal", found.group(1) if found.group(1) is not None else found.group(3)))
        at = found.end()
    return parts


def to_char(seconds: Any, form: Any) -> str | None:
    """A date (seconds of local time) in an Oracle format."""
    if seconds is None:
        return None
    at = _EPOCH + timedelta(seconds=round(float(seconds)))
    if form is None:
        return at.strftime("%m/%d/%Y")
    out = []
    for kind, text in format_parts(str(form)):
        if kind == "literal":
            out.append(text)
        elif text in _STRFTIME:
            out.append(at.strftime(_STRFTIME[text]))
        elif text == "Q":
            out.append(str((at.month + 2) // 3))
        elif text == "D":
            out.append(str((at.isoweekday() % 7) + 1))
        elif text.startswith("FF"):
            out.append("0" * int(text[2:] or 6))
        elif text == "SSSSS":
            out.append(str(at.hour * 3600 + at.minute * 60 + at.second))
        elif text == "J":
            out.append(str(at.toordinal() + 1721425))
    return "".join(out)


def to_date(text: Any, form: Any) -> int | None:
    """A text in an Oracle format as seconds of local time. Raises `ValueError` where it does not fit."""
    if text is None:
        return None
    pattern = "".join(
        literal.replace("%", "%%") if kind == "literal" else _STRFTIME.get(literal, "")
        for kind, literal in format_parts(str(form or "MM/DD/YYYY"))
    )
    try:
        at = datetime.strptime(str(text).strip(), pattern)  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"ORA-01861: literal does not match format string: {text!r} with {form!r}") from None
    return calendar.timegm(at.timetuple())


def as_text(value: Any) -> str:
    """A value as SuiteQL writes it out: whole numbers without a point, no exponent, NULL as nothing."""
    if value is None:
        return ""
    if isinstance(value, float):
        if value.is_integer():
            return str(int(value))
        shown = f"{value:.6f}".rstrip("0").rstrip(".")
        return "0" if shown == "-0" else shown
    return str(value)


def to_number(value: Any) -> float | int | None:
    if value is None or isinstance(value, int | float):
        return value
    try:
        return int(value) if str(value).strip().lstrip("+-").isdigit() else float(value)
    except ValueError:
        raise ValueError(f"ORA-01722: invalid number: {value!r}") from None


def add_months(seconds: Any, months: Any) -> int | None:
    """As Oracle: the last day of a month goes to the last day of the other."""
    if seconds is None or months is None:
        return None
    at = _EPOCH + timedelta(seconds=int(seconds))
    total = at.year * 12 + at.month - 1 + int(months)
    year, month = total // 12, total % 12 + 1
    last = calendar.monthrange(year, month)[1]
    at_end = at.day == calendar.monthrange(at.year, at.month)[1]
    return calendar.timegm(at.replace(year=year, month=month, day=last if at_end else min(at.day, last)).timetuple())


def last_day(seconds: Any) -> int | None:
    if seconds is None:
        return None
    at = _EPOCH + timedelta(seconds=int(seconds))
    return calendar.timegm(at.replace(day=calendar.monthrange(at.year, at.month)[1]).timetuple())


def months_between(later: Any, earlier: Any) -> float | None:
    if later is None or earlier is None:
        return None
    a, b = _EPOCH + timedelta(seconds=int(later)), _EPOCH + timedelta(seconds=int(earlier))
    months = (a.year - b.year) * 12 + a.month - b.month
    return float(months) if a.day == b.day else months + (a.day - b.day) / 31


def trunc_date(seconds: Any, unit: Any) -> int | None:
    """The start of the day, week, month, quarter or year."""
    if seconds is None:
        return None
    at = (_EPOCH + timedelta(seconds=int(seconds))).replace(hour=0, minute=0, second=0)
    name = str(unit or "DD").upper()
    if name in ("MM", "MON", "MONTH"):
        at = at.replace(day=1)
    elif name in ("Q",):
        at = at.replace(month=(at.month - 1) // 3 * 3 + 1, day=1)
    elif name in ("Y", "YY", "YYYY", "YEAR"):
        at = at.replace(month=1, day=1)
    elif name in ("IW",):
        at -= timedelta(days=at.weekday())
    elif name in ("D", "DAY", "DY"):
        at -= timedelta(days=at.isoweekday() % 7)
    elif name in ("HH", "HH24"):
        at = (_EPOCH + timedelta(seconds=int(seconds))).replace(minute=0, second=0)
    elif name not in ("DD", "DDD", "J"):
        raise ValueError(f"ORA-01898: too many precision specifiers: {unit}")
    return calendar.timegm(at.timetuple())


def trunc_number(value: Any, digits: Any) -> float | int | None:
    if value is None:
        return None
    scale = 10 ** int(digits or 0)
    return int(float(value) * scale) / scale if digits else int(float(value))


def _pad(text: Any, width: Any, fill: Any, *, left: bool) -> str | None:
    if text is None:
        return None
    word, size, with_ = str(text), int(width), str(fill)
    if len(word) >= size:
        return word[:size]
    rest = (with_ * size)[: size - len(word)]
    return rest + word if left else word + rest
