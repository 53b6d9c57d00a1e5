"""HubSpot's side of the sandbox: what it answers, what it refuses, and the company's CRM behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.company import Company, generate
from sandbox.company.crm import Crm, build_crm, incidents, manager_of
from sandbox.company.satisfaction import build_satisfaction
from sandbox.company.staff import BY_KEY
from sandbox.hubspot import HubSpotSide
from sandbox.server import Sandbox, running

NOW = datetime(2024, 12, 5, 11, tzinfo=UTC)
MONTHS_LATER = datetime(2025, 6, 20, 11, tzinfo=UTC)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(seed=7, clock=NOW, state=tmp_path_factory.mktemp("sandbox"), netsuite_key="ec") as started:
        yield started


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer pat-na1-sandbox"}
    with httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False, verify=False) as client:
        yield client
    sandbox.faults.disarm()
    sandbox.set_profile("generous")


def get(http: httpx.Client, path: str, status: int = 200, **params: Any) -> Json:
    answer = http.get(path, params=params)
    assert answer.status_code == status, answer.text
    body: Json = answer.json()
    return body


def post(http: httpx.Client, path: str, body: Any, status: int = 200) -> Json:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    told: Json = answer.json()
    return told


def search(http: httpx.Client, kind: str, *filters: Json, status: int = 200, **more: Any) -> Json:
    body = {"filterGroups": [{"filters": list(filters)}], "limit": 200, **more}
    return post(http, f"/crm/objects/2026-09/{kind}/search", body, status)


# -- the API --------------------------------------------------------------------------------------------------------


def test_lists_page_to_the_end_and_hold_only_what_was_asked_for(http: httpx.Client) -> None:
    seen: list[str] = []
    after: Json = {}
    while True:
        page = get(http, "/crm/objects/2026-09/deals", limit=30, properties="dealname,nonsense", **after)
        seen += [item["id"] for item in page["results"]]
        assert all(
            set(item["properties"]) == {"dealname", "hs_object_id", "createdate", "hs_lastmodifieddate"}
            for item in page["results"]
        )
        if "paging" not in page:
            break
        after = {"after": page["paging"]["next"]["after"]}
    assert len(seen) == len(set(seen)) > 60
    assert seen == sorted(seen, key=int)
    assert len(get(http, "/crm/v3/objects/0-3")["results"]) == 10
    assert "phone" not in get(http, "/crm/v3/objects/contacts")["results"][0]["properties"]


def test_values_are_text_or_null(http: httpx.Client) -> None:
    page = get(http, "/crm/v3/objects/deals", limit=100, properties="amount,closedate,hs_deal_stage_probability")
    values = [value for item in page["results"] for value in item["properties"].values()]
    assert all(value is None or isinstance(value, str) for value in values) and None in values


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/crm/objects/2026-09/deals", {"limit": 101}),
        ("/crm/objects/2026-09/deals", {"limit": 51, "propertiesWithHistory": "dealstage"}),
        ("/crm/objects/2026-09/deals", {"limit": 0}),
        ("/crm/objects/2026-09/deals", {"after": "x"}),
        ("/crm/objects/2026-09/unicorns", {}),
    ],
)
def test_lists_refuse_what_the_vendor_refuses(http: httpx.Client, path: str, params: Json) -> None:
    body = get(http, path, 400, **params)
    assert body["category"] == "VALIDATION_ERROR" and body["correlationId"]


@pytest.mark.parametrize("version", ["2025-09", "2027-03", "4"])
def test_a_version_that_does_not_exist(http: httpx.Client, version: str) -> None:
    assert get(http, f"/crm/objects/{version}/deals", 404)["category"] == "OBJECT_NOT_FOUND"


def test_the_dated_api_has_no_list_of_one_records_associations(http: httpx.Client) -> None:
    assert http.get("/crm/objects/2026-09/deals/1/associations/companies").status_code in (404, 405)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 200, "after": "9900"},
        {"filterGroups": [{"filters": []}] * 7},
        {"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "GT", "value": "1"}] * 7}]},
        {"filterGroups": [{"filters": [{"propertyName": "nonsense", "operator": "GT", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "ABOVE", "value": "1"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "GT", "value": 1}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "createdate", "operator": "GT", "value": "today"}]}]},
        {"sorts": [{"propertyName": "nonsense"}]},
    ],
)
def test_searches_refuse_what_the_vendor_refuses(http: httpx.Client, body: Json) -> None:
    assert post(http, "/crm/objects/2026-09/deals/search", body, 400)["category"] == "VALIDATION_ERROR"


def test_a_search_compares_ids_as_numbers_and_counts_all(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.mutate("hubspot", "upsert", {"kind": "companies", "id": "999", "properties": {"name": "small"}})
    found = search(http, "companies", {"propertyName": "hs_object_id", "operator": "LT", "value": "1000"})
    assert [item["id"] for item in found["results"]] == ["999"]
    everything = search(http, "companies", limit=1)
    assert everything["total"] == len(get(http, "/crm/v3/objects/companies", limit=100)["results"])
    sandbox.mutate("hubspot", "delete", {"kind": "companies", "id": "999"})


def test_a_search_by_time_takes_milliseconds(http: httpx.Client) -> None:
    since = NOW - timedelta(days=3)
    value = str(int(since.timestamp() * 1000))
    found = search(http, "deals", {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": value})
    assert 0 < found["total"] < search(http, "deals")["total"]
    times = [datetime.fromisoformat(item["properties"]["hs_lastmodifieddate"]) for item in found["results"]]
    assert min(times) >= since


def test_who_may_not(sandbox: Sandbox) -> None:
    with httpx.Client(base_url=sandbox.url, trust_env=False, verify=False) as nobody:
        for token, category in (("none", "INVALID_AUTHENTICATION"), ("pat-x", "INVALID_AUTHENTICATION"),
                                ("pat-na1-sandbox-expired", "EXPIRED_AUTHENTICATION")):  # fmt: skip
            answer = nobody.get("/crm/v3/objects/deals", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["category"]) == (401, category)
        answer = nobody.get("/crm/v3/objects/tickets", headers={"Authorization": "Bearer pat-na1-sandbox-no-tickets"})
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["context"] == {"requiredGranularScopes": ["tickets"]}


def test_history_comes_newest_first_and_ends_where_the_deal_stands(http: httpx.Client) -> None:
    page = get(http, "/crm/v3/objects/deals", limit=50, propertiesWithHistory="dealstage")
    for item in page["results"]:
        history = item["propertiesWithHistory"]["dealstage"]
        assert history[0]["value"] == item["properties"]["dealstage"]
        times = [entry["timestamp"] for entry in history]
        assert times == sorted(times, reverse=True)


def test_batches_tell_what_is_missing_and_what_was_merged(sandbox: Sandbox, http: httpx.Client) -> None:
    for identity in ("501", "502"):
        sandbox.mutate("hubspot", "upsert", {"kind": "contacts", "id": identity})
    sandbox.mutate("hubspot", "merge", {"kind": "contacts", "id": "501", "loser": "502"})
    path = "/crm/objects/2026-09/contacts/batch/read"
    answer = post(http, path, {"inputs": [{"id": "502"}, {"id": "7"}], "properties": ["hs_merged_object_ids"]}, 207)
    assert [item["id"] for item in answer["results"]] == ["501"]
    assert answer["results"][0]["properties"]["hs_merged_object_ids"] == "502"
    assert answer["numErrors"] == 1 and answer["errors"][0]["context"] == {"ids": ["7"]}
    post(http, path, {"inputs": [{"id": str(each)} for each in range(101)]}, 400)
    history = {"inputs": [{"id": str(each)} for each in range(51)], "propertiesWithHistory": ["email"]}
    post(http, path, history, 400)
    sandbox.mutate("hubspot", "delete", {"kind": "contacts", "id": "501"})


def test_an_id_is_never_given_twice(sandbox: Sandbox) -> None:
    first = sandbox.mutate("hubspot", "upsert", {"kind": "companies"})["id"]
    sandbox.mutate("hubspot", "delete", {"kind": "companies", "id": first})
    second = sandbox.mutate("hubspot", "upsert", {"kind": "companies"})["id"]
    sandbox.mutate("hubspot", "delete", {"kind": "companies", "id": second})
    assert int(second) > int(first)


def test_archived_records_have_a_list_of_their_own(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.mutate("hubspot", "upsert", {"kind": "tickets", "id": "77", "properties": {"subject": "x"}})
    sandbox.mutate("hubspot", "archive", {"kind": "tickets", "id": "77"})
    archived = get(http, "/crm/v3/objects/tickets", archived="true", limit=100)["results"]
    assert [(item["id"], item["archived"]) for item in archived if item["id"] == "77"] == [("77", True)]
    same = {"propertyName": "hs_object_id", "operator": "EQ", "value": "77"}
    assert search(http, "tickets", same)["total"] == 0
    sandbox.mutate("hubspot", "delete", {"kind": "tickets", "id": "77"})


def test_associations_are_read_in_batches_and_paged_by_record(sandbox: Sandbox, http: httpx.Client) -> None:
    side: Any = sandbox.sides["hubspot"]
    deal = next(item["id"] for item in get(http, "/crm/v3/objects/deals", limit=100)["results"])
    for number in range(3):
        company = {"kind": "companies", "id": str(9000 + number)}
        sandbox.mutate("hubspot", "upsert", company)
        linked = {"kind": "deals", "id": deal, "to_kind": "companies", "to_id": str(9000 + number)}
        sandbox.mutate("hubspot", "associate", linked)
    side.associations_a_page = 2
    try:
        path = "/crm/associations/2026-09/deals/companies/batch/read"
        first = post(http, path, {"inputs": [{"id": deal}]})["results"][0]
        after = first["paging"]["next"]["after"]
        second = post(http, path, {"inputs": [{"id": deal, "after": after}]})["results"][0]
    finally:
        side.associations_a_page = 500
    told = [target["toObjectId"] for target in (*first["to"], *second["to"])]
    assert len(told) == 4 and told[1:] == [9000, 9001, 9002]
    assert [each["typeId"] for each in first["to"][0]["associationTypes"]] == [5, 341]
    assert "paging" not in second
    nothing = post(http, "/crm/v4/associations/deals/contacts/batch/read", {"inputs": [{"id": "1"}]}, 207)
    assert nothing["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    for number in range(3):
        sandbox.mutate("hubspot", "delete", {"kind": "companies", "id": str(9000 + number)})


def test_limits_have_headers_but_searches_have_none(sandbox: Sandbox, http: httpx.Client) -> None:
    sandbox.set_profile("restricted")
    answer = http.get("/crm/v3/owners")
    assert answer.headers["x-hubspot-ratelimit-max"] == "100"
    assert int(answer.headers["x-hubspot-ratelimit-remaining"]) < 100
    refused = None
    for _ in range(8):
        found = http.post("/crm/v3/objects/deals/search", json={"limit": 1})
        assert not any(name.startswith("x-hubspot-ratelimit") for name in found.headers)
        refused = found if found.status_code == 429 else refused
    assert refused is not None and refused.json()["policyName"] == "SECONDLY"
    sandbox.faults.arm({"vendor": "hubspot", "fault": "daily_limit"})
    daily = http.get("/crm/v3/owners")
    assert (daily.status_code, daily.json()["policyName"]) == (429, "DAILY")


def test_owners_and_pipelines(http: httpx.Client) -> None:
    living = get(http, "/crm/owners/2026-09")["results"]
    left = get(http, "/crm/v3/owners/", archived="true")["results"]
    assert [owner["email"] for owner in left] == ["greta@northbeam.example"]
    assert {owner["email"] for owner in living} >= {"marta@northbeam.example", "hannah@northbeam.example"}
    (pipeline,) = get(http, "/crm/pipelines/2026-09/deals")["results"]
    assert [stage["metadata"]["probability"] for stage in pipeline["stages"]] == [
        "0.1", "0.15", "0.25", "0.4", "0.6", "0.75", "0.9", "1.0", "0.0",
    ]  # fmt: skip
    assert pipeline["stages"][0]["createdAt"].startswith("1970")
    assert {stage["metadata"]["isClosed"] for stage in pipeline["stages"]} == {"true", "false"}


def test_an_association_modifies_neither_record(sandbox: Sandbox, http: httpx.Client) -> None:
    before = get(http, "/crm/v3/objects/deals", limit=1)["results"][0]
    company = get(http, "/crm/v3/objects/companies", limit=100)["results"][-1]["id"]
    linked = {"kind": "deals", "id": before["id"], "to_kind": "companies", "to_id": company}
    sandbox.mutate("hubspot", "associate", linked)
    assert get(http, "/crm/v3/objects/deals", limit=1)["results"][0] == before
    sandbox.mutate("hubspot", "dissociate", linked)


def test_a_company_with_a_shop_only_has_no_crm(sandbox: Sandbox) -> None:
    side = sandbox.sides["hubspot"]
    assert side.environment("http://x") == {
        "HUBSPOT_BASE_URL": "http://x", "HUBSPOT_TOKEN": "pat-na1-sandbox", "HUBSPOT_SURVEYS": "true",
    }  # fmt: skip
    shop_only = replace(sandbox.company, source="csv")
    assert HubSpotSide(shop_only, clock=sandbox.clock, faults=sandbox.faults).environment("http://x") == {}
    assert shop_only.part(build_crm).deals == ()


# -- the company's CRM ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, MONTHS_LATER)


@pytest.fixture(scope="module")
def crm(company: Company) -> Crm:
    return company.part(build_crm)


def test_every_business_customer_is_one_company(company: Company, crm: Crm) -> None:
    known = {each.erp_customer_id: each for each in crm.companies if each.erp_customer_id is not None}
    assert len(known) == len(company.business_customers)
    for dealer in company.business_customers:
        assert (known[dealer.id].name, known[dealer.id].country) == (dealer.name, dealer.country)
        assert known[dealer.id].owner == manager_of(dealer.country, company.clock)


def test_every_invoice_is_the_outcome_of_one_deal(company: Company, crm: Crm) -> None:
    invoices = {each.number: each for each in company.b2b_invoices if each.kind == "invoice"}
    won = {deal.invoice: deal for deal in crm.deals if deal.stage == "won"}
    planted = {each.expected["invoice"]: each.kind for each in incidents(company)}
    assert set(planted.values()) == {"crm_wrong_amount", "crm_missing_deal"}
    assert set(invoices) - set(won) == {number for number, kind in planted.items() if kind == "crm_missing_deal"}
    by_id = {each.id: each for each in crm.companies}
    for number, deal in won.items():
        invoice = invoices[str(number)]
        exact = invoice.net + invoice.tax
        assert deal.amount == (exact * 10 if planted.get(str(number)) == "crm_wrong_amount" else exact)
        assert deal.stages[-1].at == invoice.created_at == deal.close_at
        assert deal.company_id is not None and by_id[deal.company_id].erp_customer_id == invoice.customer_id


def test_tickets_are_about_orders_and_invoices_that_exist(company: Company, crm: Crm) -> None:
    orders = {order.name: order for order in company.orders}
    contacts = {each.id: each for each in crm.contacts}
    companies = {each.id: each for each in crm.companies}
    about_orders = [ticket for ticket in crm.tickets if ticket.order is not None]
    assert len(about_orders) > 20 and len(about_orders) < len(crm.tickets)
    for ticket in crm.tickets:
        assert ticket.stages[0].at == ticket.created_at
        if ticket.order is not None:
            order = orders[ticket.order]
            assert order.created_at < ticket.created_at
            if order.customer_id is not None:
                customer = company.customer_by_id[order.customer_id]
                contact = contacts[int(str(ticket.contact_id))]
                assert (contact.first_name, contact.last_name) == (customer.first_name, customer.last_name)
        else:
            assert ticket.company_id in companies


def test_an_answer_to_a_survey_follows_a_closed_ticket(company: Company, crm: Crm) -> None:
    answers = company.part(build_satisfaction).answers
    tickets = {ticket.id: ticket for ticket in crm.tickets}
    assert len(answers) > 50 and len({each.ticket_id for each in answers}) == len(answers)
    happy: dict[bool, list[bool]] = {True: [], False: []}
    for answer in answers:
        ticket = tickets[answer.ticket_id]
        closed = [entry.at for entry in ticket.stages if entry.stage == "closed"]
        assert closed and closed[0] < answer.at <= company.clock and answer.contact_id == ticket.contact_id
        assert ticket.first_reply_at is not None
        happy[ticket.first_reply_at - ticket.created_at > timedelta(hours=24)].append(answer.rating == 2)
    assert sum(happy[False]) / len(happy[False]) > sum(happy[True]) / len(happy[True])
    after = generate(7, MONTHS_LATER + timedelta(days=9)).part(build_satisfaction).answers
    assert set(answers) < set(after)


def test_owners_are_of_the_roster_and_stages_in_order(crm: Crm) -> None:
    for deal in crm.deals:
        assert deal.owner is None or deal.owner in BY_KEY
        times = [entry.at for entry in deal.stages]
        assert times == sorted(times) and times[0] == deal.created_at
    assert any(deal.owner == "greta" for deal in crm.deals)
    assert {deal.stage for deal in crm.deals} >= {"won", "lost", "negotiation", "quote", "inquiry"}


def test_a_later_clock_only_adds(company: Company, crm: Crm) -> None:
    later = MONTHS_LATER + timedelta(days=9)
    after = generate(7, later).part(build_crm)
    for name in ("companies", "contacts", "deals", "tickets"):
        before = {each.id: each for each in getattr(crm, name)}
        now = {each.id: each for each in getattr(after, name)}
        merged = {loser for each in now.values() for loser in getattr(each, "merged", ())}
        assert set(before) - merged <= set(now)
        for identity, each in before.items():
            if identity in now and now[identity] != each:
                archived = now[identity].archived_at is not None and each.archived_at is None
                # A person added to a deal's company, or two records merged, modifies neither.
                assert now[identity].modified_at > MONTHS_LATER or archived or name == "deals", (each, now[identity])
        assert all(now[each].created_at > MONTHS_LATER for each in set(now) - set(before))
