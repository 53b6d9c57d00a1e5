"""HubSpot as a source: versions, paging, searches beyond their limit, histories, associations, refusals, and a sync
through the loader."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from ops_platform.database import ensure_raw_tables
from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.connections import left_out
from ops_platform.ingestion.sync import sync_stream
from ops_platform.settings import Settings
from resources import hubspot
from resources.hubspot import HubSpotClient, HubSpotSource, Paths
from resources.hubspot.client import DailyLimitReached, Refused
from resources.hubspot.objects import STREAMS
from sandbox.hubspot.side import HubSpotSide
from tests.connectors.conftest import NOW, World, hurried, read
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

TODAY = date(2024, 12, 5)
T = "2024-12-01T10:00:00.000Z"
Connect = Callable[[], "psycopg.Connection[Any]"]


# -- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "2026-09",
            [
                "/crm/objects/2026-09/deals", "/crm/objects/2026-09/deals/search",
                "/crm/objects/2026-09/deals/batch/read", "/crm/properties/2026-09/deals",
                "/crm/pipelines/2026-09/deals", "/crm/owners/2026-09",
                "/crm/associations/2026-09/deals/companies/batch/read",
            ],
        ),
        (
            "2026-03",
            [
                "/crm/objects/2026-03/deals", "/crm/objects/2026-03/deals/search",
                "/crm/objects/2026-03/deals/batch/read", "/crm/properties/2026-03/deals",
                "/crm/pipelines/2026-03/deals", "/crm/owners/2026-03",
                "/crm/associations/2026-03/deals/companies/batch/read",
            ],
        ),
        (
            "v3",
            [
                "/crm/v3/objects/deals", "/crm/v3/objects/deals/search", "/crm/v3/objects/deals/batch/read",
                "/crm/v3/properties/deals", "/crm/v3/pipelines/deals", "/crm/v3/owners",
                "/crm/v4/associations/deals/companies/batch/read",
            ],
        ),
    ],
)  # fmt: skip
def test_paths_of_every_version(version: str, expected: list[str]) -> None:
    paths = Paths(version)
    assert [
        paths.objects("deals"), paths.search("deals"), paths.batch_read("deals"), paths.properties("deals"),
        paths.pipelines("deals"), paths.owners(), paths.associations("deals", "companies"),
    ] == expected  # fmt: skip


def test_settings_make_a_source() -> None:
    assert hubspot.connect(Settings(hubspot_token=None)) is None
    source = hubspot.connect(Settings(hubspot_token=SecretStr("pat-x"), hubspot_api_version="v3"))
    assert source is not None and source.client.paths.version == "v3"
    assert source.http.base_url == "https://api.hubapi.com"
    with pytest.raises(ConfigurationError, match="2026-09, 2026-03, v3"):
        hubspot.connect(Settings(hubspot_token=SecretStr("pat-x"), hubspot_api_version="2025-01"))


def test_an_account_without_surveys_has_no_stream_of_them(world: World) -> None:
    assert not Settings(hubspot_surveys="").hubspot_surveys
    limited = {"hubspot_token": SecretStr("pat-na1-sandbox-no-surveys"), "hubspot_surveys": False}
    source = hubspot.connect(world.settings.model_copy(update=limited))
    assert source is not None
    source.http.sleep = lambda _: None
    assert set(STREAMS) - set(source.streams) == {"feedback_submissions"}
    probes = {probe.endpoint: probe for probe in source.probe()}
    assert all(probe.ok for probe in probes.values()) and "not read" in probes["feedback_submissions"].said
    assert left_out(STREAMS, source) == ["feedback_submissions"] and left_out(STREAMS, world.hubspot()) == []


def test_of_a_survey_answer_only_the_rating_is_read(world: World) -> None:
    answers = list(read(world.hubspot(), "feedback_submissions").payloads.values())
    assert len(answers) > 5
    of_people = ("example", "hs_content", "hs_submission_name", "hs_contact_id", "Thanks!")
    assert not any(word in json.dumps(answer) for answer in answers for word in of_people)
    assert {answer["properties"]["hs_value"] for answer in answers} >= {"0", "2"}


@pytest.mark.parametrize("version", ["2026-09", "2026-03", "v3"])
def test_every_version_reads_the_same(world: World, version: str) -> None:
    world_settings = world.settings.model_copy(update={"hubspot_api_version": version})
    source = hubspot.connect(world_settings)
    assert source is not None
    source.http.sleep = lambda _: None
    newest = world.hubspot()
    for name in ("owners", "pipelines", "companies", "associations"):
        assert read(source, name).payloads == read(newest, name).payloads


# -- a scripted account -------------------------------------------------------------------------------------------


class Account:
    """An account of deals, answered by script; `override` may answer first."""

    def __init__(self, count: int = 3) -> None:
        self.deals = {number: self.deal(number) for number in range(1, count + 1)}
        self.archived: dict[int, dict[str, Any]] = {}
        self.links: dict[str, list[str]] = {}
        self.names = list(_PROPERTIES)
        self.override: Callable[[Asked], Said | None] = lambda _: None
        self.page = 100

    def deal(self, number: int, **values: Any) -> dict[str, Any]:
        properties = {
            "hs_object_id": str(number), "createdate": T, "hs_lastmodifieddate": T, "dealname": f"Deal {number}",
            "amount": "10.50", "dealstage": "a", "pipeline": "default", "closedate": None, "hubspot_owner_id": None,
            "dealtype": None, **values,
        }  # fmt: skip
        history = [{"value": "a", "timestamp": T, "sourceType": "API"}]
        return {
            "id": str(number), "properties": properties, "createdAt": T, "updatedAt": T, "archived": False,
            "propertiesWithHistory": {"dealstage": history},
        }  # fmt: skip

    def __call__(self, asked: Asked) -> Said:
        special = self.override(asked)
        if special is not None:
            return special
        assert asked.headers["authorization"] == "Bearer pat-token"
        if "/properties/" in asked.path:
            return said({"results": [{"name": name} for name in self.names]})
        if "/associations/" in asked.path:
            return self.associations(asked)
        if "/deals" not in asked.path:
            return said({"results": [], "total": 0})
        if asked.path.endswith("/search"):
            return self.search(asked.json)
        if asked.path.endswith("/batch/read"):
            ids = [int(each["id"]) for each in asked.json["inputs"]]
            assert len(ids) <= (50 if asked.json.get("propertiesWithHistory") else 100)
            return said({"status": "COMPLETE", "results": [self.deals[each] for each in ids if each in self.deals]})
        items = self.archived if asked.query.get("archived") == "true" else self.deals
        start = int(asked.query.get("after", 0))
        assert int(asked.query["limit"]) <= (50 if "propertiesWithHistory" in asked.query else 100)
        ids = [each for each in sorted(items) if each > start]
        body: dict[str, Any] = {"results": [items[each] for each in ids[: self.page]]}
        if len(ids) > self.page:
            body["paging"] = {"next": {"after": str(ids[self.page - 1]), "link": "https://evil.example/next"}}
        return said(body)

    def search(self, body: dict[str, Any]) -> Said:
        filters = {each["propertyName"]: each for each in body["filterGroups"][0]["filters"]}
        assert filters["hs_object_id"]["operator"] == "GT" and isinstance(filters["hs_object_id"]["value"], str)
        found = [self.deals[each] for each in sorted(self.deals) if each > int(filters["hs_object_id"]["value"])]
        return said({"total": len(found), "results": found[: body["limit"]]})

    def associations(self, asked: Asked) -> Said:
        results, errors = [], []
        for each in asked.json["inputs"]:
            linked = self.links.get(each["id"], []) if asked.path.endswith("/companies/batch/read") else []
            start = int(each.get("after", 0))
            if not linked:
                context = {"fromObjectId": [each["id"]]}
                code = "crm.associations.NO_ASSOCIATIONS_FOUND"
                errors.append({"category": "OBJECT_NOT_FOUND", "subCategory": code, "context": context})
                continue
            result: dict[str, Any] = {"from": {"id": each["id"]}}
            result["to"] = [{"toObjectId": int(to), "associationTypes": []} for to in linked[start : start + 2]]
            if start + 2 < len(linked):
                result["paging"] = {"next": {"after": str(start + 2), "link": "https://evil.example"}}
            results.append(result)
        answer = {"status": "COMPLETE", "results": results}
        return said({**answer, "numErrors": len(errors), "errors": errors}, 207) if errors else said(answer)


_PROPERTIES = (
    "hs_object_id", "createdate", "hs_lastmodifieddate", "hs_merged_object_ids", "dealname", "amount", "dealstage",
    "pipeline", "closedate", "hubspot_owner_id", "dealtype", "subject", "content", "hs_pipeline",
    "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category", "source_type", "closed_date",
)  # fmt: skip


@contextmanager
def source_for(
    account: Callable[[Asked], Said], clock: StillClock | None = None, **more: Any
) -> Iterator[tuple[HubSpotSource, FakeVendor]]:
    with fake_vendor(account) as vendor:
        http = client_of(vendor, clock or StillClock(), "hubspot")
        yield HubSpotSource(HubSpotClient(http, SecretStr("pat-token")), **more), vendor


def paths_of(vendor: FakeVendor) -> list[str]:
    return [asked.path for asked in vendor.asked]


def test_a_search_goes_on_beyond_ten_thousand_by_id() -> None:
    account = Account(0)
    account.deals = {number: account.deal(number) for number in range(9, 9 + 1_000 * 13, 13)}
    with source_for(account) as (source, vendor):
        got = read(source, "deals", "2024-12-01T00:00:00Z")
        searches = [asked.json for asked in vendor.asked if asked.path.endswith("/search")]
    assert len(got.payloads) == 1_000
    assert all("after" not in body and body["limit"] == 200 for body in searches)
    # Ids are numbers to the vendor: 1,000 comes after 999.
    lasts = [int(body["filterGroups"][0]["filters"][-1]["value"]) for body in searches]
    assert lasts == sorted(lasts) and len(set(lasts)) == len(lasts)
    assert searches[0]["sorts"] == [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    since = datetime(2024, 12, 1, tzinfo=UTC) - timedelta(minutes=10)
    assert searches[0]["filterGroups"][0]["filters"][0] == {
        "propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(int(since.timestamp()) * 1000),
    }  # fmt: skip


def test_a_list_that_gives_the_same_page_under_ever_new_cursors_ends() -> None:
    account, pages = Account(), itertools.count(1)

    def owners(asked: Asked) -> Said:
        if "/owners/" not in asked.path:
            return account(asked)
        page = {"results": [{"id": "7", "email": "lee@example.com", "archived": False}]}
        return said({**page, "paging": {"next": {"after": str(next(pages))}}})

    with source_for(owners) as (source, vendor):
        with pytest.raises(TransientFailure, match="the page before again"):
            read(source, "owners")
        assert len(vendor.asked) < 40


def test_contacts_are_filtered_by_their_own_property(world: World) -> None:
    before = len(world.ledger(vendor="hubspot"))
    source = world.hubspot()
    read(source, "contacts", "2024-12-01T00:00:00Z")
    assert before < len(world.ledger(vendor="hubspot"))
    assert source.streams["contacts"].look_back >= timedelta(minutes=5)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"total": 3, "results": []},
        {"total": 3, "results": [Account().deal(1)]},
        {"total": 3, "results": [Account().deal(2), Account().deal(1), Account().deal(3)]},
        {"total": 3, "results": [Account().deal(1), Account().deal(1), Account().deal(2)]},
        {"results": []},
        {"total": 1},
    ],
)
def test_a_search_that_cannot_be_whole_is_asked_again_and_fails_at_last(spoiled: dict[str, Any]) -> None:
    account = Account()
    times = 1

    def once(asked: Asked) -> Said | None:
        nonlocal times
        if asked.path.endswith("/search") and times:
            times -= 1
            return said(spoiled)
        return None

    account.override = once
    with source_for(account) as (source, _):
        assert len(read(source, "deals", "2024-12-01T00:00:00Z").payloads) == 3
    times = 1_000
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="gave up"):
        read(source, "deals", "2024-12-01T00:00:00Z")


def test_a_list_cut_short_never_passes_for_the_whole() -> None:
    account = Account(250)
    with source_for(account) as (source, _):
        assert len(read(source, "deals").payloads) == 250

    def short(asked: Asked) -> Said | None:
        if asked.method == "GET" and asked.query.get("after") == "100":
            return said({"results": [account.deals[101]]})
        return None

    account.override = short
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="ended after 101 records"):
        read(source, "deals")
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="ended after"):
        list(source.living_ids(STREAMS["deals"]))


def test_a_cursor_that_repeats_and_an_empty_page_fail() -> None:
    account = Account(250)
    circle = said({"results": [account.deals[1]], "paging": {"next": {"after": "100"}}})
    account.override = lambda asked: circle if asked.query.get("after") == "100" else None
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="already read"):
        read(source, "deals")
    empty = said({"results": [], "paging": {"next": {"after": "100"}}})
    account.override = lambda asked: (
        empty
        if asked.method == "GET"
        and "after" not in asked.query
        and "/deals" in asked.path
        and "properties/" not in asked.path
        else None
    )
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="empty page"):
        read(source, "deals")


def test_living_records_are_not_taken_for_archived_ones() -> None:
    account = Account(3)
    account.archived = {9: {**account.deal(9), "archived": True}}
    with source_for(account) as (source, _):
        read(source, "deals", "2024-12-01T00:00:00Z")
        assert list(source.deletions(NOW)) == [("deals", "9")]
    # A server that does not know the parameter answers with what lives.
    account.archived = account.deals
    with source_for(account) as (source, _), pytest.raises(PermanentFailure, match="nothing is deleted"):
        read(source, "deals", "2024-12-01T00:00:00Z")


def test_links_are_never_followed() -> None:
    account = Account(5)
    account.page = 2
    with source_for(account) as (source, vendor):
        assert len(read(source, "deals").payloads) == 5
        assert all("evil" not in asked.path for asked in vendor.asked)


def test_properties_are_asked_for_and_a_vanished_one_stops_the_stream() -> None:
    account = Account()
    with source_for(account) as (source, vendor):
        got = read(source, "deals")
        listed = next(asked for asked in vendor.asked if asked.query.get("archived") == "false")
    assert set(listed.query["properties"].split(",")) <= set(_PROPERTIES)
    # What the account does not have is unknown, not missing.
    assert got.payloads["1"]["properties"]["erp_invoice_number"] is None
    assert "erp_invoice_number" in source.absent["deals"]
    account.names.remove("dealstage")
    with source_for(account) as (source, _), pytest.raises(PermanentFailure, match="dealstage"):
        read(source, "deals")


def test_without_the_list_of_properties_a_vanished_one_still_shows() -> None:
    account = Account(25)
    account.override = lambda asked: said({"category": "MISSING_SCOPES"}, 403) if "/properties/" in asked.path else None
    with source_for(account) as (source, _):
        assert len(read(source, "deals").payloads) == 25
    for deal in account.deals.values():
        del deal["properties"]["amount"]
    with source_for(account) as (source, _), pytest.raises(PermanentFailure, match="property amount"):
        read(source, "deals")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"amount": "12,5"}, "invalid_money"),
        ({"amount": 12.5}, "invalid_shape"),
        ({"hs_lastmodifieddate": "yesterday"}, "invalid_timestamp"),
        ({"closedate": "2024-13-01T00:00:00Z"}, "invalid_timestamp"),
        ({"deal_currency_code": "XQX"}, "unknown_currency"),
        ({"dealstage": None}, "missing_field"),
        ({"hs_is_closed": "perhaps"}, "invalid_shape"),
    ],
)
def test_bad_records_are_set_aside_with_their_reason(values: dict[str, Any], reason: str) -> None:
    account = Account()
    account.names += ["deal_currency_code", "hs_is_closed"]
    account.deals[2] = account.deal(2, **values)
    with source_for(account) as (source, _):
        got = read(source, "deals")
    assert set(got.payloads) == {"1", "3"}
    assert [(each.reason, each.id) for each in got.rejected] == [(reason, "2")]


def test_amounts_stay_text_and_cleared_ones_are_unknown() -> None:
    account = Account()
    account.deals[1] = account.deal(1, amount="12345678901234567890.10")
    account.deals[2] = account.deal(2, amount="")
    account.deals[3] = account.deal(3, amount=None)
    with source_for(account) as (source, _):
        got = read(source, "deals")
        totals = source.control_totals(STREAMS["deals"], None)
    assert [got.payloads[each]["properties"]["amount"] for each in "123"] == ["12345678901234567890.10", None, None]
    assert [(each.count, each.amount) for each in totals] == [(3, Decimal("12345678901234567890.10"))]


def test_a_record_is_the_same_from_list_and_search(world: World) -> None:
    source = world.hubspot()
    whole, changed = read(source, "deals"), read(source, "deals", "2020-01-01T00:00:00Z")
    assert whole.payloads == changed.payloads
    assert read(source, "stage_history").payloads == read(source, "stage_history", "2020-01-01T00:00:00Z").payloads
    assert set(read(source, "contacts").payloads) == set(read(source, "contacts", "2020-01-01T00:00:00Z").payloads)


# -- stages ---------------------------------------------------------------------------------------------------------


def test_every_transition_is_kept_in_batches_of_fifty() -> None:
    account = Account(120)
    account.deals[7]["propertiesWithHistory"]["dealstage"] = [
        {"value": "b", "timestamp": "2024-12-02T00:00:00.123Z", "sourceType": "CRM_UI", "updatedByUserId": 5},
        {"value": "a", "timestamp": T, "sourceType": "API"},
    ]
    with source_for(account) as (source, vendor):
        whole = read(source, "stage_history")
        changed = read(source, "stage_history", "2024-12-01T00:00:00Z")
        batches = [len(asked.json["inputs"]) for asked in vendor.asked if asked.path.endswith("deals/batch/read")]
    assert len(whole.payloads) == 121 and changed.payloads == whole.payloads
    assert batches == [50, 50, 20]
    assert whole.payloads["deals:7:2024-12-02T00:00:00.123Z:b"] == {
        "record": "deals:7", "object_type": "deals", "object_id": "7", "property": "dealstage", "value": "b",
        "timestamp": "2024-12-02T00:00:00.123Z", "sourceType": "CRM_UI", "sourceId": None, "updatedByUserId": 5,
    }  # fmt: skip


def test_a_history_that_is_missing_is_no_empty_history() -> None:
    account = Account()
    del account.deals[2]["propertiesWithHistory"]
    with source_for(account) as (source, _):
        got = read(source, "stage_history")
    assert [(each.reason, each.id) for each in got.rejected] == [("missing_field", "deals:2")]


def test_records_in_quarantine_are_checked_again_without_asking() -> None:
    account = Account(2)
    account.links = {"1": ["11"]}
    account.deals[1] = account.deal(1, amount="12,5")
    account.deals[1]["propertiesWithHistory"]["dealstage"][0]["timestamp"] = "yesterday"
    with source_for(account) as (source, vendor):
        deals, stages = read(source, "deals").rejected, read(source, "stage_history").rejected
        asked = len(vendor.asked)
        for name, kept in (("deals", deals), ("stage_history", stages)):
            (raw,) = [json.loads(each.raw) for each in kept]
            still = source.recheck(STREAMS[name], [raw], now=NOW)
            assert [each.reason for each in still.rejected] == [each.reason for each in kept]
        good = source.recheck(STREAMS["deals"], [account.deals[2]], now=NOW)
        assert [each.payload for each in good.records] == [read(source, "deals").payloads["2"]]
        (row,) = read(source, "stage_history").payloads.values()
        assert source.recheck(STREAMS["stage_history"], [row], now=NOW).records[0].payload == row
        assert asked > 0 and "/associations/" not in "".join(paths_of(vendor))
        bad = {"toObjectId": None, "from_type": "deals", "from_id": "1", "to_type": "companies"}
        assert source.recheck(STREAMS["associations"], [bad, []], now=NOW).received == 2


def test_a_batch_that_is_not_complete_is_asked_again() -> None:
    account = Account(2)
    replies = [said({"status": "PROCESSING", "results": []})]
    account.override = lambda asked: replies.pop() if replies and asked.path.endswith("batch/read") else None
    with source_for(account) as (source, _):
        assert len(read(source, "stage_history", "2024-12-01T00:00:00Z").payloads) == 2
    assert not replies


def test_a_batch_answers_for_every_id() -> None:
    """Errors of one record come with status 207; an id without a word is asked for again; a merged one answers with
    the record it is now part of."""
    account = Account(4)
    del account.deals[4]
    account.deals[1]["properties"]["hs_merged_object_ids"] = "4;9"
    asked_for: list[list[str]] = []

    def batch(asked: Asked) -> Said | None:
        if not asked.path.endswith("deals/batch/read"):
            return None
        ids = [each["id"] for each in asked.json["inputs"]]
        asked_for.append(ids)
        if len(asked_for) == 1:
            return said({"results": [account.deals[1]]})
        errors = [
            {"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": ["2"]}},
            {"category": "INTERNAL_ERROR", "message": "oops", "context": {"ids": ["3"]}},
        ]
        return said({"results": [], "numErrors": 2, "errors": errors}, 207)

    account.override = batch
    with source_for(account) as (source, _):
        answer = source.client.read("deals", ["1", "2", "3", "4"], ("dealstage",))
    assert asked_for == [["1", "2", "3", "4"], ["2", "3"]]
    assert [item["id"] for item in answer.found] == ["1"]
    assert answer.gone == {"4", "2"}
    assert answer.failed == {"3": "INTERNAL_ERROR: oops"}
    with source_for(account) as (source, _):
        account.override = lambda asked: said({"results": []}) if asked.path.endswith("batch/read") else None
        with pytest.raises(TransientFailure, match="neither sent nor refused"):
            source.client.read("deals", ["1"], ("dealstage",))


def test_a_record_the_vendor_cannot_read_is_set_aside() -> None:
    account = Account()
    errors = {"numErrors": 1, "errors": [{"category": "INTERNAL_ERROR", "message": "x", "context": {"ids": ["2"]}}]}
    account.override = lambda asked: (
        said({"results": [account.deals[each] for each in (1, 3)], **errors}, 207)
        if asked.path.endswith("deals/batch/read")
        else None
    )
    with source_for(account) as (source, _):
        got = read(source, "stage_history", "2024-12-01T00:00:00Z")
    assert [(each.reason, each.id) for each in got.rejected] == [("vendor_error", "deals:2")]
    assert len(got.payloads) == 2


# -- associations -----------------------------------------------------------------------------------------------


def test_associations_are_paged_per_record_and_none_is_none() -> None:
    account = Account(3)
    account.links = {"1": ["11", "12", "13", "14", "15"], "2": ["11"]}
    with source_for(account) as (source, vendor):
        got = read(source, "associations")
        inputs = [asked.json["inputs"] for asked in vendor.asked if asked.path.endswith("companies/batch/read")]
        assert source.deleted_parents(STREAMS["associations"], NOW) == {"deals:3"}
    assert sorted(got.payloads) == [
        "deals:1>companies:11", "deals:1>companies:12", "deals:1>companies:13", "deals:1>companies:14",
        "deals:1>companies:15", "deals:2>companies:11",
    ]  # fmt: skip
    assert inputs[1:] == [[{"id": "1", "after": "2"}], [{"id": "1", "after": "4"}]]


def test_a_record_without_a_word_is_asked_for_again() -> None:
    account = Account(2)
    account.links = {"1": ["11"], "2": ["12"]}
    first = True

    def forgetful(asked: Asked) -> Said | None:
        nonlocal first
        if asked.path.endswith("companies/batch/read") and first:
            first = False
            return said({"status": "COMPLETE", "results": []})
        return None

    account.override = forgetful
    with source_for(account) as (source, _):
        assert len(read(source, "associations").payloads) == 2


def test_an_error_in_a_batch_of_associations_is_not_taken_for_none() -> None:
    account = Account(2)
    error = {"category": "INTERNAL_ERROR", "message": "oops", "context": {"fromObjectId": ["1"]}}
    account.override = lambda asked: (
        said({"results": [], "numErrors": 1, "errors": [error]}, 207) if "/associations/" in asked.path else None
    )
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="INTERNAL_ERROR"):
        read(source, "associations")


def test_in_a_large_account_a_lone_change_is_found_within_the_rotation() -> None:
    account = Account(60)
    account.links = {str(number): ["11"] for number in account.deals}

    def nothing_modified(asked: Asked) -> Said | None:
        if asked.path.endswith("/search") and asked.json["limit"] > 1:
            return said({"total": 0, "results": []})
        return None

    account.override = nothing_modified
    seen: dict[str, int] = {}
    with source_for(account, records_read_whole=10, rotation_days=7) as (source, _):
        for day in range(7):
            got = read(source, "associations", "2024-12-01T00:00:00Z", NOW + timedelta(days=day))
            assert 0 < len(got.payloads) < 12
            for each in got.payloads:
                seen[each] = seen.get(each, 0) + 1
    assert len(seen) == 60 and set(seen.values()) == {1}


# -- refusals and paces ---------------------------------------------------------------------------------------------


def too_many(policy: str | None, **headers: str) -> Said:
    body = {"status": "error", "message": "limit", "errorType": "RATE_LIMIT", "category": "RATE_LIMITS"}
    return said({**body, **({"policyName": policy} if policy else {})}, 429, **headers)


def test_the_daily_limit_stops_everything_at_once() -> None:
    account = Account()
    account.override = lambda _: too_many("DAILY")
    clock = StillClock()
    with source_for(account, clock) as (source, vendor):
        for name in ("deals", "owners", "associations"):
            with pytest.raises(DailyLimitReached, match="midnight"):
                read(source, name)
        assert len(vendor.asked) == 1 and clock.slept == []


def test_a_busy_interval_is_waited_for() -> None:
    account = Account()
    replies = [too_many("TEN_SECONDLY_ROLLING"), too_many("SECONDLY")]
    account.override = lambda _: replies.pop(0) if replies else None
    clock = StillClock()
    with source_for(account, clock) as (source, _):
        read(source, "deals")
    assert [round(each) for each in clock.slept[:2]] == [11, 1]


def test_a_search_without_headers_has_its_own_pace() -> None:
    account = Account(1_000)
    clock = StillClock()
    with source_for(account, clock) as (source, _):
        read(source, "deals", "2024-12-01T00:00:00Z")
        assert clock.now - 1_000.0 >= 4 * 0.25
    waited = too_many(None)
    replies = [waited]
    account.override = lambda asked: replies.pop(0) if replies and asked.path.endswith("/search") else None
    clock = StillClock()
    with source_for(account, clock) as (source, _):
        read(source, "deals", "2024-12-01T00:00:00Z")
    assert any(1.0 <= each <= 1.2 for each in clock.slept)


def test_near_the_limit_it_slows_down() -> None:
    account = Account()
    near = {
        "X-HubSpot-RateLimit-Max": "100",
        "X-HubSpot-RateLimit-Remaining": "4",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    }
    account.override = lambda asked: (
        Said(json.dumps({"results": [{"name": name} for name in _PROPERTIES]}).encode(), headers=near)
        if "/properties/" in asked.path
        else None
    )
    clock = StillClock()
    with source_for(account, clock) as (source, _):
        read(source, "deals")
    assert 0.2 in clock.slept


def test_a_missing_scope_is_named() -> None:
    body = {
        "status": "error",
        "category": "MISSING_SCOPES",
        "message": "This app hasn't been granted all required scopes",
        "errors": [{"message": "x", "context": {"requiredGranularScopes": ["crm.objects.deals.read"]}}],
    }
    account = Account()
    account.override = lambda _: said(body, 403)
    with source_for(account) as (source, vendor):
        with pytest.raises(Refused, match=r"crm\.objects\.deals\.read") as caught:
            read(source, "deals")
        # The list of properties and the first search: neither is tried again.
        assert len(vendor.asked) == 2 and caught.value.scopes == ("crm.objects.deals.read",)


def test_no_token_in_any_message() -> None:
    account = Account()
    account.override = lambda _: Said(b"<html><title>pat-token</title></html>", 400, {"Content-Type": "text/html"})
    with source_for(account) as (source, _), pytest.raises(OpsError) as caught:
        read(source, "deals")
    assert "pat-token" not in str(caught.value)


def test_probe_tells_what_to_do(world: World) -> None:
    source = world.hubspot()
    assert [probe for probe in source.probe() if not probe.ok] == []
    limited = world.settings.model_copy(update={"hubspot_token": SecretStr("pat-na1-sandbox-no-tickets")})
    partly = hubspot.connect(limited)
    assert partly is not None
    partly.http.sleep = lambda _: None
    failed = [probe for probe in partly.probe() if not probe.ok]
    assert {probe.endpoint for probe in failed} == {"tickets", "pipelines of tickets"}
    assert all("the scope tickets" in probe.remedy for probe in failed)
    assert {name for probe in failed for name in probe.streams} == {
        "tickets", "stage_history", "associations", "pipelines",
    }  # fmt: skip
    # HubSpot hands out e-mails without what they are to an app that may not read them; that is told, not landed.
    sealed = hubspot.connect(
        world.settings.model_copy(update={"hubspot_token": SecretStr("pat-na1-sandbox-no-emails")})
    )
    assert sealed is not None
    sealed.http.sleep = lambda _: None
    (refused,) = [probe for probe in sealed.probe() if not probe.ok]
    assert (refused.endpoint, refused.streams) == ("emails", ("emails",)) and "sales-email-read" in refused.said
    landed = read(sealed, "emails")
    assert not landed.payloads and {each.reason for each in landed.rejected} == {"missing_field"}
    unasked = hubspot.connect(
        world.settings.model_copy(update={"hubspot_token": SecretStr("pat-na1-sandbox-no-surveys")})
    )
    assert unasked is not None
    unasked.http.sleep = lambda _: None
    (refused,) = [probe for probe in unasked.probe() if not probe.ok]
    assert refused.streams == ("feedback_submissions",)
    assert "crm.objects.feedback_submissions.read" in refused.remedy and "HUBSPOT_SURVEYS=false" in refused.remedy
    wrong = hubspot.connect(world.settings.model_copy(update={"hubspot_token": SecretStr("pat-wrong")}))
    assert wrong is not None
    (only,) = wrong.probe()
    assert not only.ok and "HUBSPOT_TOKEN" in only.remedy


# -- faults of the sandbox ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["repeat_page", "empty_page", "short_page", "duplicate_rows"])
def test_a_spoiled_page_never_loses_a_record(world: World, fault: str) -> None:
    source = world.hubspot()
    for name in ("owners", "contacts", "deals", "stage_history", "associations"):
        for cursor in (None, "2020-01-01T00:00:00Z"):
            good = read(source, name, cursor).payloads
            world.fault("hubspot", fault, after=1)
            try:
                assert read(source, name, cursor).payloads == good
            except TransientFailure:
                assert read(source, name, cursor).payloads == good
            world.control("/faults", method="DELETE")


@pytest.mark.parametrize("profile", ["standard", "restricted"])
def test_within_the_limits_of_an_account(own_world: World, profile: str) -> None:
    own_world.control("/profile", {"profile": profile})
    source = own_world.hubspot()
    assert own_world.sandbox is not None
    side = own_world.sandbox.sides["hubspot"]
    assert isinstance(side, HubSpotSide)
    # What the client believes to have waited has passed for its limits, too.
    side.limits_clock = hurried(source.http).now
    for name in source.streams:
        read(source, name)


# -- through the loader -----------------------------------------------------------------------------------------


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in STREAMS.values()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": TODAY, **more})


def living(connection: Any, name: str) -> set[str]:
    rows = connection.execute(f"select id from raw_hubspot.{name} where deleted_at is null".encode()).fetchall()
    return {row[0] for row in rows}


def test_every_stream_lands_ties_out_and_the_second_sync_writes_nothing(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    for name, stream in source.streams.items():
        first = sync(connection, source, name)
        assert (first.status, first.error) == ("succeeded", None), (name, first)
        assert first.inserted > 0 and first.quarantined == 0, (name, first)
        second = sync(connection, source, name)
        assert (second.status, second.inserted, second.updated, second.deleted) == ("succeeded", 0, 0, 0), (
            name,
            second,
        )
        third = sync(connection, source, name, sweep=True)
        assert (third.status, third.deleted) == ("succeeded", 0), (name, third)
        if stream.ties_out:
            assert (first.tie_out, second.tie_out) == ("matched", "matched"), (name, first, second)
    sums = connection.execute(
        "select count(*), sum(source_amount) from ops.tie_outs where vendor = 'hubspot' and stream = 'deals'"
        " and status = 'matched'"
    ).fetchone()
    assert sums[0] > 20 and sums[1] > 0


def test_archived_merged_deleted_and_late_records(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    for name in ("deals", "stage_history", "associations"):
        sync(connection, source, name)
    ids = sorted(living(connection, "deals"))
    archived, winner, loser, removed, changed = ids[:5]
    later = NOW + timedelta(hours=2)
    at = (NOW + timedelta(hours=1)).isoformat()
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("hubspot", "archive", kind="deals", id=archived, at=at)
    own_world.mutate("hubspot", "merge", kind="deals", id=winner, loser=loser, at=at)
    own_world.mutate("hubspot", "delete", kind="deals", id=removed)
    own_world.mutate(
        "hubspot", "upsert", kind="deals", id=changed, at=at, properties={"dealstage": "closedlost", "amount": "1.25"}
    )
    result = sync(connection, source, "deals", now=later)
    assert (result.status, result.updated, result.deleted) == ("succeeded", 2, 2), result
    assert result.tie_out == "matched" or removed in living(connection, "deals")
    swept = sync(connection, source, "deals", now=later, sweep=True)
    assert swept.deleted == 1
    assert living(connection, "deals") == set(ids) - {archived, loser, removed}
    history = sync(connection, source, "stage_history", now=later)
    assert (history.inserted, history.deleted) == (1, 0)
    links = sync(connection, source, "associations", now=later)
    assert links.status == "succeeded" and links.deleted > 0
    froms = {each.split(">")[0] for each in living(connection, "associations")}
    assert not froms & {f"deals:{archived}", f"deals:{loser}"}
    # One that left without a trace is found by the sweep.
    assert sync(connection, source, "associations", now=later, sweep=True).status == "succeeded"
    assert not any(each.startswith(f"deals:{removed}>") for each in living(connection, "associations"))
    # A restored record comes back.
    own_world.mutate("hubspot", "restore", kind="deals", id=archived, at=later.isoformat())
    again = sync(connection, source, "deals", now=later + timedelta(minutes=5))
    assert archived in living(connection, "deals") and again.tie_out == "matched"


def test_a_change_the_index_learns_of_late_is_not_lost(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    sync(connection, source, "companies")
    first, second = sorted(living(connection, "companies"))[:2]
    at, later = NOW + timedelta(minutes=30), NOW + timedelta(minutes=31)
    own_world.mutate(
        "hubspot", "upsert", kind="companies", id=first, at=at.isoformat(), indexed=False, properties={"name": "Late"}
    )
    own_world.mutate(
        "hubspot", "upsert", kind="companies", id=second, at=later.isoformat(), properties={"name": "Early"}
    )
    assert sync(connection, source, "companies", now=later).updated == 1
    own_world.mutate("hubspot", "index", kind="companies", id=first)
    assert sync(connection, source, "companies", now=later + timedelta(minutes=5)).updated == 1


def test_a_lone_change_of_an_association_is_found(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    sync(connection, source, "associations")
    before = living(connection, "associations")
    pair = min(each for each in before if each.startswith("deals:") and ">companies:" in each)
    deal, company = (part.split(":")[1] for part in pair.split(">"))
    other = next(each for each in sorted(read(source, "companies").payloads) if each != company)
    own_world.mutate("hubspot", "dissociate", kind="deals", id=deal, to_kind="companies", to_id=company)
    own_world.mutate("hubspot", "associate", kind="deals", id=deal, to_kind="companies", to_id=other)
    result = sync(connection, source, "associations", now=NOW + timedelta(hours=1))
    assert (result.inserted, result.deleted) == (1, 1)
    assert living(connection, "associations") == (before - {pair}) | {f"deals:{deal}>companies:{other}"}


def test_past_stages_stay_when_the_vendor_forgets_them(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    sync(connection, source, "stage_history")
    deal = next(iter(read(source, "deals").payloads))
    before = {each for each in living(connection, "stage_history") if each.startswith(f"deals:{deal}:")}
    for number in range(25):
        at = (NOW + timedelta(minutes=number)).isoformat()
        stage = "contractsent" if number % 2 else "closedlost"
        own_world.mutate("hubspot", "upsert", kind="deals", id=deal, at=at, properties={"dealstage": stage})
        if number == 12:
            sync(connection, source, "stage_history", now=NOW + timedelta(minutes=13))
    result = sync(connection, source, "stage_history", now=NOW + timedelta(hours=1), sweep=True)
    after = {each for each in living(connection, "stage_history") if each.startswith(f"deals:{deal}:")}
    assert result.deleted == 0 and before < after and len(after) == len(before) + 25


def test_a_renamed_property_pauses_its_stream_alone(own_world: World, connection: Any) -> None:
    source = own_world.hubspot()
    sync(connection, source, "deals")
    own_world.mutate("hubspot", "rename_property", kind="deals", name="amount", to="amount_old")
    fresh = own_world.hubspot()
    failed = sync(connection, fresh, "deals")
    assert failed.status == "failed" and "amount" in str(failed.error)
    assert sync(connection, fresh, "companies").status == "succeeded"
