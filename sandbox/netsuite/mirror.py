"""The company's trade as the ERP books it: one row a transaction, one a line.

Belongs here: which transaction an event becomes, signs, accounts, ids. Does not belong here: SQL, REST.

Signs are the general ledger's: on a sale the main line debits (positive) and item and tax lines credit
(negative), quantities leave stock (negative); refunds and credit memos are the other way round. Each stocked
item line of a sale brings a pair of cost lines: cost of goods (positive) and stock (negative), both marked
`iscogs`. Shipping charged to customers is settled outside these transactions, so that lines without main,
tax and cost lines are exactly the company's net sales. Returned goods come back to stock by count, not with
the refund. Orders in `Company.erp_missing` are not here, nor anything that followed from them; those in
`erp_doubled` are here twice, those in `erp_late` on the day they were posted.

Money moves at the bank: each day's takings are deposited three days later less the card fees, invoices and bills are
paid in full on one day, and what the company spends besides (salaries, rent, advertising, freight, sales tax) is paid
by cheque or journal on fixed days. All of it depends on what came before it alone.

Ids come from the company's own numbers, so they stay when the clock moves on.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sandbox.company import Company
from sandbox.company.chance import stream
from sandbox.company.model import B2bInvoice, Order, PurchaseOrder
from sandbox.company.season import local

Row = tuple[Any, ...]
Write = Callable[[str, list[Row]], None]

_BATCH = 10_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()

LINES_PER_TRANSACTION = 512  # three for each SKU there is, and some: a wholesale customer may order the whole range
SALE, SECOND_SALE, SHIPMENT, REFUND = 0, 1, 2, 8
_INVOICES, _PURCHASES, _DELETED = 20_000_000, 40_000_000, 60_000_000
_DEPOSITS, _RECEIPTS, _PAYMENTS, _SPENDING = 80_000_000, 100_000_000, 120_000_000, 140_000_000
_DEPOSITED_AFTER = timedelta(days=3)
_CARD_FEE = 0.029
_SALES = 1_000_000
# Accounts by id; `mirror` writes their rows from this.
UNDEPOSITED, RECEIVABLE, STOCK, PAYABLE, TAX, INCOME, WHOLESALE, COST = 110, 115, 120, 200, 220, 400, 402, 500
BANK, RESERVE, EQUITY = 100, 105, 300
PAYROLL, ADVERTISING, FREIGHT, RENT, SOFTWARE, CARD_FEES, INTEREST = 600, 610, 620, 630, 640, 650, 700
ACCOUNTS = (
    (BANK, "1000", "Operating Checking", "Bank"),
    (RESERVE, "1010", "Money Market", "Bank"),
    (UNDEPOSITED, "1100", "Undeposited Funds", "OthCurrAsset"),
    (RECEIVABLE, "1150", "Accounts Receivable", "AcctRec"),
    (STOCK, "1200", "Inventory Asset", "OthCurrAsset"),
    (PAYABLE, "2000", "Accounts Payable", "AcctPay"),
    (TAX, "2200", "Sales Tax Payable", "OthCurrLiab"),
    (EQUITY, "3000", "Retained Earnings", "Equity"),
    (INCOME, "4000", "Sales : Online and Retail", "Income"),
    (WHOLESALE, "4020", "Sales : Wholesale", "Income"),
    (405, "4050", "Service Income", "Income"),
    (COST, "5000", "Cost of Goods Sold", "COGS"),
    (PAYROLL, "6000", "Payroll", "Expense"),
    (ADVERTISING, "6100", "Advertising", "Expense"),
    (FREIGHT, "6200", "Freight Out", "Expense"),
    (RENT, "6300", "Rent and Utilities", "Expense"),
    (SOFTWARE, "6400", "Software", "Expense"),
    (CARD_FEES, "6500", "Card and Marketplace Fees", "Expense"),
    (INTEREST, "7000", "Interest Expense", "OthExpense"),
)
# One customer a channel: the shop's customers are not copied into the ERP.
CHANNEL_CUSTOMERS = {"web": 2001, "amazon": 2002, "wholesale": 2003, "retail": 2004}
_CHANNEL_NAMES = {
    "web": "Online Store Customers",
    "amazon": "Amazon Marketplace",
    "wholesale": "Wholesale Portal",
    "retail": "Partner Retail",
}
ADJUSTMENT_ITEM = 900
_PURCHASE_STATUS = {"open": "B", "partially_received": "D", "received": "G", "closed": "H"}


class Books:
    """The rows of every storage table, in the order of its columns, handed on in batches so that the whole
    is never held twice."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self.transactions: list[Row] = []
        self.lines: list[Row] = []
        self.items: list[Row] = []
        self.stock: list[Row] = []
        self.entities: list[Row] = []
        self.locations: list[Row] = []
        self.accounts: list[Row] = []
        self.periods: list[Row] = []
        self.currencies: list[Row] = []
        self.subsidiaries: list[Row] = []
        self.deleted: list[Row] = []

    def hand_on(self, *, at_least: int = 1) -> None:
        """Write what has gathered, if lines have reached `at_least`."""
        if len(self.lines) < at_least and at_least > 1:
            return
        for table, rows in (
            ("t_transaction", self.transactions),
            ("t_line", self.lines),
            ("t_item", self.items),
            ("t_stock", self.stock),
            ("t_entity", self.entities),
            ("t_location", self.locations),
            ("t_account", self.accounts),
            ("t_period", self.periods),
            ("t_currency", self.currencies),
            ("t_subsidiary", self.subsidiaries),
            ("t_deleted", self.deleted),
        ):
            if rows:
                self._write(table, rows)
                rows.clear()


def local_seconds(at: datetime, zone: ZoneInfo) -> int:
    """An instant as seconds of the account's local time."""
    local = at.astimezone(zone)
    return day_seconds(local) + local.hour * 3600 + local.minute * 60 + local.second


def day_seconds(day: date) -> int:
    """Midnight of a day (or of a datetime's own day) as seconds since 1970."""
    return (day.toordinal() - _EPOCH_DAY) * 86_400


def mirror(company: Company, write: Write) -> None:
    """Hand the books at the company's clock to `write` (table, rows). The CSV company has no ERP: its books
    have only the settings."""
    books = _Mirror(company, write)
    books.settings()
    if company.source != "csv":
        for order in company.orders:
            if not order.test and order.id not in company.erp_missing:
                books.order(order)
                books.out.hand_on(at_least=_BATCH)
        for invoice in company.b2b_invoices:
            books.invoice(invoice)
        for purchase in company.purchase_orders:
            books.purchase(purchase)
        books.deposits()
        books.spending()
        books.stock()
        books.deleted()
    books.out.hand_on()


class _Mirror:
    def __init__(self, company: Company, write: Write) -> None:
        self.company = company
        self.zone = company.zone
        self.out = Books(write)
        self.founded = self.seconds(company.shop.created_at)
        self.item_of = {variant.id: 1000 + index for index, variant in enumerate(company.variants)}
        self.item_of_sku = {variant.sku: self.item_of[variant.id] for variant in company.variants}
        self.cost_of = {
            self.item_of[variant.id]: float(variant.unit_cost)
            for variant in company.variants
            if variant.unit_cost is not None and variant.tracked
        }
        self.place_of = {location.id: 1 + index for index, location in enumerate(company.locations)}
        self.period_of: dict[tuple[int, int], int] = {}
        # By business day of posting: what customers paid, when that last changed, the tax in it, how many sales.
        self.takings: dict[date, float] = {}
        self.changed: dict[date, datetime] = {}
        self.taxes: dict[tuple[int, int], float] = {}
        self.sales: dict[date, int] = {}

    def seconds(self, at: datetime) -> int:
        return local_seconds(at, self.zone)

    def period(self, day: date) -> int | None:
        return self.period_of.get((day.year, day.month))

    # Sales ------------------------------------------------------------------------------------------------

    def order(self, order: Order) -> None:
        company = self.company
        posted = company.erp_late.get(order.id, order.processed_at)
        if posted > company.clock:
            return
        base = _SALES + order.number * 16
        self._cash_sale(base + SALE, f"CS{order.number}", order, posted)
        if order.id in company.erp_doubled:
            self._cash_sale(base + SECOND_SALE, f"CS{order.number}-2", order, posted)
        for index, parcel in enumerate(order.fulfilments[: REFUND - SHIPMENT]):
            if parcel.status != "SUCCESS":
                continue
            quantities = {line.line_id: line.quantity for line in parcel.lines}
            shipped = [(line, quantities[line.id]) for line in order.lines if line.id in quantities]
            self._shipment(
                base + SHIPMENT + index,
                f"IF{order.number}" + (f"-{index + 1}" if index else ""),
                max(parcel.created_at, posted),
                CHANNEL_CUSTOMERS[order.channel],
                self.place_of.get(parcel.location_id),
                [(self.item_of_sku.get(line.sku), quantity) for line, quantity in shipped],
                base + SALE,
                order.name,
            )
        for index, refund in enumerate(order.refunds[: 16 - REFUND]):
            at = max(refund.processed_at, posted)
            day = company.business_day(at)
            lines: list[tuple[str, int | None, float, float, int]] = []
            for back in refund.lines:
                lines.append(("I", self.item_of_sku.get(back.sku), float(back.quantity), float(back.subtotal), INCOME))
            for change in refund.adjustments:
                lines.append(("I", ADJUSTMENT_ITEM, 1.0, float(-change.amount), INCOME))
            tax = sum((back.tax for back in refund.lines), Decimal(0))
            if tax:
                lines.append(("X", None, 0.0, float(tax), TAX))
            self._took(day, at, lines)
            self._transaction(
                base + REFUND + index,
                "CashRfnd",
                f"CR{order.number}" + (f"-{index + 1}" if index else ""),
                day,
                at,
                lines,
                status="B",
                entity=CHANNEL_CUSTOMERS[order.channel],
                against=UNDEPOSITED,
                otherrefnum=order.name,
                memo=refund.note,
                createdfrom=base + SALE,
                closed=day,
            )

    def _cash_sale(self, number: int, tranid: str, order: Order, posted: datetime) -> None:
        day = self.company.business_day(posted)
        place = self.place_of.get(order.location_id) if order.location_id else None
        lines: list[tuple[str, int | None, float, float, int]] = []
        for line in order.lines:
            item = self.item_of_sku.get(line.sku)
            lines.append(("I", item, float(-line.quantity), float(-line.net), INCOME))
            lines += self._cost(item, line.quantity)
        if order.tax:
            lines.append(("X", None, 0.0, float(-order.tax), TAX))
        modified = max(posted, order.updated_at) if order.edited else posted
        self._took(day, modified, lines)
        self.sales[day] = self.sales.get(day, 0) + 1
        self._transaction(
            number,
            "CashSale",
            tranid,
            day,
            posted,
            lines,
            status="C" if self.company.clock - posted > timedelta(days=3) else "B",
            entity=CHANNEL_CUSTOMERS[order.channel],
            against=UNDEPOSITED,
            otherrefnum=order.name,
            location=place,
            modified=modified,
            closed=day,
        )

    def _took(self, day: date, at: datetime, lines: list[tuple[str, int | None, float, float, int]]) -> None:
        """Note what a cash sale or refund moves: the bank gets it with the day's deposit."""
        self.takings[day] = self.takings.get(day, 0.0) - sum(line[3] for line in lines if line[0] in "IX")
        self.changed[day] = max(at, self.changed.get(day, at))
        month = (day.year, day.month)
        self.taxes[month] = self.taxes.get(month, 0.0) - sum(line[3] for line in lines if line[0] == "X")

    def _cost(self, item: int | None, quantity: int) -> list[tuple[str, int | None, float, float, int]]:
        """The pair of cost lines of `quantity` units that left."""
        cost = self.cost_of.get(item) if item is not None else None
        if not cost or not quantity:
            return []
        amount = round(cost * quantity, 2)
        return [("C", item, 0.0, amount, COST), ("A", item, float(-quantity), -amount, STOCK)]

    def _shipment(
        self,
        number: int,
        tranid: str,
        at: datetime,
        entity: int,
        place: int | None,
        shipped: list[tuple[int | None, int]],
        createdfrom: int,
        otherrefnum: str | None,
    ) -> None:
        lines: list[tuple[str, int | None, float, float, int | None]] = [
            ("I", item, float(-quantity), 0.0, None) for item, quantity in shipped
        ]
        self._transaction(
            number,
            "ItemShip",
            tranid,
            self.company.business_day(at),
            at,
            lines,
            status="C",
            entity=entity,
            against=None,
            otherrefnum=otherrefnum,
            location=place,
            createdfrom=createdfrom,
        )

    def invoice(self, invoice: B2bInvoice) -> None:
        credit = invoice.kind == "credit"
        sign = 1 if credit else -1
        number = _INVOICES + invoice.id * 16
        lines: list[tuple[str, int | None, float, float, int]] = []
        for line in invoice.lines:
            item = self.item_of_sku.get(line.sku)
            lines.append(("I", item, float(sign * line.quantity), float(sign * line.net), WHOLESALE))
            if not credit:
                amount = round(float(line.unit_cost) * line.quantity, 2)
                lines.append(("C", item, 0.0, amount, COST))
                lines.append(("A", item, float(-line.quantity), -amount, STOCK))
        if invoice.tax:
            lines.append(("X", None, 0.0, float(sign * invoice.tax), TAX))
        paid = None if invoice.paid_at is None else self.company.business_day(invoice.paid_at)
        place = self.place_of.get(invoice.location_id)
        self._transaction(
            number,
            "CustCred" if credit else "CustInvc",
            invoice.number,
            invoice.invoice_date,
            invoice.created_at,
            lines,
            status="A" if paid is None else "B",
            entity=invoice.customer_id,
            against=RECEIVABLE,
            location=place,
            modified=invoice.modified_at,
            due=None if credit else invoice.due_on,
            createdfrom=None if credit else number + 1,
            closed=paid,
        )
        if credit:
            return
        if invoice.paid_at is not None:
            total = round(float(invoice.net + invoice.tax), 2)
            self._bank(
                _RECEIPTS + invoice.id * 16, "CustPymt", invoice.number.replace("INV", "PMT"), invoice.paid_at,
                [(RECEIVABLE, -total)], status="C", entity=invoice.customer_id,
            )  # fmt: skip
        ordered: list[tuple[str, int | None, float, float, int]] = [
            ("I", self.item_of_sku.get(line.sku), float(-line.quantity), float(-line.net), WHOLESALE)
            for line in invoice.lines
        ]
        self._transaction(
            number + 1,
            "SalesOrd",
            invoice.number.replace("INV", "SO"),
            invoice.invoice_date,
            invoice.created_at,
            ordered,
            status="G",
            entity=invoice.customer_id,
            against=RECEIVABLE,
            location=place,
            posting=False,
            closed=invoice.invoice_date,
        )
        self._shipment(
            number + SHIPMENT,
            invoice.number.replace("INV", "IF"),
            invoice.created_at,
            invoice.customer_id,
            place,
            [(self.item_of_sku.get(line.sku), line.quantity) for line in invoice.lines],
            number + 1,
            None,
        )

    # Purchases --------------------------------------------------------------------------------------------

    def purchase(self, purchase: PurchaseOrder) -> None:
        number = _PURCHASES + purchase.id * 16
        place = self.place_of.get(purchase.location_id)
        created, modified = self.seconds(purchase.created_at), self.seconds(purchase.modified_at)
        day = self.company.business_day(purchase.created_at)
        total = float(sum((line.unit_cost * line.quantity for line in purchase.lines), Decimal(0)))
        over = purchase.status in ("received", "closed")
        self.out.transactions.append(
            (number, "PurchOrd", purchase.number, day_seconds(day), created, modified,
             day_seconds(purchase.due_on), _PURCHASE_STATUS[purchase.status], purchase.supplier_id, total, None, None,
             None, "F", place, None, self._day_of(purchase.modified_at) if over else None, "F", 1.0, 1)
        )  # fmt: skip
        key = number * LINES_PER_TRANSACTION
        self.out.lines.append(
            (key, number, 0, "M", None, None, None, -total, PAYABLE, place, modified, None, None, None, None,
             purchase.supplier_id, None)
        )  # fmt: skip
        for index, line in enumerate(purchase.lines, start=1):
            item, received = self.item_of.get(line.variant_id), float(line.received)
            done = over or line.received >= line.quantity
            cost = float(line.unit_cost)
            self.out.lines.append(
                (key + index, number, index, "I", item, float(line.quantity), cost, round(cost * line.quantity, 2),
                 STOCK, place, modified, received, received, "T" if done else "F", day_seconds(line.expected_on),
                 purchase.supplier_id, None)
            )  # fmt: skip
        self._bills(purchase, number, place)

    def _bills(self, purchase: PurchaseOrder, number: int, place: int | None) -> None:
        """One bill a delivery."""
        deliveries: dict[datetime, list[tuple[int | None, int, Decimal]]] = {}
        for line in purchase.lines:
            for receipt in line.receipts:
                entry = (self.item_of.get(line.variant_id), receipt.quantity, line.unit_cost)
                deliveries.setdefault(receipt.at, []).append(entry)
        for index, at in enumerate(sorted(deliveries)[:15], start=1):
            lines: list[tuple[str, int | None, float, float, int]] = [
                ("I", item, float(quantity), float(cost * quantity), STOCK) for item, quantity, cost in deliveries[at]
            ]
            day = self.company.business_day(at)
            due = day + timedelta(days=30)
            paid = due if due < self.company.business_day(self.company.clock) else None
            self._transaction(
                number + index,
                "VendBill",
                f"{purchase.number}-B{index}",
                day,
                at,
                lines,
                status="A" if paid is None else "B",
                entity=purchase.supplier_id,
                against=PAYABLE,
                location=place,
                modified=None if paid is None else local(paid, 12),
                due=due,
                createdfrom=number,
                closed=paid,
            )
            if paid is not None:
                total = round(sum(line[3] for line in lines), 2)
                self._bank(
                    _PAYMENTS + purchase.id * 16 + index, "VendPymt", f"{purchase.number}-P{index}", local(paid, 12),
                    [(PAYABLE, total)], entity=purchase.supplier_id,
                )  # fmt: skip

    # The bank ---------------------------------------------------------------------------------------------

    def deposits(self) -> None:
        """What each day's cash sales brought, less refunds and fees, three days later."""
        for day in sorted(self.takings):
            at = local(day + _DEPOSITED_AFTER, 9)
            if at > self.company.clock:
                break
            total = round(self.takings[day], 2)
            fees = round(max(0.0, total) * _CARD_FEE, 2)
            self._bank(
                _DEPOSITS + day.toordinal() * 16, "Deposit", f"DEP-{day:%y%m%d}", at,
                [(UNDEPOSITED, -total), (CARD_FEES, fees)], modified=max(at, self.changed[day]),
            )  # fmt: skip

    def spending(self) -> None:
        """What is not paid to suppliers of goods, from the first day of trade on; some of what was put in at first is
        kept apart in a second account."""
        company = self.company
        if not company.orders:
            return
        first = day = company.business_day(company.orders[0].processed_at)
        self._spend(day, 1, "Journal", [(EQUITY, -450_000.0), (RESERVE, 150_000.0)], hour=0)
        while day <= company.business_day(company.clock):
            raised = 1.03 ** ((day - first).days // 365)
            rng = stream(company.seed, "erp-spending", day)
            if day == _month_end(day.year, day.month) or day.day == 15:
                self._spend(day, 2, "Journal", [(PAYROLL, 36_750.0 * raised)])
            if day.day == 1:
                self._spend(day, 3, "Check", [(RENT, 9_800.0 * raised)])
            if day.day == 5:
                self._spend(day, 4, "Check", [(SOFTWARE, 4_300.0 + 200.0 * rng.randint(0, 4))])
            if day.weekday() == 0:
                season = 1.6 if day.month == 11 else 1.0
                self._spend(day, 5, "Check", [(ADVERTISING, 26.0 * rng.randint(90, 110) * season)])
                week = sum(self.sales.get(day - timedelta(days=back), 0) for back in range(1, 8))
                self._spend(day, 6, "Check", [(FREIGHT, 6.9 * week)])
            if day.day == 20:
                last = day.replace(day=1) - timedelta(days=1)
                self._spend(day, 7, "Check", [(TAX, self.taxes.get((last.year, last.month), 0.0))])
            if day.day == 28 and day.month % 3 == 0:
                self._spend(day, 8, "Journal", [(INTEREST, 1_350.0)])
            day += timedelta(days=1)

    def _spend(self, day: date, place: int, kind: str, lines: list[tuple[int, float]], *, hour: int = 11) -> None:
        at = local(day, hour, place)
        moved = [(account, round(amount, 2)) for account, amount in lines]
        if at <= self.company.clock and any(amount for _, amount in moved):
            number = _SPENDING + day.toordinal() * 16 + place
            status = "B" if kind == "Journal" else "Y"
            self._bank(number, kind, f"{'JE' if kind == 'Journal' else 'CHK'}-{day:%y%m%d}-{place}", at, moved,
                       status=status)  # fmt: skip

    def _bank(
        self,
        number: int,
        kind: str,
        tranid: str,
        at: datetime,
        lines: list[tuple[int, float]],
        *,
        status: str = "Y",
        entity: int | None = None,
        modified: datetime | None = None,
    ) -> None:
        """A transaction whose main line is at the bank: `lines` of (account, amount) are its other side."""
        day = self.company.business_day(at)
        booked = [("I", None, 0.0, amount, account) for account, amount in lines if amount]
        self._transaction(
            number, kind, tranid, day, at, booked, status=status, entity=entity, against=BANK, modified=modified,
            closed=day,
        )  # fmt: skip

    # One transaction --------------------------------------------------------------------------------------

    def _transaction(
        self,
        number: int,
        kind: str,
        tranid: str,
        day: date,
        created: datetime,
        lines: list[Any],
        *,
        status: str,
        entity: int | None,
        against: int | None,
        otherrefnum: str | None = None,
        memo: str | None = None,
        location: int | None = None,
        modified: datetime | None = None,
        due: date | None = None,
        createdfrom: int | None = None,
        closed: date | None = None,
        posting: bool = True,
    ) -> None:
        """A header, its main line against account `against`, and `lines` of (kind, item, quantity, amount,
        account). The main line balances item and tax lines; cost lines balance among themselves."""
        total = round(sum(line[3] for line in lines if line[0] in "IX"), 2)
        header = abs(total) if kind == "VendBill" else 0.0 - total
        at = self.seconds(created)
        changed = at if modified is None or modified <= created else self.seconds(modified)
        self.out.transactions.append(
            (number, kind, tranid, day_seconds(day), at, changed, None if due is None else day_seconds(due), status,
             entity, header, self.period(day), otherrefnum, memo, "T" if posting else "F", location, createdfrom,
             None if closed is None else day_seconds(closed), "F", 1.0, 1)
        )  # fmt: skip
        key = number * LINES_PER_TRANSACTION
        add = self.out.lines.append
        # 0.0 - total rather than -total: a zero must not carry a sign.
        add((key, number, 0, "M", None, None, None, 0.0 - total, against, location, changed, None, None, None, None,
             entity, memo))  # fmt: skip
        for index, (what, item, quantity, amount, account) in enumerate(lines, start=1):
            rate = round(abs(amount / quantity), 4) if what == "I" and quantity else None
            add((key + index, number, index, what, item, quantity or None, rate, amount, account, location, changed,
                 None, None, "F", None, entity, None))  # fmt: skip

    def _day_of(self, at: datetime) -> int:
        return day_seconds(self.company.business_day(at))

    # Settings and stock -----------------------------------------------------------------------------------

    def settings(self) -> None:
        """Accounts, periods, currency, subsidiary, and what trade refers to."""
        company, out, founded = self.company, self.out, self.founded
        out.accounts += [(*account, "F", founded) for account in ACCOUNTS]
        out.currencies.append((1, company.shop.currency, company.shop.currency, 1.0, "T", founded))
        out.subsidiaries.append((1, company.shop.name, 1, company.shop.country, founded))
        self._periods()
        if company.source == "csv":
            return
        for location in company.locations:
            active = "F" if location.active else "T"
            out.locations.append(
                (self.place_of[location.id], location.name, active, location.kind, self.seconds(location.updated_at))
            )
        for supplier in company.suppliers:
            out.entities.append(
                (supplier.id, "Vendor", supplier.name, supplier.company_name, None, supplier.country, 30,
                 "F" if supplier.active else "T", founded, self.seconds(supplier.modified_at), "Factory")
            )  # fmt: skip
        for channel, number in CHANNEL_CUSTOMERS.items():
            name = _CHANNEL_NAMES[channel]
            out.entities.append(
                (number, "CustJob", name, name, None, company.shop.country, 0, "F", founded, founded, channel)
            )
        for dealer in company.business_customers:
            at = self.seconds(dealer.created_at)
            out.entities.append(
                (dealer.id, "CustJob", dealer.name, dealer.name, None, dealer.country, dealer.terms_days, "F", at, at,
                 "dealer")
            )  # fmt: skip
        out.items.append(
            (ADJUSTMENT_ITEM, "REFUND-ADJUSTMENT", "Refund adjustment", "Service", "F", None, None, founded, founded,
             None, None, None, None)
        )  # fmt: skip
        titles = {product.id: product.title for product in company.products}
        for variant in company.variants:
            title = titles[variant.product_id]
            if variant.title and variant.title != "Default Title":
                title = f"{title} - {variant.title}"
            out.items.append(
                (self.item_of[variant.id], variant.sku, title, "InvtPart" if variant.tracked else "Service",
                 "F" if variant.active else "T", None if variant.unit_cost is None else float(variant.unit_cost),
                 float(variant.price), self.seconds(variant.created_at), self.seconds(variant.updated_at),
                 variant.supplier_id, variant.lead_time_days, variant.reorder_point, variant.preferred_stock)
            )  # fmt: skip

    def stock(self) -> None:
        by_id = self.company.variant_by_id
        for level in self.company.inventory_levels:
            variant = by_id[level.variant_id]
            cost = None if variant.unit_cost is None else float(variant.unit_cost)
            self.out.stock.append(
                (self.item_of[level.variant_id], self.place_of[level.location_id], level.on_hand, level.available,
                 level.committed, level.incoming, 0, max(0, level.committed - level.on_hand), variant.reorder_point,
                 variant.preferred_stock, variant.lead_time_days, level.safety_stock, cost,
                 self.seconds(level.updated_at))
            )  # fmt: skip

    def _periods(self) -> None:
        """Calendar years with their quarters and months, to the end of the clock's year. A month closes 45
        days after its end."""
        company = self.company
        today = company.business_day(company.clock)
        first = min([order.processed_at for order in company.orders], default=company.shop.created_at)
        number = 100
        for year in range(company.business_day(first).year, today.year + 1):
            number += 1
            of_year = number
            self._period(number, f"FY {year}", date(year, 1, 1), date(year, 12, 31), today, None, "FTF")
            for quarter in range(4):
                number += 1
                of_quarter, month = number, quarter * 3 + 1
                end = _month_end(year, month + 2)
                self._period(number, f"Q{quarter + 1} {year}", date(year, month, 1), end, today, of_year, "FFT")
                for each in range(month, month + 3):
                    number += 1
                    start, end = date(year, each, 1), _month_end(year, each)
                    self._period(number, f"{start:%b %Y}", start, end, today, of_quarter, "TFF")
                    self.period_of[(year, each)] = number

    def _period(
        self, number: int, name: str, start: date, end: date, today: date, parent: int | None, flags: str
    ) -> None:
        closing = end + timedelta(days=45)
        closed = closing < today
        modified = day_seconds(closing) if closed else self.founded
        self.out.periods.append(
            (number, name, day_seconds(start), day_seconds(end), "T" if closed else "F", *flags, parent, modified)
        )

    def deleted(self) -> None:
        """Every month a purchase order that was only a draft is deleted."""
        company = self.company
        if not company.orders:
            return
        day = company.business_day(company.orders[0].processed_at).replace(day=15)
        end = company.business_day(company.clock)
        number = 0
        while day < end:
            at = day_seconds(day) + 16 * 3600
            self.out.deleted.append((_DELETED + number, "PurchOrd", f"Purchase Order #PO-D{number + 1}", at, 15))
            number += 1
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=15)


def _month_end(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])
