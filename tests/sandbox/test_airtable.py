"""The sandbox's Airtable: what it lists, what it refuses and how, its limits, and changes from outside."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.airtable.formula import BadFormula, Row, compile_formula
from sandbox.airtable.limits import MONTHLY_CALLS, RateLimits
from sandbox.airtable.side import TOKEN
from sandbox.company import generate
from sandbox.company.campaigns import campaigns_of
from sandbox.company.staff import STAFF
from sandbox.company.worktables import BARREN_CHANNEL, incidents, worktables_of
from tests.connectors.conftest import NOW, World, started

SPEND = {"base": "Paid media", "table": "Daily spend"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from started(tmp_path_factory.mktemp("sandbox"))


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=world.url, headers=headers, trust_env=False, verify=False, timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(http: httpx.Client) -> str:
    """The path of the table of daily spend."""
    base = next(b["id"] for b in http.get("/v0/meta/bases").json()["bases"] if b["name"] == "Paid media")
    table = http.get(f"/v0/meta/bases/{base}/tables").json()["tables"][0]["id"]
    return f"/v0/{base}/{table}"


def kind(answer: httpx.Response) -> Any:
    error = answer.json().get("error")
    return answer.status_code, error["type"] if isinstance(error, dict) else error


def test_a_listing_is_paged_by_iterators(http: httpx.Client, place: str) -> None:
    first = http.get(place).json()
    assert len(first["records"]) == 100 and first["offset"].startswith("itr")
    last = http.get(place, params={"offset": first["offset"]}).json()
    assert len(last["records"]) == 32 and "offset" not in last
    assert not {r["id"] for r in first["records"]} & {r["id"] for r in last["records"]}
    # By name as well as by id, and by POST with a body.
    named = http.get(place.rpartition("/")[0] + "/Daily%20spend", params={"maxRecords": 2, "fields[]": "Spend"}).json()
    assert [list(record["fields"]) for record in named["records"]] == [["Spend"], ["Spend"]]
    body = {"pageSize": 2, "fields": ["Channel"], "returnFieldsByFieldId": True}
    posted = http.post(f"{place}/listRecords", json=body).json()
    assert len(posted["records"]) == 2 and next(iter(posted["records"][0]["fields"])).startswith("fld")


def test_what_airtable_refuses_is_refused(world: World, http: httpx.Client, place: str) -> None:
    bare = httpx.get(f"{world.url}/v0/meta/bases", trust_env=False, verify=False)
    assert kind(bare) == (401, "AUTHENTICATION_REQUIRED")
    old = httpx.get(
        f"{world.url}/v0/meta/bases", headers={"Authorization": "Bearer keyOLD"}, trust_env=False, verify=False
    )
    assert kind(old) == (401, "AUTHENTICATION_REQUIRED")
    schema = httpx.get(
        world.url + place,
        headers={"Authorization": "Bearer patSandboxSchema0.0123456789abcdef"},
        trust_env=False,
        verify=False,
    )
    assert kind(schema) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    assert kind(http.get("/v0/appNOTHINGNOTHING/tbl")) == (403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    assert kind(http.get("/v0/nothing/at/all/here")) == (404, "NOT_FOUND")
    assert kind(http.get(place, params={"pageSize": 101})) == (422, "INVALID_PAGE_SIZE_OPTION")
    assert kind(http.get(place, params={"fields[]": "Nope"})) == (422, "UNKNOWN_FIELD_NAME")
    assert kind(http.get(place, params={"filterByFormula": "IS_AFTER("})) == (422, "INVALID_FILTER_BY_FORMULA")
    assert kind(http.get(place, params={"filterByFormula": "{Nope}=1"})) == (422, "INVALID_FILTER_BY_FORMULA")
    assert kind(http.get(place, params={"offset": "x"})) == (422, "INVALID_OFFSET_VALUE")
    lost = http.get(place, params={"offset": "itrAAAAAAAAAAAAAA/recAAAAAAAAAAAAAA/100"})
    assert kind(lost) == (422, "LIST_RECORDS_ITERATOR_NOT_AVAILABLE")


def test_empty_cells_are_left_out_and_money_keeps_its_digits(world: World, http: httpx.Client, place: str) -> None:
    text = http.get(place, params={"fields[]": "Spend", "maxRecords": 1}).text
    assert '"Spend":' in text and "\\u0001" not in text
    base = next(b["id"] for b in http.get("/v0/meta/bases").json()["bases"] if b["name"] == "Product reviews US")
    records = http.get(f"/v0/{base}/Reviews").json()["records"]
    assert all(record["fields"].get("Verified", True) is True for record in records)
    assert any("Headline" not in record["fields"] for record in records)


def test_a_formula_finds_what_changed(world: World, http: httpx.Client, place: str) -> None:
    since = "IS_AFTER(LAST_MODIFIED_TIME(),'2024-12-04T00:00:00Z')"
    found = http.get(place, params={"filterByFormula": since}).json()["records"]
    assert 0 < len(found) < 20
    both = http.get(place, params={"filterByFormula": f"AND({since}, {{Channel}}='Meta Ads')"}).json()["records"]
    assert 0 < len(both) < len(found)


def test_formulas() -> None:
    row = Row("rec1", NOW, NOW, {"A": 3, "B": None}.__getitem__)
    for text, value in {
        "AND({A}>2, NOT({A}=4))": True,
        "OR(IS_BEFORE(CREATED_TIME(), '2024-01-01'), RECORD_ID()=\"rec1\")": True,
        "IS_AFTER(LAST_MODIFIED_TIME(), DATETIME_PARSE('2024-12-05T11:00:00Z'))": False,
        "{A}!=3": False,
    }.items():
        assert compile_formula(text)(row) is value, text
    for wrong in ("", "AND(", "NOPE()", "1 2"):
        with pytest.raises(BadFormula):
            compile_formula(wrong)(row)


def test_the_limits_and_their_silence() -> None:
    at = [0.0]
    limits = RateLimits("standard", lambda: at[0])
    assert [limits.refuse("t", "app1") for _ in range(6)] == [None] * 5 + ["rate"]
    assert limits.refuse("t", "app2") is None
    at[0] = 29.0
    # A call within the silence begins it anew.
    assert limits.refuse("t", "app1") == "rate"
    at[0] = 31.0
    assert limits.refuse("t", "app1") == "rate"
    at[0] = 61.1
    assert limits.refuse("t", "app1") is None
    at[0] = 100.0
    assert [limits.refuse("t", f"app{n}") for n in range(51)].count("rate") == 1
    limits = RateLimits("restricted", lambda: at[0])
    for _ in range(MONTHLY_CALLS):
        at[0] += 1
        assert limits.refuse("t", None) is None
    assert limits.refuse("t", None) == "month"
    assert RateLimits("generous").refuse("t", None) is None


def test_refusals_have_airtables_bodies(world: World, http: httpx.Client) -> None:
    world.fault("airtable", "monthly_cap")
    answer = http.get("/v0/meta/bases")
    assert answer.status_code == 429 and "BILLING" in answer.json()["errors"][0]["error"]
    world.fault("airtable", "http_429")
    answer = http.get("/v0/meta/bases")
    assert answer.json()["errors"][0]["error"] == "RATE_LIMIT_REACHED" and "retry-after" not in answer.headers


def test_changes_come_back_after_the_clock_moved(tmp_path: Any) -> None:
    for own in started(tmp_path):
        made = own.mutate("airtable", "put_record", **SPEND, fields={"Channel": "New", "Spend": 1})["id"]
        own.mutate("airtable", "rename_field", **SPEND, field="Clicks", to="Klicks")
        own.control("/clock", {"now": "2024-12-06T11:00:00+00:00"})
        assert own.mutate("airtable", "find", **SPEND, field="Channel", value="New")["ids"] == [made]
        assert own.mutate("airtable", "find", **SPEND, field="Klicks")["ids"]


def test_the_csv_company_has_no_airtable(tmp_path: Any) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "1,A,Thing,1,2010-01-04 10:00:00,2.5,7,United Kingdom\n",
        encoding="utf-8",
    )
    for own in started(tmp_path / "state", orders=orders):
        assert own.settings.airtable_token is None


# -- the story --------------------------------------------------------------------------------------------


def test_the_story_agrees_with_the_company() -> None:
    company = generate(7, NOW)
    told = worktables_of(company)
    skus = {variant.sku for variant in company.variants}
    assert {p.lead for p in told.projects if p.lead} <= set(STAFF)
    assert all(p.lead is None or p.lead.division == p.division for p in told.projects)
    assert {sku for p in told.projects for sku in p.skus} | {s.sku for s in told.samples} <= skus
    assert {each.sku for each in told.prices} <= skus
    customers = {each.id: each.name for each in company.business_customers}
    assert all(customers[s.company_id] == s.company for s in told.samples)
    for review in told.reviews:
        order = company.order_by_id[review.order_id]
        assert order.name == review.order_name and order.channel == "web" and not order.test
        assert review.sku in {line.sku for line in order.lines}
        delivered = [f.delivered_at for f in order.fulfilments if f.status == "SUCCESS"]
        assert all(at is not None and at < review.written_at for at in delivered)
    entries = {entry.campaign: entry for entry in told.content if entry.campaign}
    campaigns = {each.name: each for each in campaigns_of(company).campaigns}
    assert set(campaigns) - set(entries) == told.unlisted_campaigns and len(told.unlisted_campaigns) == 1
    wrong = {n for n, e in entries.items() if campaigns[n].sent and e.publish_at != campaigns[n].send_time}
    assert wrong == told.misdated_campaigns and len(wrong) == 1


def test_paid_media_counts_no_more_than_the_shop_sold() -> None:
    company = generate(7, NOW)
    told = worktables_of(company)
    for day in {each.day for each in told.media}:
        web = sum(
            o.channel == "web" and not o.test and company.business_day(o.created_at) == day for o in company.orders
        )
        assert sum(each.conversions for each in told.media if each.day == day) <= web
    planted = {incident.kind: incident for incident in incidents(company)}
    barren = planted["spend_without_conversion"]
    hit = [m for m in told.media if m.channel == BARREN_CHANNEL and barren.start <= m.day <= barren.end]
    assert len(hit) == 3 and all(m.spend > 30 and m.conversions == 0 for m in hit)
    assert {"competitor_price_cut", "content_entry_missing", "content_entry_misdated"} <= set(planted)


def test_a_later_clock_only_adds() -> None:
    from datetime import timedelta

    now, later = (worktables_of(generate(7, at)) for at in (NOW, NOW + timedelta(days=9)))
    for name in ("projects", "samples", "reviews", "prices", "rankings", "media"):
        before, after = ({each.key: each for each in getattr(told, name)} for told in (now, later))
        assert set(before) <= set(after), name
        for key, value in before.items():
            if name in ("reviews", "prices", "rankings"):
                assert after[key] == value
            elif after[key] != value and name == "media":
                assert after[key].updated_at > value.updated_at
