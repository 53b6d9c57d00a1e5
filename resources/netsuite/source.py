"""NetSuite as a `VendorSource`: incremental reads, deletions, tie-outs.

Belongs here: which rows are asked for and what they are compared with. Does not belong here: SuiteQL over
HTTP (`client.py`), columns and checks (`tables.py`).

Time. The account shows times in its own zone without saying which; `zone` does. Cursors are UTC.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.netsuite.client import NetSuiteClient, Unauthorised, UnknownColumn, number_literal
from resources.netsuite.rows import check_row, is_plain, whole_row
from resources.netsuite.tables import (
    DELETED_TYPES,
    LEDGER_ACCOUNT_TYPES,
    SALES_TYPES,
    TABLES,
    TRANSACTION_TYPES,
    VENDOR,
    Table,
    date_literal,
    in_list,
    time_literal,
)
from resources.record_checks import Flaw, rejected, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

_CREDENTIALS_REMEDY = (
    "check NETSUITE_CLIENT_ID, NETSUITE_CERTIFICATE_ID, NETSUITE_PRIVATE_KEY, the certificate's expiry, and that the "
    "role has REST Web Services and Log in using OAuth 2.0 Access Tokens"
)
# What the role needs for each table, all at level View, besides SuiteAnalytics Workbook.
PERMISSIONS = {
    "transactions": "Transactions > Find Transaction, Sales Order, Invoice, Cash Sale, Credit Memo, Cash Refund",
    "transaction_lines": "Transactions > Find Transaction, Sales Order, Invoice, Cash Sale, Credit Memo, Cash Refund",
    "items": "Lists > Items",
    "inventory_by_location": "Lists > Items, Lists > Locations",
    "purchase_orders": "Transactions > Purchase Order",
    "ledger_lines": "Lists > Accounts; Transactions > Find Transaction and every kind that posts to them",
    "vendors": "Lists > Vendors",
    "locations": "Lists > Locations",
    "accounts": "Lists > Accounts",
    "accounting_periods": "Setup > Manage Accounting Periods",
    "deleted_records": "Setup > Deleted Records",
}
DAYS_PER_TOTALS_QUERY = 200


class NetSuiteSource:
    """An account behind `client`. `reload_open_periods` reads the transactions of the last so many open
    periods again at every sync: reposting changes them without a new date of modification."""

    vendor = VENDOR
    # A page is asked for when the one before has been read, so each alone waits most of its time; how many ask at once
    # is the account's to say (`client.py`).
    side_by_side = frozenset(TABLES)
    # Lines are always read with all lines of their transaction, so a line of a transaction that was read and
    # that did not come along is gone. The value names the payload key of the parent.
    parent_keys: ClassVar[dict[str, str]] = {
        "transaction_lines": "transaction",
        "purchase_orders": "transaction",
        "ledger_lines": "transaction",
    }

    def __init__(self, client: NetSuiteClient, *, zone: str, reload_open_periods: int = 0) -> None:
        self.client = client
        self.zone = ZoneInfo(zone)
        self.reload_open_periods = reload_open_periods
        self.streams: dict[str, Stream] = {name: table.stream for name, table in TABLES.items()}
        self._hidden: dict[str, frozenset[str]] = {}

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the rows changed since `cursor` less the look-back; all of them when it is None.

        The cost of a page is in requests. Raises `PermanentFailure` or `TransientFailure`."""
        table = TABLES[stream.name]
        conditions: tuple[str, ...] = ()
        if cursor is not None and table.changed and not stream.full_refresh:
            conditions = (self._changed_since(table, min(datetime.fromisoformat(cursor), now) - stream.look_back),)
        spent = self.client.cost
        for rows in self._rows(table, conditions):
            page = self._page(table, rows, now)
            yield Page(page.records, page.rejected, page.cursor, self.client.cost - spent)
            spent = self.client.cost

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every row whose transaction is of these days of the account."""
        table = TABLES[stream.name]
        literals = ", ".join(date_literal(day) for day in sorted(set(days)))
        spent = self.client.cost
        for rows in self._rows(table, (f"t.trandate IN ({literals})",)):
            page = self._page(table, rows, now)
            yield Page(page.records, page.rejected, None, self.client.cost - spent)
            spent = self.client.cost

    def _rows(self, table: Table, conditions: tuple[str, ...], only_keys: bool = False) -> Iterator[list[JsonObject]]:
        """Pages of rows; an optional column the role may not see is left out and noted once."""
        name = table.stream.name
        optional = {
            column.name: column.source.rpartition(".")[2].lower() for column in table.columns if column.optional
        }
        while True:
            hidden = self._hidden.get(name, frozenset())

            def build(condition: str | None, hidden: frozenset[str] = hidden) -> str:
                extra = conditions if condition is None else (*conditions, condition)
                return table.query(extra, hidden, only_keys)

            started = False
            try:
                for rows in self.client.rows(build, table.key, table.after):
                    started = True
                    yield rows
                return
            except UnknownColumn as failure:
                missing = {column for column, source in optional.items() if source == failure.column} - hidden
                if started or not missing:
                    raise PermanentFailure(f"{failure}: {name} cannot be read without it") from None
                log.warning(
                    "netsuite: %s: the role does not see %s; it stays unknown", name, ", ".join(sorted(missing))
                )
                self._hidden[name] = hidden | missing

    def _changed_since(self, table: Table, since: datetime) -> str:
        """The condition for rows changed since then. A transaction any line of which changed comes whole."""
        moment = time_literal(since.astimezone(self.zone).replace(tzinfo=None))
        if not table.whole_transactions:
            condition = " OR ".join(f"{changed} >= {moment}" for changed in table.changed)
        else:
            condition = (
                f"t.lastmodifieddate >= {moment} OR t.id IN (SELECT x.transaction FROM transactionline x"
                f" WHERE x.linelastmodifieddate >= {moment})"
            )
        if self.reload_open_periods and table.stream.name in ("transactions", "transaction_lines", "ledger_lines"):
            periods = self._open_periods(self.reload_open_periods)
            if periods:
                condition += f" OR t.postingperiod IN ({', '.join(periods)})"
        return condition

    def _open_periods(self, count: int) -> list[str]:
        """Ids of the latest open posting periods, the newest first."""
        query = (
            "SELECT p.id AS id, TO_CHAR(p.startdate, 'YYYY-MM-DD') AS startdate FROM accountingperiod p"
            " WHERE p.closed = 'F' AND p.isposting = 'T' AND p.isyear = 'F' AND p.isquarter = 'F'"
            " ORDER BY p.startdate DESC, p.id DESC"
        )
        items = self.client.page(query)["items"]
        today = datetime.now(self.zone).date().isoformat()
        begun = [item for item in items if str(item.get("startdate", "")) <= today] or items
        return [number_literal(item["id"]) for item in begun[:count]]

    def _page(self, table: Table, rows: Sequence[JsonObject], now: datetime) -> Page:
        records: list[Record] = []
        refused: list[Rejected] = []
        check = whole_row if is_plain(table, rows) else check_row
        # Lines of a transaction, and transactions of an import, share their times.
        moments: dict[str | None, datetime | None] = {None: None}
        for row in rows:
            try:
                identity, changed = check(table, row)
            except Flaw as flaw:
                refused.append(rejected(row, flaw, _known_id(row)))
                continue
            if changed is not None and changed not in moments:
                moments[changed] = self._instant(changed)
            records.append(Record(identity, row, moments[changed]))
        latest = max((moment for moment in moments.values() if moment is not None), default=None)
        cursor = None
        if latest is not None and not table.stream.full_refresh:
            # Rows come by id over minutes; what changes meanwhile may be behind: never past the begin.
            cursor = utc_text(min(latest, now))
        return Page(records, refused, cursor)

    def _instant(self, text: str) -> datetime:
        """A time of the account in UTC. Of the hour that comes twice in autumn the earlier reading is taken: it can
        only make a sync read more."""
        return datetime.fromisoformat(text).replace(tzinfo=self.zone).astimezone(UTC)

    def recheck(self, stream: Stream, payloads: Sequence[JsonObject], *, now: datetime) -> Page:
        """The checks of `pages` on rows kept in quarantine."""
        return self._page(TABLES[stream.name], payloads, now)

    # -- deletions ------------------------------------------------------------------------------------------

    def deletions(self, since: datetime) -> Iterator[tuple[str, str]]:
        """(stream, id) of every record of ours that the account says was deleted since then."""
        for kind, recordid in self._deleted_records(since):
            stream = DELETED_TYPES.get(kind.lower())
            if stream is not None:
                yield stream, recordid

    def deleted_parents(self, stream: Stream, since: datetime) -> set[str]:
        """Ids of deleted transactions, for a stream whose rows are lines of transactions: the list of deleted
        records names no lines. Rows whose `parent_keys` value is among them are gone."""
        if stream.name not in self.parent_keys:
            return set()
        return {
            recordid
            for kind, recordid in self._deleted_records(since)
            if DELETED_TYPES.get(kind.lower()) == "transactions"
        }

    def _deleted_records(self, since: datetime) -> Iterator[tuple[str, str]]:
        table = TABLES["deleted_records"]
        for rows in self._rows(table, (self._changed_since(table, since),)):
            for row in rows:
                # A row that does not say what was deleted is set aside where the list itself is landed.
                if row.get("type") is not None and row.get("recordid") is not None:
                    yield str(row["type"]), str(row["recordid"])

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """Every id the account has now, for finding what was deleted. Raises rather than end early."""
        table = TABLES[stream.name]
        for rows in self._rows(table, (), only_keys=True):
            for row in rows:
                yield table.identity(row) if table.identity is not None else str(row["id"])

    # -- tie-out --------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """By day of `trandate`: transactions with the sum of their totals, each in its own currency; or the
        revenue lines (sales, invoices, credits and refunds without main, tax and cost lines) with the sum of
        their net amounts, whose sign is the ledger's; or the lines of purchase orders with the sum of quantity times
        rate. Days None: all there are. Every other table: how many rows it has in all."""
        if stream.name not in _TOTALS:
            return [ControlTotal(stream.name, None, self._row_count(TABLES[stream.name]))]
        entity, source, where, amount = _TOTALS[stream.name]
        if days is None:
            return list(self._totals(entity, source, where, amount, None))
        wanted = sorted(set(days))
        found: dict[date | None, ControlTotal] = {}
        for start in range(0, len(wanted), DAYS_PER_TOTALS_QUERY):
            chunk = wanted[start : start + DAYS_PER_TOTALS_QUERY]
            found.update((total.day, total) for total in self._totals(entity, source, where, amount, chunk))
        return [found.get(day) or ControlTotal(entity, day, 0, Decimal(0)) for day in wanted]

    def _row_count(self, table: Table) -> int:
        where = " AND ".join(f"({condition})" for condition in table.where)
        answer = self.client.page(f"SELECT COUNT(*) AS n FROM {table.source}{' WHERE ' + where if where else ''}")
        try:
            (row,) = answer["items"]
            return int(row["n"])
        except (KeyError, TypeError, ValueError):
            raise TransientFailure(f"netsuite: the count of {table.stream.name} is not one number") from None

    def _totals(
        self, entity: str, source: str, where: str, amount: str, days: Sequence[date] | None
    ) -> Iterator[ControlTotal]:
        day = "TO_CHAR(t.trandate, 'YYYY-MM-DD')"
        limits = "" if days is None else f" AND t.trandate IN ({', '.join(date_literal(each) for each in days)})"

        def build(condition: str | None) -> str:
            more = "" if condition is None else f" AND {condition}"
            return (
                f"SELECT {day} AS day, COUNT(*) AS n, SUM({amount}) AS amount FROM {source}"
                f" WHERE {where}{limits}{more} GROUP BY {day} ORDER BY {day}"
            )

        def key(row: JsonObject) -> tuple[str]:
            return (date.fromisoformat(row["day"]).isoformat(),)

        def after(row: JsonObject) -> str:
            return f"t.trandate > {date_literal(date.fromisoformat(row['day']))}"

        for rows in self.client.rows(build, key, after):
            for row in rows:
                try:
                    total = Decimal(str(row.get("amount") or "0"))
                    count = int(row["n"])
                except (InvalidOperation, KeyError, ValueError):
                    raise TransientFailure(f"netsuite: the totals of {row.get('day')} are not numbers") from None
                yield ControlTotal(entity, date.fromisoformat(row["day"]), count, total)

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side of the same sums."""
        if not stream.ties_out:
            return None
        if stream.name not in _TOTALS:
            whole = (
                "select null::date as day, count(*)::bigint as count, null::numeric as amount"
                f" from raw_netsuite.{stream.name} where deleted_at is null"
            )
            return LandedQuery(stream.name, whole)
        day = "(payload->>'trandate')::date"
        where = "true"
        if stream.name == "transactions":
            amount = "(payload->>'foreigntotal')::numeric"
        elif stream.name == "ledger_lines":
            amount = "(payload->>'amount')::numeric"
        elif stream.name == "purchase_orders":
            amount = "(payload->>'quantity')::numeric * (payload->>'rate')::numeric"
        else:
            amount = "(payload->>'netamount')::numeric"
            where = (
                f"payload->>'type' in ({in_list(SALES_TYPES)}) and payload->>'mainline' = 'F'"
                " and payload->>'taxline' = 'F' and payload->>'iscogs' = 'F'"
            )
        sql = (
            f"select {day} as day, count(*)::bigint as count,"
            f" coalesce(sum({amount}), 0) as amount"
            f" from raw_netsuite.{stream.name} where deleted_at is null and {where}"
            f" and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
        )
        return LandedQuery(_TOTALS[stream.name][0], sql, day, zone=self.zone.key)

    # -- health ---------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Ask for a token, then for the first row of every table that is read."""
        every = tuple(TABLES)
        try:
            self.client.sign_in()
        except OpsError as error:
            yield Probe("credentials", False, str(error), _CREDENTIALS_REMEDY, every)
            return
        yield Probe("credentials", True, f"account {self.client.account} gave a token")
        for name, table in TABLES.items():
            try:
                first = next(self._rows(table, (), only_keys=True), [])
            except Unauthorised as error:
                # A token that the query service refuses: its role or its integration, for every table alike.
                yield Probe("token", False, str(error), _CREDENTIALS_REMEDY, every)
                return
            except OpsError as error:
                again = isinstance(error, TransientFailure)
                remedy = "try again later" if again else f"give the role {PERMISSIONS[name]}"
                yield Probe(name, False, str(error), remedy, (name,))
                continue
            yield Probe(name, True, "answers" if first else "answers, and has no record")

    def close(self) -> None:
        self.client.http.close()


_LINES = "transactionline tl INNER JOIN transaction t ON t.id = tl.transaction"
_LEDGER = (
    "transactionaccountingline tal INNER JOIN transaction t ON t.id = tal.transaction"
    " INNER JOIN account a ON a.id = tal.account"
)
# stream → (entity, tables, condition, summed column)
_TOTALS = {
    "transactions": ("transactions", "transaction t", f"t.type IN ({in_list(TRANSACTION_TYPES)})", "t.foreigntotal"),
    "transaction_lines": (
        "revenue_lines",
        _LINES,
        f"t.type IN ({in_list(SALES_TYPES)}) AND tl.mainline = 'F' AND tl.taxline = 'F' AND tl.iscogs = 'F'",
        "tl.netamount",
    ),
    "purchase_orders": (
        "purchase_orders",
        _LINES,
        "t.type = 'PurchOrd' AND tl.mainline = 'F' AND tl.taxline = 'F'",
        "tl.quantity * tl.rate",
    ),
    "ledger_lines": (
        "ledger_lines",
        _LEDGER,
        f"tal.accountingbook = 1 AND a.accttype IN ({in_list(LEDGER_ACCOUNT_TYPES)})",
        "tal.amount",
    ),
}


def _known_id(row: JsonObject) -> str | None:
    value = row.get("id")
    return value if isinstance(value, str) and value else None
