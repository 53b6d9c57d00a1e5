"""The tables of SuiteQL: their columns, what kind of value each holds, and where it comes from.

Belongs here: names, kinds, keys, what a label (`BUILTIN.DF`) is taken from. Does not belong here: rows
(`mirror.py`), parsing (`suiteql.py`).

A table is a SQLite view over narrow storage (`t_…`): columns that are the same for every row of this company
cost nothing. Dates and datetimes are whole seconds of the account's local time; text booleans are 'T' / 'F'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["int", "number", "text", "bool", "date", "datetime"]

STORAGE = """
CREATE TABLE t_transaction (
    id INTEGER PRIMARY KEY, type TEXT, tranid TEXT, day INTEGER, created INTEGER, modified INTEGER, due INTEGER,
    status TEXT, entity INTEGER, total REAL, period INTEGER, otherrefnum TEXT, memo TEXT, posting TEXT,
    location INTEGER, createdfrom INTEGER, closed INTEGER, voided TEXT, exchangerate REAL, currency INTEGER);
CREATE TABLE t_line (
    uniquekey INTEGER PRIMARY KEY, txn INTEGER, seq INTEGER, kind TEXT, item INTEGER, quantity REAL, rate REAL,
    amount REAL, account INTEGER, location INTEGER, modified INTEGER, received REAL, billed REAL, closed TEXT,
    expected INTEGER, entity INTEGER, memo TEXT);
CREATE TABLE t_item (
    id INTEGER PRIMARY KEY, itemid TEXT, displayname TEXT, itemtype TEXT, isinactive TEXT, averagecost REAL,
    price REAL, created INTEGER, modified INTEGER, vendor INTEGER, leadtime INTEGER, reorderpoint INTEGER,
    preferred INTEGER);
CREATE TABLE t_stock (
    item INTEGER, location INTEGER, onhand REAL, available REAL, committed REAL, onorder REAL, intransit REAL,
    backordered REAL, reorderpoint REAL, preferred REAL, leadtime INTEGER, safety REAL, cost REAL,
    modified INTEGER, PRIMARY KEY (item, location)) WITHOUT ROWID;
CREATE TABLE t_entity (
    id INTEGER PRIMARY KEY, type TEXT, entityid TEXT, companyname TEXT, email TEXT, country TEXT, terms INTEGER,
    isinactive TEXT, created INTEGER, modified INTEGER, category TEXT);
CREATE TABLE t_location (id INTEGER PRIMARY KEY, name TEXT, isinactive TEXT, kind TEXT, modified INTEGER);
CREATE TABLE t_account (
    id INTEGER PRIMARY KEY, acctnumber TEXT, fullname TEXT, accttype TEXT, isinactive TEXT, modified INTEGER);
CREATE TABLE t_period (
    id INTEGER PRIMARY KEY, name TEXT, start INTEGER, finish INTEGER, closed TEXT, isposting TEXT, isyear TEXT,
    isquarter TEXT, parent INTEGER, modified INTEGER);
CREATE TABLE t_currency (
    id INTEGER PRIMARY KEY, name TEXT, symbol TEXT, rate REAL, isbase TEXT, modified INTEGER);
CREATE TABLE t_subsidiary (id INTEGER PRIMARY KEY, name TEXT, currency INTEGER, country TEXT, modified INTEGER);
CREATE TABLE t_deleted (
    recordid INTEGER, type TEXT, name TEXT, at INTEGER, typeid INTEGER, PRIMARY KEY (type, recordid, at));
CREATE TABLE t_label (kind TEXT, code TEXT, label TEXT, PRIMARY KEY (kind, code)) WITHOUT ROWID;
"""

# Made once the rows are in.
INDEXES = """
CREATE INDEX t_transaction_modified ON t_transaction (modified);
CREATE INDEX t_line_txn ON t_line (txn);
CREATE INDEX t_line_modified ON t_line (modified);
"""

# The letters of transaction.status by type, with what BUILTIN.DF makes of them.
STATUS = {
    "CashSale": {"A": "Unapproved Payment", "B": "Not Deposited", "C": "Deposited"},
    "CashRfnd": {"A": "Pending", "B": "Completed"},
    "CustInvc": {"A": "Open", "B": "Paid In Full"},
    "CustCred": {"A": "Open", "B": "Fully Applied"},
    "SalesOrd": {"B": "Pending Fulfillment", "G": "Billed"},
    "ItemShip": {"A": "Picked", "B": "Packed", "C": "Shipped"},
    "PurchOrd": {
        "B": "Pending Receipt",
        "D": "Partially Received",
        "F": "Pending Bill",
        "G": "Fully Billed",
        "H": "Closed",
    },
    "VendBill": {"A": "Open", "B": "Paid In Full"},
    "CustPymt": {"B": "Not Deposited", "C": "Deposited"},
    "VendPymt": {"Y": "Undefined"},
    "Deposit": {"Y": "Undefined"},
    "Check": {"Y": "Undefined"},
    "Journal": {"A": "Pending Approval", "B": "Approved for Posting"},
}
TYPE_NAMES = {
    "CashSale": "Cash Sale",
    "CashRfnd": "Cash Refund",
    "CustInvc": "Invoice",
    "CustCred": "Credit Memo",
    "SalesOrd": "Sales Order",
    "ItemShip": "Item Fulfillment",
    "PurchOrd": "Purchase Order",
    "VendBill": "Bill",
    "CustPymt": "Payment",
    "VendPymt": "Bill Payment",
    "Deposit": "Deposit",
    "Check": "Check",
    "Journal": "Journal",
}
# The kinds of line in storage, and what accountinglinetype says of each.
LINE_KINDS = {"M": "PAYMENT", "I": "INCOME", "X": "TAX", "C": "COGS", "A": "ASSET"}
# REST record types, and the transaction type (or table) behind each.
RECORD_TYPES = {
    "cashsale": "CashSale",
    "cashrefund": "CashRfnd",
    "invoice": "CustInvc",
    "creditmemo": "CustCred",
    "salesorder": "SalesOrd",
    "itemfulfillment": "ItemShip",
    "purchaseorder": "PurchOrd",
    "vendorbill": "VendBill",
    "customerpayment": "CustPymt",
    "vendorpayment": "VendPymt",
    "deposit": "Deposit",
    "check": "Check",
    "journalentry": "Journal",
}


@dataclass(frozen=True, slots=True)
class Column:
    """`sql` computes it from the storage row; `label` is the SQL of its `BUILTIN.DF`, with {} for the value."""

    name: str
    kind: Kind
    sql: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    storage: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    where: str = ""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


_ITEM = "(SELECT itemid FROM t_item WHERE id = {})"
_ENTITY = "(SELECT entityid FROM t_entity WHERE id = {})"
_PLACE = "(SELECT name FROM t_location WHERE id = {})"
_PERIOD = "(SELECT name FROM t_period WHERE id = {})"
_ACCOUNT = "(SELECT acctnumber || ' ' || fullname FROM t_account WHERE id = {})"
_CURRENCY = "(SELECT name FROM t_currency WHERE id = {})"
_SUBSIDIARY = "(SELECT name FROM t_subsidiary WHERE id = {})"
_TRANSACTION = (
    "(SELECT l.label || ' #' || x.tranid FROM t_transaction x "
    "JOIN t_label l ON l.kind = 'type' AND l.code = x.type WHERE x.id = {})"
)
_TYPE = "(SELECT label FROM t_label WHERE kind = 'type' AND code = {})"
_YES = "CASE {} WHEN 'T' THEN 'Yes' WHEN 'F' THEN 'No' END"


def _columns(text: str, labels: dict[str, str] | None = None) -> tuple[Column, ...]:
    """Columns from lines of "name kind sql"."""
    labels = labels or {}
    found = []
    for line in text.strip().splitlines():
        name, kind, sql = line.split(None, 2)
        label = labels.get(name) or (_YES if kind == "bool" else None)
        found.append(Column(name, kind, sql.strip(), label))  # type: ignore[arg-type]
    return tuple(found)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "transaction",
            "t_transaction",
            ("id",),
            _columns(
                """
                id int id
                tranid text tranid
                transactionnumber text type || '-' || tranid
                trandisplayname text type || ' #' || tranid
                type text type
                abbrevtype text upper(type)
                recordtype text (SELECT code FROM t_label WHERE kind = 'record' AND label = type)
                trandate date day
                createddate datetime created
                lastmodifieddate datetime modified
                duedate date due
                closedate date closed
                status text status
                entity int entity
                currency int currency
                exchangerate number exchangerate
                foreigntotal number total
                foreignamountpaid number CASE WHEN closed IS NOT NULL THEN total ELSE 0 END
                foreignamountunpaid number CASE WHEN closed IS NULL THEN total ELSE 0 END
                postingperiod int period
                posting bool posting
                voided bool voided
                void bool voided
                isreversal bool 'F'
                otherrefnum text otherrefnum
                memo text memo
                externalid text otherrefnum
                createdby int 5
                employee int NULL
                location int location
                subsidiary int 1
                createdfrom int createdfrom
                source text NULL
                """,
                {
                    "entity": _ENTITY,
                    "currency": _CURRENCY,
                    "postingperiod": _PERIOD,
                    "location": _PLACE,
                    "subsidiary": _SUBSIDIARY,
                    "createdfrom": _TRANSACTION,
                    "type": _TYPE,
                    "recordtype": "{}",
                },
            ),
        ),
        Table(
            "transactionline",
            "t_line",
            ("uniquekey",),
            _columns(
                """
                uniquekey int uniquekey
                id int seq
                transaction int txn
                linesequencenumber int seq
                item int item
                itemtype text (SELECT itemtype FROM t_item WHERE t_item.id = item)
                quantity number quantity
                rate number rate
                netamount number amount
                foreignamount number amount
                debitforeignamount number CASE WHEN amount > 0 THEN amount END
                creditforeignamount number CASE WHEN amount < 0 THEN -amount END
                mainline bool CASE kind WHEN 'M' THEN 'T' ELSE 'F' END
                taxline bool CASE kind WHEN 'X' THEN 'T' ELSE 'F' END
                iscogs bool CASE WHEN kind IN ('C','A') THEN 'T' ELSE 'F' END
                isinventoryaffecting bool CASE kind WHEN 'A' THEN 'T' ELSE 'F' END
                accountinglinetype text (SELECT label FROM t_label l WHERE l.kind = 'line' AND l.code = t_line.kind)
                expenseaccount int account
                entity int entity
                location int location
                subsidiary int 1
                department int NULL
                class int NULL
                memo text memo
                linelastmodifieddate datetime modified
                linecreateddate datetime (SELECT created FROM t_transaction WHERE t_transaction.id = txn)
                quantityshiprecv number received
                quantitybilled number billed
                quantitybackordered number NULL
                isclosed bool closed
                isfullyshipped bool CASE WHEN received IS NOT NULL AND received >= quantity THEN 'T' ELSE 'F' END
                expectedreceiptdate date expected
                createdfrom int (SELECT createdfrom FROM t_transaction WHERE t_transaction.id = txn)
                units int NULL
                donotdisplayline bool CASE WHEN kind IN ('C','A') THEN 'T' ELSE 'F' END
                """,
                {
                    "item": _ITEM,
                    "entity": _ENTITY,
                    "location": _PLACE,
                    "expenseaccount": _ACCOUNT,
                    "transaction": _TRANSACTION,
                    "createdfrom": _TRANSACTION,
                    "subsidiary": _SUBSIDIARY,
                },
            ),
        ),
        Table(
            "transactionaccountingline",
            "t_line",
            ("transaction", "transactionline", "accountingbook"),
            _columns(
                """
                transaction int txn
                transactionline int seq
                accountingbook int 1
                account int account
                accounttype text (SELECT accttype FROM t_account WHERE t_account.id = account)
                amount number amount
                netamount number amount
                debit number CASE WHEN amount > 0 THEN amount END
                credit number CASE WHEN amount < 0 THEN -amount END
                quantity number quantity
                posting bool 'T'
                exchangerate number 1
                lastmodifieddate datetime modified
                """,
                {"account": _ACCOUNT, "transaction": _TRANSACTION, "accountingbook": "'Primary Accounting Book'"},
            ),
            where="account IS NOT NULL AND txn IN (SELECT id FROM t_transaction WHERE posting = 'T')",
        ),
        Table(
            "item",
            "t_item",
            ("id",),
            _columns(
                """
                id int id
                itemid text itemid
                fullname text itemid
                displayname text displayname
                description text displayname
                itemtype text itemtype
                subtype text CASE itemtype WHEN 'InvtPart' THEN NULL ELSE 'Sale' END
                isinactive bool isinactive
                averagecost number averagecost
                cost number averagecost
                lastpurchaseprice number averagecost
                baseprice number price
                totalquantityonhand number (SELECT sum(onhand) FROM t_stock WHERE t_stock.item = t_item.id)
                totalvalue number (SELECT sum(onhand) FROM t_stock WHERE t_stock.item = t_item.id) * averagecost
                createddate datetime created
                lastmodifieddate datetime modified
                vendor int vendor
                leadtime int leadtime
                reorderpoint number reorderpoint
                preferredstocklevel number preferred
                incomeaccount int CASE itemtype WHEN 'InvtPart' THEN 400 ELSE 405 END
                assetaccount int CASE itemtype WHEN 'InvtPart' THEN 120 END
                expenseaccount int CASE itemtype WHEN 'InvtPart' THEN 500 END
                subsidiary int 1
                externalid text itemid
                upccode text NULL
                """,
                {
                    "vendor": _ENTITY,
                    "incomeaccount": _ACCOUNT,
                    "assetaccount": _ACCOUNT,
                    "expenseaccount": _ACCOUNT,
                    "subsidiary": _SUBSIDIARY,
                    "itemtype": "CASE {} WHEN 'InvtPart' THEN 'Inventory Item' ELSE 'Service' END",
                },
            ),
        ),
        *(
            Table(
                name,
                "t_stock",
                ("item", "location"),
                _columns(
                    """
                    item int item
                    location int location
                    quantityonhand number onhand
                    quantityavailable number available
                    quantitycommitted number committed
                    quantityonorder number onorder
                    quantityintransit number intransit
                    quantitybackordered number backordered
                    reorderpoint number reorderpoint
                    preferredstocklevel number preferred
                    safetystocklevel number safety
                    leadtime int leadtime
                    averagecostmli number cost
                    onhandvaluemli number onhand * cost
                    lastquantityavailablechange datetime modified
                    """,
                    {"item": _ITEM, "location": _PLACE},
                ),
            )
            for name in ("inventoryitemlocations", "aggregateitemlocation")
        ),
        Table(
            "vendor",
            "t_entity",
            ("id",),
            _columns(
                """
                id int id
                entityid text entityid
                companyname text companyname
                legalname text companyname
                altname text companyname
                email text email
                currency int 1
                terms int terms
                category text category
                isperson bool 'F'
                isinactive bool isinactive
                datecreated datetime created
                lastmodifieddate datetime modified
                subsidiary int 1
                externalid text NULL
                """,
                {"currency": _CURRENCY, "subsidiary": _SUBSIDIARY, "terms": "'Net ' || {}"},
            ),
            where="type = 'Vendor'",
        ),
        Table(
            "customer",
            "t_entity",
            ("id",),
            _columns(
                """
                id int id
                entityid text entityid
                companyname text companyname
                altname text companyname
                firstname text NULL
                lastname text NULL
                email text email
                currency int 1
                terms int terms
                category text category
                isperson bool 'F'
                isinactive bool isinactive
                datecreated datetime created
                lastmodifieddate datetime modified
                subsidiary int 1
                externalid text NULL
                """,
                {"currency": _CURRENCY, "subsidiary": _SUBSIDIARY, "terms": "'Net ' || {}"},
            ),
            where="type = 'CustJob'",
        ),
        Table(
            "entity",
            "t_entity",
            ("id",),
            _columns(
                """
                id int id
                entityid text entityid
                entitytitle text entityid
                altname text companyname
                type text type
                email text email
                isinactive bool isinactive
                isperson bool 'F'
                datecreated datetime created
                lastmodifieddate datetime modified
                """
            ),
        ),
        Table(
            "location",
            "t_location",
            ("id",),
            _columns(
                """
                id int id
                name text name
                fullname text name
                isinactive bool isinactive
                locationtype int CASE kind WHEN 'store' THEN 2 ELSE 1 END
                makeinventoryavailable bool CASE WHEN isinactive = 'T' THEN 'F' ELSE 'T' END
                subsidiary text '1'
                parent int NULL
                externalid text NULL
                lastmodifieddate datetime modified
                """,
                {
                    "subsidiary": _SUBSIDIARY,
                    "locationtype": "CASE {} WHEN 2 THEN 'Store' ELSE 'Warehouse' END",
                },
            ),
        ),
        Table(
            "account",
            "t_account",
            ("id",),
            _columns(
                """
                id int id
                acctnumber text acctnumber
                fullname text fullname
                displaynamewithhierarchy text fullname
                accountsearchdisplayname text acctnumber || ' ' || fullname
                accttype text accttype
                currency int 1
                description text NULL
                isinactive bool isinactive
                issummary bool 'F'
                eliminate bool 'F'
                parent int NULL
                subsidiary text '1'
                lastmodifieddate datetime modified
                """,
                {"currency": _CURRENCY},
            ),
        ),
        Table(
            "accountingperiod",
            "t_period",
            ("id",),
            _columns(
                """
                id int id
                periodname text name
                startdate date start
                enddate date finish
                closed bool closed
                closedondate date CASE closed WHEN 'T' THEN finish + 45 * 86400 END
                allnonglpostings bool 'F'
                aplocked bool closed
                arlocked bool closed
                alllocked bool closed
                isposting bool isposting
                isyear bool isyear
                isquarter bool isquarter
                isadjust bool 'F'
                isinactive bool 'F'
                parent int parent
                lastmodifieddate datetime modified
                """,
                {"parent": _PERIOD},
            ),
        ),
        Table(
            "currency",
            "t_currency",
            ("id",),
            _columns(
                """
                id int id
                name text name
                symbol text symbol
                exchangerate number rate
                isbasecurrency bool isbase
                isinactive bool 'F'
                lastmodifieddate datetime modified
                """
            ),
        ),
        Table(
            "subsidiary",
            "t_subsidiary",
            ("id",),
            _columns(
                """
                id int id
                name text name
                fullname text name
                legalname text name
                currency int currency
                country text country
                isinactive bool 'F'
                iselimination bool 'F'
                parent int NULL
                lastmodifieddate datetime modified
                """,
                {"currency": _CURRENCY},
            ),
        ),
        Table(
            "deletedrecord",
            "t_deleted",
            ("type", "recordid", "deleteddate"),
            _columns(
                """
                recordid int recordid
                type text type
                recordtypeid int typeid
                scriptid text lower(type)
                name text name
                deleteddate datetime at
                iscustomrecord bool 'F'
                iscustomlist bool 'F'
                iscustomtransaction bool 'F'
                context text 'UIF'
                externalid text NULL
                deletedby int 5
                """
            ),
        ),
        Table("dual", "(SELECT 'X' AS dummy)", ("dummy",), _columns("dummy text dummy")),
    )
}


def views() -> str:
    """The DDL of the views that SuiteQL reads."""
    made = []
    for table in TABLES.values():
        columns = ", ".join(f'{column.sql} AS "{column.name}"' for column in table.columns)
        where = f" WHERE {table.where}" if table.where else ""
        made.append(f'CREATE VIEW "{table.name}" AS SELECT {columns} FROM {table.storage}{where};')
    return "\n".join(made)


def labels() -> list[tuple[str, str, str]]:
    """The rows of `t_label`."""
    rows = [("type", code, name) for code, name in TYPE_NAMES.items()]
    rows += [("line", code, name) for code, name in LINE_KINDS.items()]
    rows += [("record", record, code) for record, code in RECORD_TYPES.items()]
    for code, letters in STATUS.items():
        rows += [(f"status:{code}", letter, f"{TYPE_NAMES[code]} : {name}") for letter, name in letters.items()]
    return rows


STATUS_LABEL = "(SELECT label FROM t_label WHERE kind = 'status:' || {type} AND code = {status})"
