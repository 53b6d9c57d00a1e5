"""NetSuite over HTTP: who gets in, what SuiteQL means and refuses, pages, and books that add up.

The oracle of the books is the company itself, added up here in another way than the ERP side books it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jsonschema
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sandbox.netsuite.errors import NetSuiteError
from sandbox.netsuite.suiteql import compile_query
from sandbox.server import running
from tests.conftest import SCHEMAS
from tests.sandbox.conftest import Served, client
from tests.sizes import examples

TOKEN = "/services/rest/auth/oauth2/v1/token"
QUERY = "/services/rest/query/v1/suiteql"
CANONICAL = f"https://1234567-sb1.suitetalk.api.netsuite.com{TOKEN}"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SALES = "t.type IN ('CashSale','CustInvc','CustCred','CashRfnd')"
PLAIN = "tl.mainline = 'F' AND tl.taxline = 'F' AND tl.iscogs = 'F'"
LINES = "transactionline tl INNER JOIN transaction t ON t.id = tl.transaction"


# Getting in -----------------------------------------------------------------------------------------------------------


def assertion(served: Served, *, alg: str | None = None, key: str | None = None, kid: str = "sandbox-cert",
              **claims: Any) -> str:  # fmt: skip
    pem = key or (served.state / "netsuite_private_key.pem").read_text()
    if alg is None:
        loaded = serialization.load_pem_private_key(pem.encode(), None)
        alg = "PS256" if isinstance(loaded, rsa.RSAPrivateKey) else "ES256"
    now = int(time.time())
    whole = {
        "iss": "sandbox-netsuite",
        "scope": "rest_webservices",
        "aud": CANONICAL,
        "iat": now,
        "exp": now + 300,
        **claims,
    }
    return jwt.encode(whole, pem, algorithm=alg, headers={"kid": kid, "typ": "JWT"})


def grant(served: Served, signed: str, **form: str) -> tuple[int, dict[str, Any]]:
    fields = {
        "grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": signed, **form,
    }  # fmt: skip
    answer = served.http.post(TOKEN, data=fields)
    return answer.status_code, answer.json()


def bearer(served: Served) -> dict[str, str]:
    """Headers with a token, one for each sandbox."""
    known = _tokens.get(served.url)
    if known is None:
        status, body = grant(served, assertion(served))
        assert status == 200, body
        known = _tokens[served.url] = body["access_token"]
    return {"Authorization": f"Bearer {known}", "Prefer": "transient"}


_tokens: dict[str, str] = {}


def ask(served: Served, query: str, limit: int = 1000, offset: int = 0) -> tuple[int, dict[str, Any]]:
    answer = served.http.post(
        QUERY, params={"limit": limit, "offset": offset}, json={"q": query}, headers=bearer(served)
    )
    return answer.status_code, answer.json()


def rows(served: Served, query: str, limit: int = 1000, offset: int = 0) -> list[dict[str, str]]:
    status, body = ask(served, query, limit, offset)
    assert status == 200, body
    for item in body["items"]:
        assert item.pop("links") == []
    found: list[dict[str, str]] = body["items"]
    return found


def one(served: Served, expression: str, source: str = "dual") -> str | None:
    (row,) = rows(served, f"SELECT {expression} AS x FROM {source}")
    return row.get("x")


def contract(name: str) -> Any:
    path = SCHEMAS / "netsuite" / "netsuite_derived_contract.openapi.json"
    if not path.exists():
        pytest.skip(f"the contract {path} is not here (OPS_SCHEMAS says where)")
    spec = json.loads(path.read_text())
    schema = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
    return lambda document: jsonschema.validate(document, schema)


def test_a_token_by_signed_assertion(served: Served) -> None:
    status, body = grant(served, assertion(served))
    assert (status, body["expires_in"], body["token_type"]) == (200, "3600", "bearer")
    by_loopback = assertion(served, aud=f"{served.url}{TOKEN}", scope=["rest_webservices", "restlets"])
    assert grant(served, by_loopback)[0] == 200
    assert served.ledger(vendor="netsuite", kind="token_issued")


@pytest.mark.parametrize("alg", ["PS256", "PS384", "PS512"])
def test_every_algorithm_of_an_rsa_key(served: Served, alg: str) -> None:
    assert grant(served, assertion(served, alg=alg))[0] == 200


def test_an_elliptic_key_signs_too(early: Served) -> None:
    assert grant(early, assertion(early, alg="ES256"))[0] == 200


def test_what_is_refused_at_the_door(served: Served) -> None:
    now = int(time.time())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()  # fmt: skip
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()  # fmt: skip
    wrong = {
        "RS256": assertion(served, alg="RS256"),
        "kid": assertion(served, kid="other"),
        "iss": assertion(served, iss="other"),
        "aud": assertion(served, aud="https://evil.example/token"),
        "scope": assertion(served, scope="everything"),
        "60 minutes": assertion(served, exp=now + 3700),
        "expired": assertion(served, iat=now - 4000, exp=now - 1000),
        "verified": assertion(served, key=stranger),
        "cannot": assertion(served, key=elliptic),
        "JWT": "garbage",
    }
    for why, signed in wrong.items():
        status, body = grant(served, signed)
        assert status == 400, why
        assert body["error"] in ("invalid_client", "invalid_request", "invalid_scope", "invalid_grant")
        assert why in body["error_description"], (why, body)
    assert grant(served, assertion(served), grant_type="password")[1]["error"] == "unsupported_grant_type"
    assert grant(served, assertion(served), client_assertion_type="x")[1]["error"] == "invalid_request"


def test_a_stale_token_is_an_invalid_login(early: Served) -> None:
    assert ask(early, "SELECT 1 x FROM dual")[0] == 200
    early.control("/clock", {"now": "2024-12-05T07:00:01-05:00", "company": "keep"})
    status, body = ask(early, "SELECT 1 x FROM dual")
    assert status == 401
    contract("nsError")(body)
    assert body["o:errorDetails"][0]["o:errorCode"] == "INVALID_LOGIN"
    answer = early.http.post(QUERY, json={"q": "select 1 from dual"}, headers={"Prefer": "transient"})
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["www-authenticate"]


# The request ----------------------------------------------------------------------------------------------------------


def test_the_envelope_of_a_page(served: Served) -> None:
    check = contract("SuiteQLPage")
    status, body = ask(served, "SELECT id, tranid FROM transaction ORDER BY id", limit=10, offset=20)
    assert status == 200
    check(body)
    assert (body["count"], body["hasMore"], body["offset"]) == (10, True, 20)
    assert body["totalResults"] == int(one(served, "count(*)", "transaction") or 0)
    relations = {link["rel"]: link["href"] for link in body["links"]}
    assert set(relations) == {"previous", "first", "next", "last", "self"}
    assert relations["next"].endswith("limit=10&offset=30")


@pytest.mark.parametrize(
    ("params", "body", "headers", "code", "where"),
    [
        ({}, {"q": "select 1 from dual"}, {"Prefer": ""}, "INVALID_HEADER", "o:errorHeader"),
        ({}, {}, {}, "INVALID_CONTENT", "o:errorPath"),
        ({}, {"q": " "}, {}, "INVALID_CONTENT", "o:errorPath"),
        ({}, {"q": "select 1 from dual", "params": []}, {}, "INVALID_CONTENT", "o:errorPath"),
        ({"limit": 1001}, {"q": "select 1 from dual"}, {}, "INVALID_PARAMETER", "o:errorQueryParam"),
        ({"limit": 0}, {"q": "select 1 from dual"}, {}, "INVALID_PARAMETER", "o:errorQueryParam"),
        ({"limit": 10, "offset": 5}, {"q": "select 1 from dual"}, {}, "INVALID_PARAMETER", "o:errorQueryParam"),
        ({"offset": 100_000}, {"q": "select id from item"}, {}, "INVALID_PARAMETER", "o:errorQueryParam"),
    ],
)
def test_a_malformed_request(
    served: Served, params: dict[str, Any], body: dict[str, Any], headers: dict[str, str], code: str, where: str
) -> None:
    answer = served.http.post(QUERY, params=params, json=body, headers={**bearer(served), **headers})
    assert answer.status_code == 400
    contract("nsError")(answer.json())
    detail = answer.json()["o:errorDetails"][0]
    assert detail["o:errorCode"] == code
    assert where in detail


def test_only_post(served: Served) -> None:
    assert served.http.get(QUERY, headers=bearer(served)).status_code == 405


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT foo FROM transaction", "Field 'foo' for record 'transaction' was not found"),
        ("SELECT tl.foo FROM " + LINES, "Field 'foo' for record 'transactionline' was not found"),
        ("SELECT x.id FROM transaction t", "Field 'id' for record"),
        ("SELECT id AS k FROM transaction WHERE k > 3", "Field 'k'"),
        ("SELECT id FROM salesorders", "Record 'salesorders' was not found"),
        ("SELECT name FROM sqlite_master", "Record 'sqlite_master' was not found"),
        ("SELECT id FROM t_transaction", "Record 't_transaction' was not found"),
        ("DELETE FROM transaction", "Only SELECT"),
        ("UPDATE item SET itemid = 'x'", "Only SELECT"),
        ("DROP TABLE item", "Only SELECT"),
        ("PRAGMA table_info(item)", ""),
        ("ATTACH DATABASE '/tmp/x' AS y", ""),
        ("SELECT 1 FROM dual; SELECT 2 FROM dual", "one query"),
        ("SELECT FROM WHERE", "Syntax error"),
        ("SELECT 'open FROM dual", "Syntax error"),
        ("SELECT load_extension('x') FROM dual", "Function 'load_extension' was not found"),
        ("SELECT nosuch(id) FROM item", "Function 'nosuch' was not found"),
        ("SELECT BUILTIN.RELATIVE_RANGES('DAGO30','START') FROM dual", "not supported"),
        ("SELECT type, id FROM transaction GROUP BY type", "not a GROUP BY expression"),
        ("SELECT type, count(*) FROM transaction", "not a GROUP BY expression"),
        ("SELECT id FROM transaction WHERE trandate = 'soon'", "ORA-01861"),
        ("SELECT TO_CHAR(trandate, 'QUARK') FROM transaction", "ORA-01821"),
        ("SELECT TO_NUMBER('abc') FROM dual", "ORA-01722"),
        ("SELECT trandate + createddate FROM transaction", "ORA-00975"),
    ],
)
def test_a_query_that_cannot_be_run(served: Served, query: str, said: str) -> None:
    status, body = ask(served, query)
    assert status == 400
    contract("nsError")(body)
    detail = body["o:errorDetails"][0]
    assert detail["o:errorCode"] == "INVALID_PARAMETER"
    assert said in detail["detail"]
    assert one(served, "count(*)", "item") != "0"


_WORDS = (
    "SELECT FROM WHERE ORDER BY GROUP HAVING JOIN LEFT ON AND OR NOT IN ( ) , . * + - / || = <> > '%' 'x' 1 0.5 NULL"
    " id tranid trandate item transaction t transactionline tl TO_CHAR TO_DATE TRUNC NVL COUNT SUM MAX DISTINCT"
    " BUILTIN.DF SYSDATE CASE WHEN THEN ELSE END UNION ALL ROWNUM FETCH FIRST ROWS ONLY WITH AS dual LIKE BETWEEN"
    " EXISTS OVER PARTITION ; -- /* */ \" ' \u0000 é"
).split()


@hypothesis.settings(max_examples=examples(300), deadline=None, derandomize=True)
@hypothesis.given(words=st.lists(st.sampled_from(_WORDS), max_size=14), lead=st.booleans())
def test_no_text_breaks_the_query_service(words: list[str], lead: bool) -> None:
    query = " ".join([*(["SELECT id FROM item WHERE"] if lead else []), *words])
    # Anything but these two ends would be a fault of the sandbox, and fails the test by itself.
    with contextlib.suppress(NetSuiteError):
        assert compile_query(query).sql.startswith(("SELECT", "WITH"))


def test_a_query_nested_without_end_is_refused(served: Served) -> None:
    status, _ = ask(served, f"SELECT {'(' * 3000}1{')' * 3000} FROM dual")
    assert status == 400
    assert one(served, "1") == "1"


# What SuiteQL means ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("TO_CHAR(SYSDATE, 'YYYY-MM-DD\"T\"HH24:MI:SS')", "2026-11-20T06:00:00"),
        ("SYSDATE", "11/20/2026"),
        ("TRUNC(SYSDATE)", "11/20/2026"),
        ("TO_CHAR(TRUNC(SYSDATE, 'MM') - 1, 'YYYY-MM-DD')", "2026-10-31"),
        ("TO_CHAR(TRUNC(SYSDATE, 'Q'), 'YYYY-MM-DD')", "2026-10-01"),
        ("TO_CHAR(TRUNC(SYSDATE, 'IW'), 'Dy DD Mon YYYY')", "Mon 16 Nov 2026"),
        ("TO_CHAR(ADD_MONTHS(TO_DATE('2026-01-31','YYYY-MM-DD'), 1), 'YYYY-MM-DD')", "2026-02-28"),
        ("TO_CHAR(LAST_DAY(SYSDATE), 'DD')", "30"),
        ("TO_DATE('2026-11-20','YYYY-MM-DD') - TO_DATE('2026-11-13 12:00','YYYY-MM-DD HH24:MI')", "6.5"),
        ("TO_CHAR(SYSDATE - INTERVAL '2' DAY, 'MM/DD/YYYY')", "11/18/2026"),
        ("TO_CHAR(SYSDATE + 1/24, 'HH24:MI')", "07:00"),
        ("MONTHS_BETWEEN(TO_DATE('2026-11-20','YYYY-MM-DD'), TO_DATE('2026-08-20','YYYY-MM-DD'))", "3"),
        ("EXTRACT(YEAR FROM SYSDATE)", "2026"),
        ("DATE '2026-02-03'", "02/03/2026"),
        ("NVL(NULL, 'x')", "x"),
        ("NVL2('a', 'yes', 'no')", "yes"),
        ("COALESCE(NULL, NULL, 3)", "3"),
        ("DECODE('b', 'a', 1, 'b', 2, 9)", "2"),
        ("CASE WHEN 1 = 2 THEN 'a' ELSE 'b' END", "b"),
        ("'a' || NULL || 1", "a1"),
        ("CONCAT('a', 2)", "a2"),
        ("7 / 2", "3.5"),
        ("MOD(17, 5)", "2"),
        ("TRUNC(5.678, 1)", "5.6"),
        ("TRUNC(-5.6)", "-5"),
        ("ROUND(2.5)", "3"),
        ("GREATEST(1, 3, 2)", "3"),
        ("TO_NUMBER('12.50')", "12.5"),
        ("TO_CHAR(1234.5)", "1234.5"),
        ("UPPER('ab') || LOWER('CD')", "ABcd"),
        ("SUBSTR('abcdef', 2, 3)", "bcd"),
        ("INSTR('abcdef', 'cd')", "3"),
        ("LPAD(7, 3, '0')", "007"),
        ("INITCAP('net sales')", "Net Sales"),
        ("LENGTH('日本')", "2"),
        ("REPLACE('a-b', '-', '')", "ab"),
        ("'it''s'", "it's"),
        ("NULL", None),
    ],
)
def test_oracles_functions(served: Served, expression: str, value: str | None) -> None:
    assert one(served, expression) == value


def test_values_are_texts_and_nulls_are_absent(served: Served) -> None:
    found = rows(served, "SELECT id, tranid, trandate, duedate, posting, foreigntotal AS Total, 1 + 1, 'x' AS \"Y\""
                         " FROM transaction WHERE type = 'CashSale' ORDER BY id", limit=5)  # fmt: skip
    for row in found:
        assert set(row) == {"id", "tranid", "trandate", "posting", "total", "expr7", "y"}
        assert all(isinstance(value, str) for value in row.values())
        assert row["posting"] == "T"
        assert datetime.strptime(row["trandate"], "%m/%d/%Y")
    first = min(
        (order for order in served.sandbox.company.orders if not order.test), key=lambda order: order.processed_at
    )
    assert Decimal(found[0]["total"]) == first.subtotal + first.tax


def test_labels(served: Served) -> None:
    (row,) = rows(served, "SELECT BUILTIN.DF(t.currency) currency, BUILTIN.DF(t.status) status,"
                          " BUILTIN.CF(t.status) cf, BUILTIN.DF(t.type) type, BUILTIN.DF(t.entity) entity,"
                          " BUILTIN.DF(t.postingperiod) period,"
                          " BUILTIN.DF(t.trandate) day, BUILTIN.DF(t.voided) voided"
                          " FROM transaction t WHERE t.type = 'CashSale' ORDER BY t.id FETCH FIRST 1 ROWS ONLY"
    )  # fmt: skip
    assert row["currency"] == "USD"
    assert row["status"] == "Cash Sale : Deposited"
    assert row["cf"] == "CashSale:C"
    assert row["type"] == "Cash Sale"
    assert row["period"] == "Nov 2024"
    assert row["day"] == "11/01/2024"
    assert row["voided"] == "No"
    assert row["entity"] in ("Online Store Customers", "Amazon Marketplace", "Wholesale Portal", "Partner Retail")
    (line,) = rows(served, f"SELECT BUILTIN.DF(tl.item) item, BUILTIN.DF(tl.expenseaccount) account,"
                           f" BUILTIN.CONSOLIDATE(tl.netamount, 'LEDGER') amount FROM {LINES}"
                           f" WHERE t.type = 'CashSale' AND {PLAIN} ORDER BY tl.uniquekey FETCH FIRST 1 ROWS ONLY"
    )  # fmt: skip
    assert line["account"] == "4000 Sales : Online and Retail"
    assert line["item"] in {variant.sku for variant in served.sandbox.company.variants}
    assert Decimal(line["amount"]) < 0


def test_joins_groups_subqueries_and_sets(served: Served) -> None:
    by_type = {r["type"]: int(r["n"]) for r in rows(served, "SELECT type, COUNT(*) n FROM transaction GROUP BY type")}
    assert set(by_type) == {
        "CashSale", "CashRfnd", "CustInvc", "CustCred", "SalesOrd", "ItemShip", "PurchOrd", "VendBill", "CustPymt",
        "VendPymt", "Deposit", "Check", "Journal",
    }  # fmt: skip
    with_alias = rows(served, "WITH s AS (SELECT type k, COUNT(*) n FROM transaction GROUP BY type)"
                              " SELECT s.k, s.n FROM s WHERE s.n > 1000 ORDER BY s.n DESC")  # fmt: skip
    assert [row["k"] for row in with_alias] == [
        kind for kind, count in sorted(by_type.items(), key=lambda each: -each[1]) if count > 1000
    ]
    open_orders = rows(served, "SELECT t.tranid FROM transaction t WHERE t.type = 'PurchOrd' AND EXISTS (SELECT 1 FROM"
                               " transactionline l WHERE l.transaction = t.id AND l.isclosed = 'F' AND"
                               " l.mainline = 'F') ORDER BY t.id")  # fmt: skip
    expected = {p.number for p in served.sandbox.company.purchase_orders if p.status in ("open", "partially_received")}
    assert {row["tranid"] for row in open_orders} == expected
    old_style = rows(served, "SELECT i.itemid, il.location FROM item i, inventoryitemlocations il"
                             " WHERE il.item(+) = i.id AND i.itemid = 'REFUND-ADJUSTMENT'")  # fmt: skip
    assert old_style == [{"itemid": "REFUND-ADJUSTMENT"}]
    both = rows(served, "SELECT id FROM vendor UNION ALL SELECT id FROM customer WHERE companyname LIKE 'Online%'")
    assert len(both) == len(served.sandbox.company.suppliers) + 1
    ranked = rows(served, "SELECT * FROM (SELECT t.type, t.id, ROW_NUMBER() OVER (PARTITION BY t.type ORDER BY t.id) rn"
                          " FROM transaction t) WHERE rn = 1 ORDER BY type")  # fmt: skip
    assert len(ranked) == len(by_type)
    listed = one(served, "LISTAGG(name, '|') WITHIN GROUP (ORDER BY name)", "location")
    assert set((listed or "").split("|")) == {location.name for location in served.sandbox.company.locations}
    assert len(rows(served, "SELECT id FROM item WHERE ROWNUM <= 7")) == 7
    assert len(rows(served, "SELECT TOP 3 id FROM item ORDER BY id")) == 3
    assert len(rows(served, "SELECT id FROM item ORDER BY id OFFSET 5 ROWS FETCH NEXT 4 ROWS ONLY")) == 4
    dated = rows(served, "SELECT MAX(d) d FROM (SELECT trandate d FROM transaction) x")
    assert dated == [{"d": "11/20/2026"}]


def test_dates_compare_in_the_users_format(served: Served) -> None:
    by_text = rows(
        served, "SELECT id FROM transaction WHERE trandate BETWEEN '11/18/2026' AND '11/19/2026' ORDER BY id"
    )
    by_function = rows(served, "SELECT id FROM transaction WHERE trandate >= TO_DATE('2026-11-18','YYYY-MM-DD')"
                               " AND trandate < TO_DATE('2026-11-20','YYYY-MM-DD') ORDER BY id")  # fmt: skip
    assert by_text == by_function
    assert len(by_text) > 50
    chosen = rows(served, "SELECT id FROM transaction WHERE trandate IN ('11/18/2026', '11/19/2026') ORDER BY id")
    assert chosen == by_text


# Pages ----------------------------------------------------------------------------------------------------------------


def test_pages_in_a_unique_order_are_complete(served: Served) -> None:
    total = int(one(served, "count(*)", "transaction WHERE type = 'CashRfnd'") or 0)
    found = []
    for offset in range(0, total, 200):
        found += rows(served, "SELECT id FROM transaction WHERE type = 'CashRfnd' ORDER BY id", 200, offset)
    assert len({row["id"] for row in found}) == len(found) == total


@pytest.mark.parametrize("order", ["", "ORDER BY trandate"])
def test_pages_without_a_unique_order_repeat_and_miss(served: Served, order: str) -> None:
    where = "type = 'CashSale' AND trandate BETWEEN '11/01/2026' AND '11/20/2026'"
    total = int(one(served, "count(*)", f"transaction WHERE {where}") or 0)
    found: list[str] = []
    for offset in range(0, total, 20):
        found += [row["id"] for row in rows(served, f"SELECT id FROM transaction WHERE {where} {order}", 20, offset)]
    assert len(found) == total
    assert len(set(found)) < total


def test_a_join_on_the_whole_key_keeps_the_order_unique(served: Served) -> None:
    query = f"SELECT tl.uniquekey FROM {LINES} WHERE t.type = 'CashRfnd' ORDER BY tl.uniquekey"
    assert rows(served, query, 50, 100) == rows(served, query, 50, 100)
    loose = f"SELECT t.id FROM {LINES} WHERE t.type = 'CashRfnd' ORDER BY t.trandate"
    assert rows(served, loose, 50, 100) != rows(served, loose, 50, 100)


def test_keyset_paging_reads_every_line_and_counts_down(served: Served) -> None:
    condition = "t.type IN ('CashSale','ItemShip') AND t.trandate >= TO_DATE('2026-09-01','YYYY-MM-DD')"
    total = int(one(served, "count(*)", f"{LINES} WHERE {condition}") or 0)
    assert total > 20_000
    last = 0
    seen: list[int] = []
    announced: list[tuple[int, int]] = []
    while True:
        status, body = ask(
            served, f"SELECT tl.uniquekey AS id FROM {LINES} WHERE ({condition}) AND (tl.uniquekey > {last})"
                    " ORDER BY tl.uniquekey"
        )  # fmt: skip
        assert status == 200
        announced.append((len(seen), body["totalResults"]))
        seen += [int(item["id"]) for item in body["items"]]
        if not body["hasMore"]:
            break
        last = seen[-1]
    assert seen == sorted(set(seen))
    assert len(seen) == total
    assert all(before + left == total for before, left in announced)


def test_a_query_ends_at_a_hundred_thousand_rows(served: Served) -> None:
    assert int(one(served, "count(*)", "transactionline") or 0) > 100_000
    status, body = ask(served, "SELECT uniquekey FROM transactionline ORDER BY uniquekey", offset=99_000)
    assert (status, body["count"], body["hasMore"], body["totalResults"]) == (200, 1000, False, 100_000)


def test_too_many_at_once(served: Served) -> None:
    served.control("/profile", {"profile": "restricted"})
    heavy = (
        "SELECT COUNT(*) n FROM transactionline a, transactionline b"
        " WHERE a.uniquekey = b.uniquekey AND a.netamount > 1"
    )
    headers = bearer(served)

    def call(_: int) -> int:
        with client(served.url) as http:
            return http.post(QUERY, json={"q": heavy}, headers=headers).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        codes = Counter(pool.map(call, range(16)))
    assert codes[429] > 0
    assert codes[200] >= 5
    assert set(codes) == {200, 429}
    assert one(served, "1") == "1"


# Spoilt answers -------------------------------------------------------------------------------------------------------


def test_spoilt_pages(served: Served) -> None:
    query = "SELECT id, tranid FROM transaction ORDER BY id"
    first = rows(served, query, 10, 0)

    def spoilt(name: str, **more: Any) -> dict[str, Any]:
        served.fault("netsuite", name, **more)
        status, body = ask(served, query, 10, 10)
        assert status == 200
        return body

    assert [item["id"] for item in spoilt("repeat_page")["items"]] == [row["id"] for row in first]
    empty = spoilt("empty_page")
    assert (empty["count"], empty["items"], empty["hasMore"]) == (0, [], True)
    assert spoilt("short_page")["count"] == 5
    assert spoilt("duplicate_rows")["count"] == 15
    assert all("tranid" not in item for item in spoilt("drop_column", column="tranid")["items"])
    assert "id" not in spoilt("null_id")["items"][0]
    assert rows(served, query, 10, 10) != first


def test_a_column_hidden_from_the_role(served: Served) -> None:
    served.fault("netsuite", "hide_column", column="otherrefnum", times=None)
    status, body = ask(served, "SELECT t.otherrefnum FROM transaction t ORDER BY t.id")
    assert status == 400
    assert "Field 'otherrefnum' for record 'transaction' was not found" in body["o:errorDetails"][0]["detail"]
    assert ask(served, "SELECT t.id FROM transaction t ORDER BY t.id")[0] == 200


# The books ------------------------------------------------------------------------------------------------------------


def test_revenue_is_the_companys_net_sales_but_for_the_incidents(served: Served) -> None:
    company = served.sandbox.company
    expected: dict[date, Decimal] = defaultdict(Decimal)
    for order in company.orders:
        posted = company.erp_late.get(order.id, order.processed_at)
        if order.test or order.id in company.erp_missing or posted > company.clock:
            continue
        copies = 2 if order.id in company.erp_doubled else 1
        expected[company.business_day(posted)] += order.subtotal * copies
        for refund in order.refunds:
            expected[company.business_day(max(refund.processed_at, posted))] -= refund.net
    for invoice in company.b2b_invoices:
        expected[invoice.invoice_date] += invoice.net if invoice.kind == "invoice" else -invoice.net
    booked = {
        date.fromisoformat(row["day"]): Decimal(row["revenue"])
        for row in rows(
            served,
            f"SELECT TO_CHAR(t.trandate,'YYYY-MM-DD') day, -SUM(tl.netamount) revenue FROM {LINES}"
            f" WHERE {SALES} AND {PLAIN} GROUP BY TO_CHAR(t.trandate,'YYYY-MM-DD') ORDER BY 1",
        )
    }
    wrong = {day: (booked.get(day), amount) for day, amount in expected.items() if booked.get(day, 0) != amount}
    assert wrong == {}
    assert set(booked) <= set(expected)


def test_the_planted_gaps_are_there(served: Served) -> None:
    company = served.sandbox.company
    names = {order.id: order.name for order in company.orders}
    gap = next(iter(company.erp_missing))
    twice = next(iter(company.erp_doubled))
    late, at = next(iter(company.erp_late.items()))

    def booked(order: int) -> list[dict[str, str]]:
        return rows(served, "SELECT id, TO_CHAR(trandate,'YYYY-MM-DD') day FROM transaction"
                            f" WHERE type = 'CashSale' AND otherrefnum = '{names[order]}' ORDER BY id")  # fmt: skip

    assert booked(gap) == []
    assert len(booked(twice)) == 2
    assert [row["day"] for row in booked(late)] == [company.business_day(at).isoformat()]


def test_cost_and_stock_lines_are_pairs_and_every_transaction_balances(served: Served) -> None:
    sums = rows(served, f"SELECT SUM(tl.netamount) n, SUM(CASE WHEN tl.netamount > 0 THEN tl.netamount END) cost"
                        f" FROM {LINES} WHERE tl.iscogs = 'T' AND t.type = 'CashSale'")  # fmt: skip
    company = served.sandbox.company
    cost = {v.sku: v.unit_cost for v in company.variants if v.unit_cost is not None and v.tracked}
    expected = Decimal(0)
    for order in company.orders:
        posted = company.erp_late.get(order.id, order.processed_at)
        if order.test or order.id in company.erp_missing or posted > company.clock:
            continue
        copies = 2 if order.id in company.erp_doubled else 1
        expected += copies * sum((cost.get(line.sku, Decimal(0)) * line.quantity for line in order.lines), Decimal(0))
    assert Decimal(sums[0]["cost"]) == expected
    assert Decimal(sums[0]["n"]) == 0
    unbalanced = rows(served, "SELECT transaction FROM transactionaccountingline GROUP BY transaction"
                              " HAVING ABS(SUM(amount)) > 0.001")  # fmt: skip
    assert unbalanced == []


def test_headers_agree_with_their_lines(served: Served) -> None:
    apart = rows(served, "SELECT t.id FROM transaction t JOIN transactionline tl ON tl.transaction = t.id AND"
                         " tl.mainline = 'T' WHERE t.type IN ('CashSale','CustInvc','CashRfnd','CustCred')"
                         " AND ABS(t.foreigntotal - tl.netamount) > 0.001")  # fmt: skip
    assert apart == []


def test_money_moves_at_the_bank(served: Served) -> None:
    """Every paid invoice and bill has its payment; takings are deposited less the fees; nothing else is at the bank."""
    company = served.sandbox.company
    paid = [each for each in company.b2b_invoices if each.kind == "invoice" and each.paid_at is not None]

    def booked(kind: str, account: int) -> tuple[int, Decimal]:
        (row,) = rows(served, "SELECT COUNT(*) n, SUM(tal.amount) amount FROM transactionaccountingline tal"
                              " INNER JOIN transaction t ON t.id = tal.transaction"
                              f" WHERE t.type = '{kind}' AND tal.account = {account}")  # fmt: skip
        return int(row["n"]), Decimal(row["amount"])

    assert booked("CustPymt", 100) == (len(paid), sum((each.net + each.tax for each in paid), Decimal(0)))
    (bills,) = rows(served, "SELECT COUNT(*) n, SUM(foreigntotal) total FROM transaction WHERE type = 'VendBill'"
                            " AND status = 'B'")  # fmt: skip
    payments, amount = booked("VendPymt", 100)
    assert payments == int(bills["n"]) and abs(amount + Decimal(bills["total"])) < Decimal("0.01")
    _, deposited = booked("Deposit", 100)
    _, fees = booked("Deposit", 650)
    _, cleared = booked("Deposit", 110)
    assert deposited + fees + cleared == 0 and fees < deposited / 20
    assert {row["type"] for row in rows(
        served, "SELECT DISTINCT t.type FROM transactionaccountingline tal INNER JOIN transaction t"
                " ON t.id = tal.transaction INNER JOIN account a ON a.id = tal.account WHERE a.accttype = 'Bank'",
    )} == {"CustPymt", "VendPymt", "Deposit", "Check", "Journal"}  # fmt: skip
    assert int(one(served, "COUNT(*)", "account WHERE accttype = 'Bank'") or 0) == 2
    balance = Decimal(one(served, "SUM(tal.amount)", "transactionaccountingline tal WHERE tal.account = 100") or 0)
    assert balance > 0


def test_stock_purchases_and_settings(served: Served) -> None:
    company = served.sandbox.company
    stock = {
        (row["itemid"], row["name"]): (row["onhand"], row["available"], row["onorder"])
        for offset in (0, 1000)
        for row in rows(
            served,
            "SELECT i.itemid, l.name, il.quantityonhand onhand, il.quantityavailable available,"
            " il.quantityonorder onorder"
            " FROM aggregateitemlocation il JOIN item i ON i.id = il.item JOIN location l ON l.id = il.location"
            " ORDER BY il.item, il.location", offset=offset,
        )
    }  # fmt: skip
    places = {location.id: location.name for location in company.locations}
    assert stock == {
        (level.sku, places[level.location_id]): (str(level.on_hand), str(level.available), str(level.incoming))
        for level in company.inventory_levels
    }
    ordered = {
        (row["tranid"], row["itemid"]): (
            row["quantity"],
            row.get("received"),
            row["rate"],
            row["expected"],
            row["closed"],
        )
        for row in rows(
            served,
            "SELECT t.tranid, i.itemid, tl.quantity, tl.quantityshiprecv received, tl.rate, tl.isclosed closed,"
            f" TO_CHAR(tl.expectedreceiptdate,'YYYY-MM-DD') expected FROM {LINES} JOIN item i ON i.id = tl.item"
            " WHERE t.type = 'PurchOrd' AND tl.mainline = 'F' AND t.trandate > '08/01/2026' ORDER BY tl.uniquekey",
        )
    }
    expected = {
        (purchase.number, line.sku): (
            str(line.quantity), str(line.received), str(line.unit_cost.normalize()), line.expected_on.isoformat(),
            "T" if purchase.status in ("received", "closed") or line.received >= line.quantity else "F",
        )
        for purchase in company.purchase_orders
        if company.business_day(purchase.created_at) > date(2026, 8, 1)
        for line in purchase.lines
    }  # fmt: skip
    assert {
        key: (*value[:2], str(Decimal(value[2]).normalize()), *value[3:]) for key, value in ordered.items()
    } == expected
    assert {row["companyname"] for row in rows(served, "SELECT companyname FROM vendor ORDER BY id")} == {
        supplier.company_name for supplier in company.suppliers
    }
    assert one(served, "count(*)", "item WHERE itemtype = 'InvtPart' AND isinactive = 'F'") == str(
        sum(variant.active and variant.tracked for variant in company.variants)
    )
    periods = rows(served, "SELECT periodname, closed FROM accountingperiod WHERE isposting = 'T' AND isyear = 'F'"
                           " AND isquarter = 'F' AND startdate >= '09/01/2026' ORDER BY startdate")  # fmt: skip
    assert [(row["periodname"], row["closed"]) for row in periods] == [
        ("Sep 2026", "T"), ("Oct 2026", "F"), ("Nov 2026", "F"), ("Dec 2026", "F"),
    ]  # fmt: skip
    deleted = rows(served, "SELECT recordid, type, name, TO_CHAR(deleteddate,'YYYY-MM-DD\"T\"HH24:MI:SS') at"
                           " FROM deletedrecord ORDER BY type, recordid, deleteddate")  # fmt: skip
    assert len(deleted) == 25
    living = {row["id"] for row in rows(served, "SELECT id FROM transaction WHERE type = 'PurchOrd' ORDER BY id")}
    assert not living & {row["recordid"] for row in deleted}


def test_extending_the_clock_changes_nothing_in_the_past(early: Served) -> None:
    query = ("SELECT t.id, t.tranid, t.foreigntotal, TO_CHAR(t.lastmodifieddate,'YYYY-MM-DD HH24:MI:SS') m"
             " FROM transaction t WHERE t.type IN ('CashSale','CashRfnd','CustInvc','ItemShip')"
             " ORDER BY t.id")  # fmt: skip

    def everything() -> dict[str, dict[str, str]]:
        total = int(one(early, "count(*)", "transaction") or 0)
        found: dict[str, dict[str, str]] = {}
        for offset in range(0, total, 1000):
            found.update({row["id"]: row for row in rows(early, query, offset=offset)})
        return found

    before = everything()
    early.control(
        "/clock", {"now": (datetime.fromisoformat("2024-12-05T06:00:00-05:00") + timedelta(days=3)).isoformat()}
    )
    _tokens.pop(early.url, None)
    after = everything()
    assert len(after) > len(before) > 500
    # An invoice is paid and an order is edited: that moves the time of change, and nothing else.
    for key, row in before.items():
        later = after[key].pop("m")
        assert later >= row.pop("m")
        assert after[key] == row


# Changes from outside -------------------------------------------------------------------------------------------------


def change(served: Served, op: str, **data: Any) -> dict[str, Any]:
    answer: dict[str, Any] = served.control("/mutate", {"vendor": "netsuite", "op": op, "data": data})["result"]
    return answer


def test_transactions_and_lines_change(early: Served) -> None:
    made = change(early, "add_transaction", type="CashSale", tranid="CS-X", day="2024-12-04", otherrefnum="#X",
                  lines=[{"amount": -10.5, "item": 1000, "quantity": -1}, {"amount": -1, "kind": "X"}])  # fmt: skip
    number = made["id"]
    (header,) = rows(early, f"SELECT tranid, foreigntotal, TO_CHAR(lastmodifieddate,'YYYY-MM-DD HH24:MI') m"
                            f" FROM transaction WHERE id = {number}")  # fmt: skip
    assert header == {"tranid": "CS-X", "foreigntotal": "11.5", "m": "2024-12-05 06:00"}
    found = rows(early, "SELECT uniquekey, netamount, mainline, taxline FROM transactionline"
                        f" WHERE transaction = {number} ORDER BY uniquekey")  # fmt: skip
    assert [(r["netamount"], r["mainline"], r["taxline"]) for r in found] == [
        ("11.5", "T", "F"), ("-10.5", "F", "F"), ("-1", "F", "T"),
    ]  # fmt: skip
    # A line changes and its header does not show it.
    early.control("/clock", {"now": "2024-12-05T06:30:00-05:00", "company": "keep"})
    change(early, "update_line", uniquekey=found[1]["uniquekey"], set={"amount": -9})
    changed = "TO_DATE('2024-12-05 06:15:00','YYYY-MM-DD HH24:MI:SS')"
    assert rows(early, f"SELECT id FROM transaction WHERE lastmodifieddate >= {changed}") == []
    assert [row["netamount"] for row in rows(
        early, f"SELECT netamount FROM transactionline WHERE linelastmodifieddate >= {changed}"
    )] == ["-9"]  # fmt: skip
    change(early, "update_transaction", id=number, set={"memo": "silently"}, keep_modified=True)
    assert rows(early, f"SELECT id FROM transaction WHERE lastmodifieddate >= {changed}") == []
    change(early, "add_line", transaction=number, amount=-2, item=1001)
    change(early, "delete_line", uniquekey=found[2]["uniquekey"])
    assert one(early, "count(*)", f"transactionline WHERE transaction = {number}") == "3"
    change(early, "delete_transaction", id=number)
    assert one(early, "count(*)", f"transactionline WHERE transaction = {number}") == "0"
    (gone,) = rows(early, f"SELECT type, name FROM deletedrecord WHERE recordid = {number}")
    assert gone == {"type": "CashSale", "name": "Cash Sale #CS-X"}
    silent = rows(early, "SELECT MIN(id) id FROM transaction")[0]["id"]
    change(early, "delete_transaction", id=silent, silent=True)
    assert rows(early, f"SELECT type FROM deletedrecord WHERE recordid = {silent}") == []
    change(early, "update_item", itemid="REFUND-ADJUSTMENT", set={"displayname": "Renamed"})
    assert one(early, "displayname", "item WHERE itemid = 'REFUND-ADJUSTMENT'") == "Renamed"
    change(early, "update_stock", item=1000, location=1, set={"onhand": 3})
    assert one(early, "quantityonhand", "inventoryitemlocations WHERE item = 1000 AND location = 1") == "3"


@pytest.mark.parametrize(
    ("op", "data", "said"),
    [
        ("add_transaction", {"type": "Gift", "tranid": "x"}, "Gift"),
        ("update_transaction", {"id": 1}, "set"),
        ("update_transaction", {"id": 1, "set": {"colour": "red"}}, "colour"),
        ("update_transaction", {"id": 1, "set": {"memo": "x"}}, "No row"),
        ("delete_transaction", {"id": 1}, "no transaction"),
        ("delete_line", {"uniquekey": 1}, "no line"),
    ],
)
def test_a_change_that_makes_no_sense(served: Served, op: str, data: dict[str, Any], said: str) -> None:
    answer = served.http.post("/_sandbox/mutate", json={"vendor": "netsuite", "op": op, "data": data})
    assert answer.status_code == 400
    assert said in answer.json()["error"]


# Records and metadata -------------------------------------------------------------------------------------------------


def get(served: Served, path: str, **query: Any) -> tuple[int, dict[str, Any]]:
    answer = served.http.get(f"/services/rest/{path}", params=query, headers=bearer(served))
    return answer.status_code, answer.json()


def test_lists_give_ids_and_links_only(served: Served) -> None:
    status, body = get(served, "record/v1/purchaseOrder", limit=20)
    assert status == 200
    contract("Collection")(body)
    assert all(set(item) == {"id", "links"} for item in body["items"])
    assert body["totalResults"] == len(served.sandbox.company.purchase_orders)
    number = body["items"][0]["id"]
    status, record = get(served, f"record/v1/purchaseOrder/{number}", expandSubResources="true")
    assert status == 200
    purchase = served.sandbox.company.purchase_orders[0]
    assert record["tranId"] == purchase.number
    assert record["createdDate"].endswith("Z")
    assert record["createdDate"][:16] == purchase.created_at.isoformat()[:16]
    assert record["currency"]["refName"] == "USD"
    assert [item["quantity"] for item in record["item"]["items"]] == [line.quantity for line in purchase.lines]
    assert set(get(served, f"record/v1/purchaseOrder/{number}", fields="tranId")[1]) == {"links", "id", "tranId"}


def test_records_that_are_not_there(served: Served) -> None:
    for path, code in (("record/v1/unicorn", "NOT_FOUND"), ("record/v1/invoice/1", "NONEXISTENT_ID")):
        status, body = get(served, path)
        assert status == 404
        contract("nsError")(body)
        assert body["o:errorDetails"][0]["o:errorCode"] == code
    assert get(served, "system/v1/governanceLimits")[0] == 403


def test_metadata(served: Served) -> None:
    status, body = get(served, "record/v1/metadata-catalog", select="salesorder,vendor")
    assert (status, [item["name"] for item in body["items"]]) == (200, ["salesorder", "vendor"])
    schema = get(served, "record/v1/metadata-catalog/vendor")[1]
    assert schema["properties"]["isInactive"]["type"] == "boolean"


def test_a_shop_served_from_a_file_has_no_erp(tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n"
    )
    with running(clock=datetime.fromisoformat("2011-12-10T06:00:00+00:00"), state=tmp_path / "s", orders=orders,
                 netsuite_key="ec") as sandbox:  # fmt: skip
        with client(sandbox.url) as http:
            served = Served(sandbox, http, tmp_path / "s")
            assert one(served, "count(*)", "transaction") == "0"
            environment = served.control("/environment", method="GET")
            assert "NETSUITE_CLIENT_ID" not in environment
            assert "SHOPIFY_CLIENT_ID" in environment


def test_all_pages_of_a_query_are_understood_at_once_and_alike() -> None:
    from sandbox.netsuite.suiteql import compile_query

    def page(bound: str, more: str = "") -> str:
        return (
            "SELECT tl.uniquekey AS id, tl.netamount AS net FROM transactionline tl INNER JOIN transaction t"
            f" ON t.id = tl.transaction WHERE (t.type = 'CashSale') AND (tl.uniquekey > {bound}){more}"
            " ORDER BY tl.uniquekey"
        )

    first, second = compile_query(page("512")), compile_query(page("98765"))
    assert second.keyset is not None
    assert first.keyset is not None
    assert (first.keyset.bound, second.keyset.bound) == (512, 98765)
    assert second.sql == first.sql.replace("512", "98765")
    assert second.count_sql == first.count_sql.replace("512", "98765")
    # Two bounds, or one that is no plain number, are understood for themselves.
    both = compile_query(page("512", " AND (tl.uniquekey > 7)"))
    assert "512" in both.sql
    assert "7" in both.sql
    assert "0.5" in compile_query(page("0.5")).sql
