"""Rows of NetSuite looked at down their columns come to the same as one by one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.netsuite.rows import check_row, is_plain, whole_row
from resources.netsuite.tables import TABLES, Table
from resources.record_checks import Flaw

LINES, HEADERS = TABLES["transaction_lines"], TABLES["transactions"]
LINE = {
    "links": [], "id": "512001", "transaction": "4000", "type": "CashSale", "trandate": "2026-11-01",
    "linesequencenumber": "1", "item": "1001", "quantity": "-2", "rate": "12.5", "netamount": "-25",
    "foreignamount": "-25", "mainline": "F", "taxline": "F", "iscogs": "F",
    "linelastmodifieddate": "2026-11-01T09:00:00", "headermodified": "2026-11-01T10:00:00",
}  # fmt: skip
HEADER = {
    "links": [], "id": "4000", "tranid": "CS1", "type": "CashSale", "trandate": "2026-11-01",
    "createddate": "2026-11-01T09:00:00", "lastmodifieddate": "2026-11-01T10:00:00", "status": "B", "entity": "2001",
    "currency": "USD", "exchangerate": "1", "foreigntotal": "27.13", "posting": "T", "voided": "F",
}  # fmt: skip
# What an answer may hold in place of a value, good or not.
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", "F", "T", "true", "12", "-3.50", "1e3", "1,5", "７", "9" * 30, "9" * 70, 7, 7.25, True, [], {}, "USD",
     "US Dollar", "usd", "XXX", "2026-11-01", "2026-02-30", "20261101", "2026-11-01T09:00:00", "2026-11-01 09:00:00",
     "2026-11-01T09:00:00Z", "CustInvc", "ItemShip", "PurchOrd"]
)  # fmt: skip


def outcome(check: Any, table: Table, row: dict[str, Any]) -> Any:
    row = copy.deepcopy(row)
    try:
        return check(table, row), row
    except Flaw as flaw:
        return flaw.reason, flaw.detail


def test_a_page_as_it_usually_comes_is_plain() -> None:
    for table, row in ((LINES, LINE), (HEADERS, HEADER)):
        assert is_plain(table, [copy.deepcopy(row) for _ in range(3)])
        (identity, latest), left = outcome(whole_row, table, row)
        assert (identity, latest) == (row["id"], "2026-11-01T10:00:00")
        assert "links" not in left
        assert "headermodified" not in left
        assert outcome(check_row, table, row) == ((identity, latest), left)


@pytest.mark.parametrize("value", [[], ["CashSale"], {}, {"id": "CashSale"}])
def test_more_than_one_value_where_there_is_one_is_refused(value: Any) -> None:
    for table, row in ((LINES, LINE), (HEADERS, HEADER)):
        for check in (whole_row, check_row):
            assert outcome(check, table, {**row, "type": value})[0] == "invalid_shape"


@given(st.data())
def test_looking_down_the_columns_overlooks_nothing(data: st.DataObject) -> None:
    table, good = data.draw(st.sampled_from([(LINES, LINE), (HEADERS, HEADER)]))
    page = []
    for _ in range(data.draw(st.integers(1, 3))):
        row = dict(good)
        for name in data.draw(st.lists(st.sampled_from([name for name in good if name != "links"]), max_size=2)):
            if data.draw(st.booleans()):
                row[name] = data.draw(VALUES)
            else:
                row.pop(name, None)
        page.append(row)
    if is_plain(table, copy.deepcopy(page)):
        for row in page:
            assert outcome(whole_row, table, row) == outcome(check_row, table, row)
