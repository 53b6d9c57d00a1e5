"""NetSuite's protocol at its edges: signed grants, busy accounts, pages by key, rows that cannot land."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import Page
from ops_platform.settings import Settings
from resources import netsuite
from resources.netsuite.client import (
    NetSuiteClient,
    load_signing_key,
    number_literal,
    text_literal,
    unknown_column,
)
from resources.netsuite.source import NetSuiteSource
from resources.netsuite.tables import TABLES
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
TOKEN = "/services/rest/auth/oauth2/v1/token"


def pem(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


RSA_KEY = rsa.generate_private_key(65537, 3072)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
Answer = Callable[[str], Any]


def rows(*items: dict[str, Any], more: bool = False, **over: Any) -> dict[str, Any]:
    return {
        "links": [],
        "count": len(items),
        "hasMore": more,
        "offset": 0,
        "totalResults": len(items) + (1 if more else 0),
        "items": [{"links": [], **item} for item in items],
        **over,
    }


def refusal(status: int, code: str, detail: str) -> Said:
    return said(
        {
            "type": "https://www.w3.org/…",
            "title": "x",
            "status": status,
            "o:errorDetails": [{"detail": detail, "o:errorCode": code}],
        },
        status,
    )


class Account:
    """Issues tokens to whoever signs rightly; answers queries by `answer(q)`."""

    def __init__(self, answer: Answer, public_key: Any = None, algorithm: str = "ES256") -> None:
        self.answer, self.public_key, self.algorithm = answer, public_key or EC_KEY.public_key(), algorithm
        self.tokens = 0
        self.queries: list[str] = []
        self.url = ""

    def __call__(self, asked: Asked) -> Said:
        if asked.path == TOKEN:
            assert asked.form["grant_type"] == "client_credentials"
            assert asked.form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            assertion = asked.form["client_assertion"]
            assert jwt.get_unverified_header(assertion) == {
                "alg": self.algorithm,
                "typ": "JWT",
                "kid": "the-certificate",
            }
            claims = jwt.decode(assertion, self.public_key, [self.algorithm], audience=self.url + TOKEN)
            assert claims["iss"] == "the-client" and claims["scope"] == "rest_webservices"
            assert 0 < claims["exp"] - claims["iat"] <= 3600 and abs(claims["iat"] - time.time()) < 60
            self.tokens += 1
            return said({"access_token": f"token-{self.tokens}", "expires_in": "3600", "token_type": "bearer"})
        assert asked.path == "/services/rest/query/v1/suiteql"
        assert asked.headers["prefer"] == "transient"
        assert asked.headers["authorization"].startswith("Bearer token-")
        assert asked.query == {"limit": "1000", "offset": "0"}
        self.queries.append(asked.json["q"])
        reply = self.answer(asked.json["q"])
        return reply if isinstance(reply, Said) else said(reply)


@contextmanager
def account_for(
    answer: Answer, clock: StillClock | None = None, key: Any = EC_KEY, algorithm: str = "ES256", **more: Any
) -> Iterator[tuple[NetSuiteSource, Account, FakeVendor]]:
    script = Account(answer, key.public_key(), algorithm)
    with fake_vendor(script) as vendor:
        script.url = vendor.url
        http = client_of(vendor, clock or StillClock(), "netsuite")
        client = NetSuiteClient(http, vendor.url, "the-client", "the-certificate", SecretStr(pem(key)))
        yield NetSuiteSource(client, **{"zone": "America/New_York", **more}), script, vendor


def read(source: NetSuiteSource, stream: str, cursor: str | None = None) -> list[Page]:
    return list(source.pages(source.streams[stream], cursor, now=NOW))


def place(number: int, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "name": f"Place {number}", "isinactive": "F", **more}


# -- the grant ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA_KEY, "PS256"), (EC_KEY, "ES256"), (ec.generate_private_key(ec.SECP384R1()), "ES384")],
)
def test_the_algorithm_follows_the_key(key: Any, algorithm: str) -> None:
    with account_for(lambda _: rows(place(1)), key=key, algorithm=algorithm) as (source, script, _):
        assert len(read(source, "locations")[0].records) == 1
        read(source, "locations")
    assert script.tokens == 1


def test_a_key_is_text_or_a_file_and_nothing_else(tmp_path: Path) -> None:
    text = pem(EC_KEY)
    path = tmp_path / "key.pem"
    path.write_text(text)
    for given in (text, text.replace("\n", "\\n"), str(path)):
        assert load_signing_key(SecretStr(given))[1] == "ES256"
    for wrong, told in [
        (str(tmp_path / "none.pem"), "neither PEM nor a readable file"),
        ("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----", "not an unencrypted PEM"),
        (pem(ec.generate_private_key(ec.SECP192R1())), "P-256"),
    ]:
        with pytest.raises(ConfigurationError, match=told) as failure:
            load_signing_key(SecretStr(wrong))
        assert "PRIVATE KEY-----\nxx" not in str(failure.value)


def test_an_expired_token_is_replaced_once() -> None:
    stale = iter([refusal(401, "INVALID_LOGIN", "Invalid login attempt.")])
    with account_for(lambda _: next(stale, rows(place(1)))) as (source, script, _):
        assert len(read(source, "locations")[0].records) == 1
    assert script.tokens == 2
    with account_for(lambda _: refusal(401, "INVALID_LOGIN", "Invalid login attempt.")) as (source, script, _):
        with pytest.raises(PermanentFailure, match="Invalid login"):
            read(source, "locations")
    assert script.tokens == 2


def test_tokens_are_renewed_before_they_expire() -> None:
    clock = StillClock()
    with account_for(lambda _: rows(place(1)), clock) as (source, script, _):
        read(source, "locations")
        clock.now += 3400
        read(source, "locations")
        assert script.tokens == 1
        clock.now += 100
        read(source, "locations")
    assert script.tokens == 2


def test_a_refused_grant_names_the_settings_and_not_the_key() -> None:
    with fake_vendor(lambda _: said({"error": "invalid_grant", "error_description": "bad kid"}, 400)) as vendor:
        client = NetSuiteClient(client_of(vendor, StillClock(), "netsuite"), "a", "c", "k", SecretStr(pem(EC_KEY)))
        with pytest.raises(PermanentFailure, match=r"invalid_grant bad kid.*NETSUITE_CERTIFICATE_ID") as failure:
            client.page("SELECT 1")
        assert len(vendor.asked) == 1
    assert "BEGIN PRIVATE" not in str(failure.value)


# -- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "busy",
    [
        refusal(429, "CONCURRENCY_LIMIT_EXCEEDED", "Concurrent request limit exceeded."),
        said({"error": {"code": "SSS_REQUEST_LIMIT_EXCEEDED", "message": "Request limit exceeded"}}, 400),
        refusal(400, "SSS_REQUEST_LIMIT_EXCEEDED", "limit"),
        said({}, 503),
        Said(reset=True),
        Said(b"<html><title>Maintenance</title></html>", 200, {"Content-Type": "text/html"}),
        Said(b'{"items": [{"id": "1"', 200),
    ],
)
def test_a_busy_account_is_asked_again_with_growing_waits(busy: Said) -> None:
    clock = StillClock()
    waiting = [busy, busy, busy]
    with account_for(lambda _: waiting.pop() if waiting else rows(place(1)), clock) as (source, _, __):
        assert len(read(source, "locations")[0].records) == 1
    assert clock.slept == [1, 2, 4]
    clock = StillClock()
    with account_for(lambda _: busy, clock) as (source, _, __), pytest.raises(TransientFailure):
        read(source, "locations")
    assert sum(clock.slept) <= 900


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (refusal(403, "INSUFFICIENT_PERMISSION", "Permission Violation"), "role may not.*Permission Violation"),
        (refusal(400, "INVALID_PARAMETER", "Invalid search query"), "query was refused: INVALID_PARAMETER"),
    ],
)
def test_what_will_not_change_is_not_repeated(refused: Said, told: str) -> None:
    with account_for(lambda _: refused) as (source, script, _):
        with pytest.raises(PermanentFailure, match=told):
            read(source, "locations")
    assert len(script.queries) == 1


def test_an_optional_column_the_role_cannot_see_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def answer(query: str) -> Any:
        for column in ("reorderpoint", "leadtime"):
            if f"i.{column} " in query:
                text = f"Invalid search query. Field '{column}' for record 'item' was not found. Reason: NOT_EXPOSED"
                return refusal(400, "INVALID_PARAMETER", text)
        return rows({"id": "1", "itemid": "SKU", "isinactive": "F"})

    with account_for(answer) as (source, script, _):
        (page,) = read(source, "items")
        read(source, "items")
    assert page.records[0].payload == {"id": "1", "itemid": "SKU", "isinactive": "F"}
    assert len(script.queries) == 4
    assert "reorderpoint" in caplog.text and "leadtime" in caplog.text

    def never(_: str) -> Any:
        return refusal(400, "INVALID_PARAMETER", "Unknown identifier 'i.itemid'. Available identifiers are: {…}")

    with (
        account_for(never) as (source, _, __),
        pytest.raises(PermanentFailure, match="items cannot be read without it"),
    ):
        read(source, "items")
    assert unknown_column("Unknown identifier 'i.itemid'") == "itemid"
    assert unknown_column("Something else") is None


# -- pages by key -------------------------------------------------------------------------------------------------


def table_of(ids: list[int], size: int = 3) -> Answer:
    """An account that holds `ids` and answers as the service does."""

    def answer(query: str) -> Any:
        past = re.search(r"l\.id > (\d+)", query)
        left = [each for each in sorted(ids) if past is None or each > int(past.group(1))]
        return rows(*[place(each) for each in left[:size]], more=len(left) > size, totalResults=len(left))

    return answer


def test_keys_are_numbers_not_text() -> None:
    """Text order would put 10 before 9 and lose rows."""
    ids = [1, 2, 9, 10, 11, 99, 100, 1000, 5]
    with account_for(table_of(ids)) as (source, script, _):
        pages = read(source, "locations")
    assert [int(record.id) for page in pages for record in page.records] == sorted(ids)
    assert all(query.endswith("ORDER BY l.id") for query in script.queries)
    assert [page.api_cost for page in pages] == [1, 1, 1]


def test_rows_added_while_paging_neither_repeat_nor_hide_others() -> None:
    ids = list(range(1, 10))
    served = table_of(ids)

    def growing(query: str) -> Any:
        answer = served(query)
        ids.extend([100 + len(ids), 0 - len(ids)])
        return answer

    with account_for(growing) as (source, _, __):
        pages = read(source, "locations")
    found = [int(record.id) for page in pages for record in page.records]
    assert set(range(1, 10)) <= set(found)
    assert len(found) == len(set(found))


FIRST = rows(place(1), place(2), more=True, totalResults=3)


@pytest.mark.parametrize(
    "lie",
    [
        FIRST,  # the first page again
        rows(place(2)),  # a row already seen
        rows(place(4), place(3)),  # backwards
        rows(more=True),  # empty, and yet more
        rows(totalResults=5),  # empty, and yet five
        rows(place(3), totalResults=7),  # cut short
        rows(place(3), count=2),
        {"items": [place(3)]},
        {"count": 0},
        [],
        rows({"name": "no key", "isinactive": "F"}, more=True),
    ],
)
def test_a_page_that_lies_is_asked_for_again_and_never_believed(lie: Any) -> None:
    lies = iter([lie])
    with account_for(lambda q: FIRST if "l.id >" not in q else next(lies, rows(place(3)))) as (source, _, __):
        assert [record.id for page in read(source, "locations") for record in page.records] == ["1", "2", "3"]
    with account_for(lambda q: FIRST if "l.id >" not in q else lie) as (source, _, __):
        with pytest.raises(TransientFailure):
            read(source, "locations")


def test_composite_keys_lead_past_the_last_row() -> None:
    stock = [(2, 1), (2, 3), (10, 1), (10, 2), (10, 30), (11, 1)]

    def answer(query: str) -> Any:
        past = re.search(r"il\.item > (\d+)\) OR \(il\.item = (\d+) AND il\.location > (\d+)\)", query)
        left = [each for each in stock if past is None or each > (int(past.group(2)), int(past.group(3)))]
        if past is not None:
            assert past.group(1) == past.group(2)
        items = [{"item": str(i), "location": str(p), "quantityonhand": "5"} for i, p in left[:2]]
        return rows(*items, more=len(left) > 2, totalResults=len(left))

    with account_for(answer) as (source, _, __):
        pages = read(source, "inventory_by_location")
    assert [record.id for page in pages for record in page.records] == [f"{i}:{p}" for i, p in stock]


def test_a_key_that_is_not_a_number_never_reaches_a_query() -> None:
    def answer(query: str) -> Any:
        return rows() if "l.id > 1)" in query else rows(place(1), {"id": "2 OR 1=1", "name": "x"}, more=True)

    with account_for(answer) as (source, script, _):
        (page,) = read(source, "locations")
    assert [record.id for record in page.records] == ["1"]
    assert [refused.reason for refused in page.rejected] == ["invalid_number"]
    assert len(script.queries) == 2 and all("OR 1=1" not in query for query in script.queries)
    assert text_literal("O'Brien -- x") == "'O''Brien -- x'"
    for wrong in ("a\x00b", "a\nb", "a\x7f"):
        with pytest.raises(ValueError):
            text_literal(wrong)
    for nothing in ("1; DROP", "1.5", "", "9" * 30, None):
        with pytest.raises(ValueError):
            number_literal(nothing)


def test_a_row_without_a_key_is_set_aside_and_the_rest_goes_on() -> None:
    def answer(query: str) -> Any:
        if "l.id > 2)" in query:
            return rows(place(3), {"name": "nobody", "isinactive": "F"})
        return rows({"name": "nobody", "isinactive": "F"}, place(1), place(2), {"id": None, "name": "n"}, more=True)

    with account_for(answer) as (source, _, __):
        pages = read(source, "locations")
    assert [record.id for page in pages for record in page.records] == ["1", "2", "3"]
    assert [refused.reason for page in pages for refused in page.rejected] == ["missing_id"] * 3


def test_one_account_is_never_asked_more_at_once_than_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def answer(_: str) -> Any:
        return rows(place(1))

    with account_for(answer) as (source, _, vendor):
        inner = vendor.script

        def counted(asked: Asked) -> Said:
            return inner(asked)

        vendor.script = counted
        original = source.client.http.call

        def slow(*args: Any, **kwargs: Any) -> Any:
            nonlocal running, most
            if args[1] == TOKEN:
                return original(*args, **kwargs)
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            try:
                return original(*args, **kwargs)
            finally:
                with lock:
                    running -= 1

        source.client.http.call = slow  # type: ignore[method-assign]
        threads = [threading.Thread(target=lambda: read(source, "locations")) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 1 < most <= 4


# -- time ---------------------------------------------------------------------------------------------------------


def test_cursors_are_utc_and_filters_are_the_accounts_own_time() -> None:
    header = {
        "id": "5",
        "type": "ItemShip",
        "trandate": "2026-11-19",
        "lastmodifieddate": "2026-11-20T05:30:00",
        "createddate": "2026-11-19T10:00:00",
        "posting": "F",
        "voided": "F",
    }
    with account_for(lambda _: rows(header)) as (source, script, _):
        (page,) = read(source, "transactions", "2026-11-20T10:00:00Z")
    assert "t.lastmodifieddate >= TO_DATE('2026-11-20 04:00:00', 'YYYY-MM-DD HH24:MI:SS')" in script.queries[0]
    assert page.cursor == "2026-11-20T10:30:00Z"
    assert page.records[0].updated_at == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_the_hour_that_comes_twice_loses_nothing() -> None:
    """01:30 on 1 November is 05:30 or 06:30 UTC; taken as the earlier, the next filter still begins before it."""
    header = {"id": "5", "type": "ItemShip", "trandate": "2026-11-01", "lastmodifieddate": "2026-11-01T01:30:00"}
    with account_for(lambda _: rows(header)) as (source, script, _):
        (page,) = read(source, "transactions")
        assert page.cursor == "2026-11-01T05:30:00Z"
        read(source, "transactions", page.cursor)
        read(source, "transactions", "2026-11-01T06:30:00Z")
    assert "'2026-11-01 00:30:00'" in script.queries[1]
    assert "'2026-11-01 01:30:00'" in script.queries[2]


def test_a_cursor_never_passes_the_begin_of_its_sync() -> None:
    header = {"id": "5", "type": "ItemShip", "trandate": "2026-11-20", "lastmodifieddate": "2026-11-20T23:00:00"}
    with account_for(lambda _: rows(header)) as (source, _, __):
        (page,) = read(source, "transactions")
    assert page.cursor == "2026-11-20T11:00:00Z"


def test_lines_come_with_their_whole_transaction_when_header_or_line_changed() -> None:
    base = {
        "id": "9",
        "transaction": "5",
        "type": "CashSale",
        "trandate": "2026-11-19",
        "mainline": "F",
        "taxline": "F",
        "iscogs": "F",
        "netamount": "-10.00",
        "isclosed": "F",
    }
    moved = {**base, "linelastmodifieddate": "2026-11-19T01:00:00", "headermodified": "2026-11-20T04:00:00"}
    with account_for(lambda _: rows(moved)) as (source, script, _):
        (page,) = read(source, "transaction_lines", "2026-11-20T10:00:00Z")
    query = script.queries[0]
    assert "t.id IN (SELECT x.transaction FROM transactionline x WHERE x.linelastmodifieddate >= TO_DATE(" in query
    assert page.records[0].updated_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert page.cursor == "2026-11-20T09:00:00Z"
    assert "headermodified" not in page.records[0].payload and "links" not in page.records[0].payload


def test_open_periods_are_read_again_when_asked_for() -> None:
    def answer(query: str) -> Any:
        if "FROM accountingperiod" in query:
            found = [{"id": str(number), "startdate": f"2026-{number:02d}-01"} for number in (11, 10, 9)]
            return rows(*found)
        return rows()

    with account_for(answer, reload_open_periods=2) as (source, script, _):
        read(source, "transactions", "2026-11-20T10:00:00Z")
    assert "OR t.postingperiod IN (11, 10)" in script.queries[1]


# -- bad rows -------------------------------------------------------------------------------------------------------

GOOD = {
    "id": "7",
    "type": "CashSale",
    "trandate": "2026-11-19",
    "lastmodifieddate": "2026-11-19T10:00:00",
    "currency": "USD",
    "foreigntotal": "12.50",
    "posting": "T",
    "voided": "F",
}


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("null_money", {"foreigntotal": None}),
        ("invalid_number", {"foreigntotal": "12,50"}),
        ("unknown_currency", {"currency": "Galleon"}),
        ("missing_field", {"currency": None}),
        ("missing_field", {"trandate": None}),
        ("invalid_timestamp", {"trandate": "11/19/2026"}),
        ("invalid_timestamp", {"lastmodifieddate": "2026-11-19"}),
        ("missing_field", {"lastmodifieddate": None}),
        ("invalid_shape", {"posting": "yes"}),
    ],
)
def test_a_bad_row_is_set_aside_and_blocks_nobody(reason: str, change: dict[str, Any]) -> None:
    bad = {key: value for key, value in {**GOOD, "id": "8", **change}.items() if value is not None}
    with account_for(lambda _: rows(GOOD, bad, {**GOOD, "id": "9"})) as (source, _, __):
        (page,) = read(source, "transactions")
    assert [record.id for record in page.records] == ["7", "9"]
    (refused,) = page.rejected
    assert (refused.reason, refused.id) == (reason, "8")
    assert page.received == 3


def test_a_currency_kept_by_name_is_read_as_its_code() -> None:
    with account_for(lambda _: rows({**GOOD, "currency": "US Dollar"})) as (source, _, __):
        (page,) = read(source, "transactions")
    assert page.records[0].payload["currency"] == "USD"


# -- deletions and totals ---------------------------------------------------------------------------------------------


def test_deletions_are_named_by_stream() -> None:
    listed = [
        {"recordid": "5", "type": "cashsale", "deleteddate": "2026-11-20T04:00:00", "name": "CS5", "recordtypeid": "5"},
        {"recordid": "6", "type": "inventoryitem", "deleteddate": "2026-11-20T04:00:00"},
        {"recordid": "7", "type": "employee", "deleteddate": "2026-11-20T04:00:01"},
        # NULL columns are left out: of this nobody knows what it was.
        {"recordid": "8", "deleteddate": "2026-11-20T04:00:02"},
    ]
    since = datetime(2026, 11, 20, 9, tzinfo=UTC)
    with account_for(lambda _: rows(*listed)) as (source, script, _):
        assert list(source.deletions(since)) == [("transactions", "5"), ("items", "6")]
        assert source.deleted_parents(source.streams["transaction_lines"], since) == {"5"}
        (page,) = read(source, "deleted_records")
    assert [(len(page.records), refused.reason) for refused in page.rejected] == [(3, "missing_id")]
    assert "d.deleteddate >= TO_DATE('2026-11-20 04:00:00'" in script.queries[0]
    assert page.records[0].id == "cashsale:5:2026-11-20T04:00:00"


def test_totals_are_asked_for_by_day_and_days_without_rows_count_zero() -> None:
    def answer(query: str) -> Any:
        assert "tl.iscogs = 'F'" in query and "GROUP BY TO_CHAR(t.trandate, 'YYYY-MM-DD')" in query
        # A sum of nothing but NULL is NULL.
        return rows(
            {"day": "2026-11-17", "n": 3, "amount": None}, {"day": "2026-11-19", "n": "12", "amount": "-345.60"}
        )

    with account_for(answer) as (source, script, _):
        lines = source.streams["transaction_lines"]
        totals = source.control_totals(lines, [date(2026, 11, day) for day in (19, 18, 17)])
    assert [(each.entity, each.day, each.count, each.amount) for each in totals] == [
        ("revenue_lines", date(2026, 11, 17), 3, Decimal(0)),
        ("revenue_lines", date(2026, 11, 18), 0, Decimal(0)),
        ("revenue_lines", date(2026, 11, 19), 12, Decimal("-345.60")),
    ]
    days = ", ".join(f"TO_DATE('2026-11-{day}', 'YYYY-MM-DD')" for day in (17, 18, 19))
    assert days in script.queries[0]
    query = source.landed_query(lines)
    assert query is not None and query.entity == "revenue_lines"


def test_totals_of_a_long_history_go_on_past_a_thousand_days() -> None:
    def answer(query: str) -> Any:
        if "t.trandate > TO_DATE('2026-01-02', 'YYYY-MM-DD')" in query:
            return rows({"day": "2026-01-03", "n": "3"})
        return rows({"day": "2026-01-01", "n": "1"}, {"day": "2026-01-02", "n": "2"}, more=True)

    with account_for(answer) as (source, _, __):
        totals = source.control_totals(source.streams["transactions"], None)
    assert [each.count for each in totals] == [1, 2, 3]


# -- settings --------------------------------------------------------------------------------------------


def test_not_connected_partly_connected_and_the_host() -> None:
    assert netsuite.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="NETSUITE_CERTIFICATE_ID and NETSUITE_PRIVATE_KEY not set"):
        netsuite.connect(Settings(netsuite_account_id="1", netsuite_client_id="x"))
    full: dict[str, Any] = {
        "netsuite_account_id": "1234567_SB1",
        "netsuite_client_id": "c",
        "netsuite_certificate_id": "k",
        "netsuite_private_key": "pem",
    }
    source = netsuite.connect(Settings(**full), account_zone="Europe/Berlin")
    assert source is not None
    assert source.client.http.base_url == "https://1234567-sb1.suitetalk.api.netsuite.com"
    assert str(source.zone) == "Europe/Berlin"
    company = netsuite.connect(Settings(**full, ops_timezone="Asia/Tokyo"))
    assert company is not None and str(company.zone) == "Asia/Tokyo"
    with pytest.raises(ConfigurationError, match="account id"):
        netsuite.connect(Settings(**{**full, "netsuite_account_id": "evil.example/"}))


def test_every_incremental_stream_has_a_moment_and_every_key_a_column() -> None:
    for name, table in TABLES.items():
        columns = {column.name for column in table.columns}
        assert {key for key, _ in table.keys} <= columns, name
        assert set(table.moments) <= columns, name
        assert bool(table.changed) != table.stream.full_refresh, name
