"""NetSuite: transactions, their lines (a line taken away leaves no trace), and the small table of suppliers.

Belongs here: what the books hold and how they change. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

# Seconds of the account's local time, written as the client asks for them.
_MODIFIED = "strftime('%Y-%m-%dT%H:%M:%S', {}modified, 'unixepoch')"
# The documents that these two streams are about; postings of the ledger are a stream of their own.
_DOCUMENTS = "('CashSale', 'CustInvc', 'CustCred', 'CashRfnd', 'SalesOrd', 'ItemShip', 'PurchOrd', 'VendBill')"


def _rows(sandbox: Sandbox, sql: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = sandbox.sides["netsuite"].database.select(sql)[1]  # type: ignore[attr-defined]
    return rows


def census(sandbox: Sandbox, stream: str) -> Held:
    if stream == "transactions":
        rows = _rows(
            sandbox, f"SELECT id, {_MODIFIED.format('')}, tranid, type FROM t_transaction WHERE type IN {_DOCUMENTS}"
        )
        return {str(number): (modified, name, kind) for number, modified, name, kind in rows}
    if stream == "transaction_lines":
        rows = _rows(
            sandbox,
            f"SELECT line.uniquekey, {_MODIFIED.format('line.')}, line.txn, abs(line.amount) FROM t_line AS line"
            f" JOIN t_transaction AS doc ON doc.id = line.txn WHERE doc.type IN {_DOCUMENTS}",
        )
        return {str(key): (at, str(txn), f"{amount or 0:.2f}") for key, at, txn, amount in rows}
    return {str(number): (name,) for number, name in
            _rows(sandbox, "SELECT id, entityid FROM t_entity WHERE type = 'Vendor'")}  # fmt: skip


def change(meanwhile: Meanwhile) -> None:
    step, draw = meanwhile.step, meanwhile.draw
    day = meanwhile.sandbox.clock.now().date().isoformat()
    added = meanwhile.mutate(
        "netsuite", "add_transaction", type="CashSale", tranid=f"K{step}", day=day,
        lines=[{"item": 1, "quantity": 1, "amount": -10 - step}, {"item": 2, "quantity": 2, "amount": -1.25}],
    )  # fmt: skip
    ids = [number for (number,) in _rows(meanwhile.sandbox, "SELECT id FROM t_transaction WHERE type = 'CashSale'")]
    others = [number for number in draw.sample(sorted(ids), 4) if number != added["id"]]
    meanwhile.mutate("netsuite", "add_line", transaction=others[0], amount=-3.5, item=1, quantity=1)
    meanwhile.mutate("netsuite", "update_transaction", id=others[1], set={"memo": f"changed {step}"})
    lines = _rows(meanwhile.sandbox, f"SELECT uniquekey FROM t_line WHERE txn = {others[2]} AND kind = 'I'")
    if lines and step % 2:
        meanwhile.mutate("netsuite", "delete_line", uniquekey=lines[0][0])
    if step % 3 == 0:
        meanwhile.mutate("netsuite", "delete_transaction", id=others[0])


SCENARIO = Scenario(
    "netsuite",
    ("transactions", "transaction_lines", "vendors"),
    census,
    {
        "transactions": "payload->>'lastmodifieddate', payload->>'tranid', payload->>'type'",
        "transaction_lines": (
            "payload->>'linelastmodifieddate', payload->>'transaction',"
            " abs(coalesce((payload->>'netamount')::numeric, 0))::numeric(20,2)::text"
        ),
        "vendors": "payload->>'entityid'",
    },
    change,
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
