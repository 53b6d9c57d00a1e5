"""The NetSuite tables that are read: columns, order, and what a row as a whole must hold to land.

Belongs here: one `Table` per stream. Does not belong here: running queries (`client.py`), what a column of a kind must
hold (`rows.py`), cursors and tie-outs (`source.py`).

A payload is the row as it comes: lower-case columns, values as text, columns that are NULL absent, times as
`YYYY-MM-DDTHH:MM:SS` in the account's zone, dates as `YYYY-MM-DD`, booleans as `T` and `F`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from ops_platform.ingestion.contract import Stream
from ops_platform.records import JsonObject
from resources.netsuite.client import number_literal, text_literal
from resources.record_checks import INVALID_SHAPE, MISSING_FIELD, NULL_MONEY, Flaw

VENDOR = "netsuite"
LOOK_BACK = timedelta(hours=1)
SALES_TYPES = ("CashSale", "CustInvc", "CustCred", "CashRfnd")
TRANSACTION_TYPES = (*SALES_TYPES, "SalesOrd", "ItemShip", "PurchOrd", "VendBill")
# The accounts whose every posting is read, whatever booked it: what is in the bank, and what is spent.
LEDGER_ACCOUNT_TYPES = ("Bank", "CredCard", "Expense", "OthExpense", "OthIncome")
LEDGER_TYPES = ("Deposit", "CustPymt", "VendPymt", "Journal", "Check", "ExpRept", "Transfer", "CardChrg", "CardRfnd")
# Item shipments move goods, not money: alone among the types read they have no total.
TYPES_WITH_TOTAL = frozenset(TRANSACTION_TYPES) - {"ItemShip"}
TIME_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS'


@dataclass(frozen=True, slots=True)
class Column:
    """`kind`: key, text, number, integer, date, time, flag or currency. An optional column may be hidden from the role;
    a hidden helper column (`payload` False) is asked for but does not land."""

    name: str
    source: str
    kind: str = "text"
    optional: bool = False
    payload: bool = True

    @property
    def expression(self) -> str:
        """The column as SuiteQL: dates by an explicit format, since the default follows a user's preference."""
        if self.kind == "time":
            return f"TO_CHAR({self.source}, '{TIME_FORMAT}') AS {self.name}"
        if self.kind == "date":
            return f"TO_CHAR({self.source}, 'YYYY-MM-DD') AS {self.name}"
        if self.kind == "currency":
            return f"BUILTIN.DF({self.source}) AS {self.name}"
        return f"{self.source} AS {self.name}"


Key = Callable[[JsonObject], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """How one stream is read. `keys` are (column, SQL) of the unique ascending order, numbers unless named in
    `text_keys`; `changed` lists the SQL moments whose change brings a row back."""

    stream: Stream
    columns: tuple[Column, ...]
    source: str
    keys: tuple[tuple[str, str], ...]
    changed: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    whole_transactions: bool = False
    text_keys: frozenset[str] = frozenset()
    identity: Callable[[JsonObject], str] | None = None
    check: Callable[[JsonObject], None] | None = None
    moments: tuple[str, ...] = ()
    #: The columns that are asked for and do not land.
    helpers: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "helpers", tuple(column.name for column in self.columns if not column.payload))

    def query(self, conditions: tuple[str, ...], hidden: frozenset[str] = frozenset(), only_keys: bool = False) -> str:
        """The SuiteQL text of one page."""
        names = {name for name, _ in self.keys}
        chosen = [
            column.expression
            for column in self.columns
            if column.name not in hidden and (not only_keys or column.name in names)
        ]
        where = " AND ".join(f"({condition})" for condition in (*self.where, *conditions))
        order = ", ".join(sql for _, sql in self.keys)
        return f"SELECT {', '.join(chosen)} FROM {self.source}{' WHERE ' + where if where else ''} ORDER BY {order}"

    def key(self, row: JsonObject) -> tuple[Any, ...]:
        if len(self.keys) == 1 and not self.text_keys:
            return (int(row[self.keys[0][0]]),)
        return tuple(row[name] if name in self.text_keys else int(row[name]) for name, _ in self.keys)

    def after(self, row: JsonObject) -> str:
        """The condition that leads past `row` in the order of the keys."""
        alternatives = []
        equal: list[str] = []
        for name, sql in self.keys:
            literal = self._literal(name, row[name])
            alternatives.append(" AND ".join([*equal, f"{sql} > {literal}"]))
            equal.append(f"{sql} = {literal}")
        if len(alternatives) == 1:
            return alternatives[0]
        return " OR ".join(f"({alternative})" for alternative in alternatives)

    def _literal(self, name: str, value: Any) -> str:
        column = next(column for column in self.columns if column.name == name)
        if column.kind == "time":
            return time_literal(datetime.fromisoformat(value))
        return text_literal(value) if name in self.text_keys else number_literal(value)


def time_literal(at: datetime) -> str:
    """A naive moment of the account's zone as SuiteQL."""
    return f"TO_DATE('{at.strftime('%Y-%m-%d %H:%M:%S')}', 'YYYY-MM-DD HH24:MI:SS')"


def date_literal(day: date) -> str:
    return f"TO_DATE('{day.isoformat()}', 'YYYY-MM-DD')"


def in_list(values: tuple[str, ...]) -> str:
    return ", ".join(text_literal(value) for value in values)


# -- checks of a row as a whole ---------------------------------------------------------------------------------


def _required(row: JsonObject, *names: str) -> None:
    for name in names:
        value = row.get(name)
        if value is None:
            raise Flaw(MISSING_FIELD, f"{name} is missing")
        if isinstance(value, list | dict):
            raise Flaw(INVALID_SHAPE, f"{name} is a {type(value).__name__}, not one value")


def check_transaction(row: JsonObject) -> None:
    _required(row, "type", "trandate", "lastmodifieddate")
    if row["type"] in TYPES_WITH_TOTAL:
        if row.get("foreigntotal") is None:
            raise Flaw(NULL_MONEY, f"foreigntotal of a {row['type']} is null")
        _required(row, "currency")


def check_line(row: JsonObject) -> None:
    _required(row, "transaction", "type", "trandate", "mainline", "taxline", "iscogs")
    if row["type"] in SALES_TYPES and row["mainline"] == "F" and row.get("netamount") is None:
        raise Flaw(NULL_MONEY, f"netamount of a line of a {row['type']} is null")


def check_purchase_line(row: JsonObject) -> None:
    _required(row, "transaction", "trandate", "item", "quantity")


def check_ledger_line(row: JsonObject) -> None:
    _required(row, "trandate", "account", "lastmodifieddate")
    if row.get("amount") is None:
        raise Flaw(NULL_MONEY, "amount of a posting is null")


# -- the streams ------------------------------------------------------------------------------------------------

_MODIFIED = "t.lastmodifieddate"
_LINE_MODIFIED = "tl.linelastmodifieddate"
_LINES = "transactionline tl INNER JOIN transaction t ON t.id = tl.transaction"
_LEDGER = (
    "transactionaccountingline tal INNER JOIN transaction t ON t.id = tal.transaction"
    " INNER JOIN account a ON a.id = tal.account"
)


def _small(
    name: str,
    description: str,
    source: str,
    columns: tuple[Column, ...],
    keys: tuple[tuple[str, str], ...],
    **more: Any,
) -> Table:
    return Table(Stream(VENDOR, name, description, full_refresh=True, ties_out=True), columns, source, keys, **more)


TABLES: Mapping[str, Table] = {
    table.stream.name: table
    for table in (
        Table(
            Stream(
                VENDOR,
                "transactions",
                "Sales, orders, shipments, purchases and bills: the headers",
                look_back=LOOK_BACK,
                ties_out=True,
                grain="one row per transaction",
            ),
            columns=(
                Column("id", "t.id", "key"),
                Column("tranid", "t.tranid"),
                Column("type", "t.type"),
                Column("trandate", "t.trandate", "date"),
                Column("createddate", "t.createddate", "time"),
                Column("lastmodifieddate", "t.lastmodifieddate", "time"),
                Column("duedate", "t.duedate", "date"),
                Column("status", "t.status"),
                Column("entity", "t.entity"),
                Column("currency", "t.currency", "currency"),
                Column("exchangerate", "t.exchangerate", "number"),
                Column("foreigntotal", "t.foreigntotal", "number"),
                Column("foreignamountunpaid", "t.foreignamountunpaid", "number", optional=True),
                Column("closedate", "t.closedate", "date", optional=True),
                Column("postingperiod", "t.postingperiod"),
                Column("otherrefnum", "t.otherrefnum", optional=True),
                Column("posting", "t.posting", "flag"),
                Column("voided", "t.voided", "flag"),
            ),
            source="transaction t",
            keys=(("id", "t.id"),),
            changed=(_MODIFIED,),
            where=(f"t.type IN ({in_list(TRANSACTION_TYPES)})",),
            check=check_transaction,
            moments=("lastmodifieddate",),
        ),
        Table(
            Stream(
                VENDOR,
                "transaction_lines",
                "The lines of those transactions",
                look_back=LOOK_BACK,
                ties_out=True,
                grain="one row per transaction line",
            ),
            columns=(
                Column("id", "tl.uniquekey", "key"),
                Column("transaction", "tl.transaction"),
                # Of the header, so that lines tie out by day without another table.
                Column("type", "t.type"),
                Column("trandate", "t.trandate", "date"),
                Column("linesequencenumber", "tl.linesequencenumber", "integer"),
                Column("item", "tl.item"),
                Column("quantity", "tl.quantity", "number"),
                Column("rate", "tl.rate", "number"),
                Column("netamount", "tl.netamount", "number"),
                Column("foreignamount", "tl.foreignamount", "number"),
                Column("mainline", "tl.mainline", "flag"),
                Column("taxline", "tl.taxline", "flag"),
                Column("iscogs", "tl.iscogs", "flag"),
                Column("expenseaccount", "tl.expenseaccount", optional=True),
                Column("location", "tl.location", optional=True),
                Column("linelastmodifieddate", _LINE_MODIFIED, "time"),
                Column("quantityshiprecv", "tl.quantityshiprecv", "number", optional=True),
                Column("quantitybilled", "tl.quantitybilled", "number", optional=True),
                Column("isclosed", "tl.isclosed", "flag", optional=True),
                Column("headermodified", _MODIFIED, "time", payload=False),
            ),
            source=_LINES,
            keys=(("id", "tl.uniquekey"),),
            changed=(_MODIFIED, _LINE_MODIFIED),
            where=(f"t.type IN ({in_list(TRANSACTION_TYPES)})",),
            whole_transactions=True,
            check=check_line,
            moments=("linelastmodifieddate", "headermodified"),
        ),
        Table(
            Stream(
                VENDOR,
                "purchase_orders",
                "Lines of purchase orders",
                look_back=LOOK_BACK,
                ties_out=True,
                grain="one row per purchase-order line",
            ),
            columns=(
                Column("id", "tl.uniquekey", "key"),
                Column("transaction", "tl.transaction"),
                Column("tranid", "t.tranid"),
                Column("trandate", "t.trandate", "date"),
                Column("duedate", "t.duedate", "date"),
                Column("status", "t.status"),
                Column("vendor", "t.entity"),
                Column("item", "tl.item"),
                Column("location", "tl.location", optional=True),
                Column("quantity", "tl.quantity", "number"),
                Column("quantityreceived", "tl.quantityshiprecv", "number"),
                Column("expectedreceiptdate", "tl.expectedreceiptdate", "date", optional=True),
                Column("rate", "tl.rate", "number"),
                Column("isclosed", "tl.isclosed", "flag"),
                Column("lastmodifieddate", _MODIFIED, "time"),
                Column("linemodified", _LINE_MODIFIED, "time", payload=False),
            ),
            source=_LINES,
            keys=(("id", "tl.uniquekey"),),
            changed=(_MODIFIED, _LINE_MODIFIED),
            where=("t.type = 'PurchOrd'", "tl.mainline = 'F'", "tl.taxline = 'F'"),
            whole_transactions=True,
            check=check_purchase_line,
            moments=("lastmodifieddate", "linemodified"),
        ),
        Table(
            Stream(
                VENDOR,
                "ledger_lines",
                "What was posted to bank accounts, cards, expenses and other income",
                look_back=LOOK_BACK,
                ties_out=True,
                grain="one row per posting to one of those accounts",
            ),
            columns=(
                Column("transaction", "tal.transaction", "key"),
                Column("transactionline", "tal.transactionline", "key"),
                # One for the primary book; the books beside it say the same in another way.
                Column("accountingbook", "tal.accountingbook", "key"),
                Column("type", "t.type"),
                Column("trandate", "t.trandate", "date"),
                Column("account", "tal.account"),
                Column("amount", "tal.amount", "number"),
                Column("posting", "tal.posting", "flag"),
                Column("lastmodifieddate", _MODIFIED, "time"),
            ),
            source=_LEDGER,
            keys=(
                ("transaction", "tal.transaction"),
                ("transactionline", "tal.transactionline"),
                ("accountingbook", "tal.accountingbook"),
            ),
            changed=(_MODIFIED,),
            where=("tal.accountingbook = 1", f"a.accttype IN ({in_list(LEDGER_ACCOUNT_TYPES)})"),
            identity=lambda row: f"{row['transaction']}:{row['transactionline']}",
            check=check_ledger_line,
            moments=("lastmodifieddate",),
        ),
        # A new average cost does not count as a change of the item, so items are read whole.
        _small(
            "items",
            "Items: SKU, kind, cost, lead time",
            "item i",
            (
                Column("id", "i.id", "key"),
                Column("itemid", "i.itemid"),
                Column("displayname", "i.displayname"),
                Column("itemtype", "i.itemtype"),
                Column("isinactive", "i.isinactive", "flag"),
                Column("averagecost", "i.averagecost", "number", optional=True),
                Column("lastmodifieddate", "i.lastmodifieddate", "time"),
                Column("vendor", "i.vendor", optional=True),
                Column("leadtime", "i.leadtime", "number", optional=True),
                Column("reorderpoint", "i.reorderpoint", "number", optional=True),
            ),
            (("id", "i.id"),),
            check=lambda row: _required(row, "itemid"),
            moments=("lastmodifieddate",),
        ),
        _small(
            "inventory_by_location",
            "Stock of every item at every location",
            "aggregateitemlocation il",
            (
                Column("item", "il.item", "key"),
                Column("location", "il.location", "key"),
                Column("quantityonhand", "il.quantityonhand", "number"),
                Column("quantityavailable", "il.quantityavailable", "number"),
                Column("quantityonorder", "il.quantityonorder", "number"),
                Column("quantityintransit", "il.quantityintransit", "number", optional=True),
                Column("quantitybackordered", "il.quantitybackordered", "number", optional=True),
                Column("reorderpoint", "il.reorderpoint", "number", optional=True),
                Column("preferredstocklevel", "il.preferredstocklevel", "number", optional=True),
                Column("leadtime", "il.leadtime", "number", optional=True),
            ),
            (("item", "il.item"), ("location", "il.location")),
            identity=lambda row: f"{row['item']}:{row['location']}",
        ),
        _small(
            "vendors",
            "Suppliers",
            "vendor v",
            (
                Column("id", "v.id", "key"),
                Column("entityid", "v.entityid"),
                Column("companyname", "v.companyname"),
                Column("currency", "v.currency", "currency"),
                Column("isinactive", "v.isinactive", "flag"),
                Column("lastmodifieddate", "v.lastmodifieddate", "time"),
            ),
            (("id", "v.id"),),
            moments=("lastmodifieddate",),
        ),
        _small(
            "locations",
            "Stock locations",
            "location l",
            (Column("id", "l.id", "key"), Column("name", "l.name"), Column("isinactive", "l.isinactive", "flag")),
            (("id", "l.id"),),
        ),
        _small(
            "accounts",
            "The chart of accounts",
            "account a",
            (
                Column("id", "a.id", "key"),
                Column("acctnumber", "a.acctnumber"),
                Column("fullname", "a.fullname"),
                Column("accttype", "a.accttype"),
            ),
            (("id", "a.id"),),
        ),
        _small(
            "accounting_periods",
            "Accounting periods, open and closed",
            "accountingperiod p",
            (
                Column("id", "p.id", "key"),
                Column("periodname", "p.periodname"),
                Column("startdate", "p.startdate", "date"),
                Column("enddate", "p.enddate", "date"),
                Column("closed", "p.closed", "flag"),
                Column("isposting", "p.isposting", "flag"),
                Column("isyear", "p.isyear", "flag"),
                Column("isquarter", "p.isquarter", "flag"),
            ),
            (("id", "p.id"),),
            check=lambda row: _required(row, "startdate", "enddate"),
        ),
        Table(
            Stream(
                VENDOR,
                "deleted_records",
                "What was deleted, as the vendor lists it",
                look_back=LOOK_BACK,
                ties_out=True,
            ),
            columns=(
                Column("recordid", "d.recordid", "key"),
                Column("recordtypeid", "d.recordtypeid"),
                Column("type", "d.type"),
                Column("name", "d.name"),
                Column("deleteddate", "d.deleteddate", "time"),
            ),
            source="deletedrecord d",
            keys=(("deleteddate", "d.deleteddate"), ("recordid", "d.recordid"), ("type", "d.type")),
            changed=("d.deleteddate",),
            text_keys=frozenset({"deleteddate", "type"}),
            identity=lambda row: f"{row['type']}:{row['recordid']}:{row['deleteddate']}",
            check=lambda row: _required(row, "type", "recordid", "deleteddate"),
            moments=("deleteddate",),
        ),
    )
}

# What the list of deleted records calls things, by the stream they are landed in.
DELETED_TYPES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "cashsale",
            "invoice",
            "creditmemo",
            "cashrefund",
            "salesorder",
            "itemfulfillment",
            "purchaseorder",
            "vendorbill",
            # Never landed as transactions, but their postings are.
            "deposit",
            "customerpayment",
            "vendorpayment",
            "journalentry",
            "check",
            "expensereport",
            "transfer",
            "creditcardcharge",
            "creditcardrefund",
        ),
        "transactions",
    ),
    **{name.lower(): "transactions" for name in (*TRANSACTION_TYPES, *LEDGER_TYPES)},
    **dict.fromkeys(
        ("inventoryitem", "assemblyitem", "kititem", "noninventoryitem", "noninventorysaleitem", "serviceitem", "item"),
        "items",
    ),
    "vendor": "vendors",
    "location": "locations",
    "account": "accounts",
    "accountingperiod": "accounting_periods",
}
