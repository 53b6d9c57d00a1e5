"""Airtable as a source: pages, iterators, pace, refusals, cells, and what airtable.yaml may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.settings import PROJECT_ROOT, Settings
from resources import airtable
from resources.airtable.cells import FormulaError, cell_value
from resources.airtable.client import AirtableClient, MonthlyLimitReached, Pacer, Refused
from resources.airtable.entities import ENTITIES
from resources.airtable.mapping import load_mapping
from resources.airtable.source import AirtableSource, read_cursor
from resources.record_checks import Flaw
from tests.connectors.conftest import NOW as SANDBOX_NOW
from tests.connectors.conftest import World, read
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

NOW = datetime(2026, 11, 20, 11, tzinfo=UTC)
BASE, TABLE = "appAAAAAAAAAAAAAA", "tblAAAAAAAAAAAAAA"
SPEND, DAY, CHANNEL = "fldSPENDSPENDSPEN", "fldDAYDAYDAYDAYDA", "fldCHANNELCHANNEL"
Json = dict[str, Any]

MAPPING: Json = {
    "entities": {
        "paid_media_spend": [
            {
                "bases": "Spend*",
                "table": "Days",
                "currency": "USD",
                "fields": {"channel": "Channel", "spent_on": "Day", "spend": "Spend"},
            }
        ]
    }
}


class Airtable:
    """One base with one table, paged three records at a time."""

    def __init__(self, count: int = 7) -> None:
        self.fields: list[Json] = [
            {"id": CHANNEL, "name": "Channel", "type": "singleSelect"},
            {"id": DAY, "name": "Day", "type": "date"},
            {"id": SPEND, "name": "Spend", "type": "currency", "options": {"precision": 2, "symbol": "$"}},
        ]
        self.bases: list[Json] = [{"id": BASE, "name": "Spend 2026", "permissionLevel": "read"}]
        self.rows: list[Json] = [
            {
                "id": f"rec{number:014d}",
                "createdTime": f"2026-11-{number + 1:02d}T10:00:00.000Z",
                "fields": {CHANNEL: "G", DAY: "2026-11-01", SPEND: number + 0.1},
            }
            for number in range(count)
        ]
        self.replies: list[tuple[str, Said]] = []
        self.whole_query: list[dict[str, list[str]]] = []

    def __call__(self, asked: Asked) -> Said:
        assert asked.method == "GET" and asked.headers["authorization"] == "Bearer patTOKEN.secret"
        for place, (part, reply) in enumerate(self.replies):
            if part in asked.path or part in "&".join(f"{k}={v}" for k, v in asked.query.items()):
                del self.replies[place]
                return reply
        if asked.path == "/v0/meta/whoami":
            return said({"id": "usr1"})
        if asked.path == "/v0/meta/bases":
            return said({"bases": self.bases})
        if asked.path.endswith("/tables"):
            primary = self.fields[0]["id"]
            return said({"tables": [{"id": TABLE, "name": "Days", "primaryFieldId": primary, "fields": self.fields}]})
        assert asked.path == f"/v0/{BASE}/{TABLE}" and asked.query["returnFieldsByFieldId"] == "true"
        start = int(asked.query.get("offset", "itr/0").partition("/")[2])
        answer: Json = {"records": self.rows[start : start + 3]}
        if start + 3 < len(self.rows):
            answer["offset"] = f"itr/{start + 3}"
        return said(answer)


@contextmanager
def source_for(
    script: Airtable, mapping: Json | None = None, clock: StillClock | None = None
) -> Iterator[tuple[AirtableSource, FakeVendor]]:
    from resources.airtable.mapping import TableMapping

    with fake_vendor(script) as vendor:
        http = client_of(vendor, clock or StillClock(), "airtable")
        yield AirtableSource(AirtableClient(http, SecretStr("patTOKEN.secret")), TableMapping.model_validate(
            MAPPING if mapping is None else mapping
        )), vendor  # fmt: skip


def spend(source: AirtableSource, cursor: str | None = None, now: datetime = NOW) -> Any:
    return read(source, "paid_media_spend", cursor, now)


# -- pages ------------------------------------------------------------------------------------------------


def test_pages_are_followed_to_the_end_and_money_is_exact() -> None:
    script = Airtable()
    script.rows[2]["fields"][SPEND] = 19365.19
    script.rows[3]["fields"] = {}
    with source_for(script) as (source, _):
        got = spend(source)
        totals = source.control_totals(source.streams["paid_media_spend"], None)
    assert len(got.payloads) == 7 and got.rejected == []
    assert got.payloads[f"{BASE}:rec00000000000001"]["spend"] == "1.1"
    assert got.payloads[f"{BASE}:rec00000000000002"]["spend"] == "19365.19"
    empty = got.payloads[f"{BASE}:rec00000000000003"]
    assert (empty["spend"], empty["channel"], empty["currency"]) == (None, None, "USD")
    assert sum(total.count for total in totals) == 7 and str(totals[0].amount) == "0.1"


@pytest.mark.parametrize("body", ['{"error": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}', '{"error": {"type": '
                         '"LIST_RECORDS_ITERATOR_NOT_AVAILABLE", "message": "…"}}', '{"error": {"type": '
                         '"INVALID_OFFSET_VALUE", "message": "The value of offset is invalid"}}'])  # fmt: skip
def test_an_expired_iterator_begins_again_without_doubles(body: str) -> None:
    script = Airtable()
    script.replies = [("offset=itr/6", Said(body.encode(), 422))]
    with source_for(script) as (source, _):
        got = spend(source)
    everything = [record.id for page in got.pages for record in page.records]
    assert len(everything) == len(set(everything)) == 7


def test_an_iterator_that_always_expires_fails_in_bounds() -> None:
    script = Airtable()
    expired = said({"error": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}, 422)
    script.replies = [("offset=itr/3", expired)] * 50
    with source_for(script) as (source, vendor), pytest.raises(TransientFailure, match="expired"):
        spend(source)
    assert len(vendor.asked) < 20


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": []},
        {"records": [{"id": "rec00000000000000", "createdTime": "2026-11-01T10:00:00.000Z", "fields": {}}]},
        {"records": [], "offset": "itr/3"},
    ],
    ids=["empty", "short", "the same offset"],
)
def test_a_wrong_page_never_passes_as_the_whole_table(wrong: Json) -> None:
    script = Airtable()
    # Once: read again. For ever: a failure, never a smaller table.
    script.replies = [("offset=itr/3", said(wrong))]
    with source_for(script) as (source, _):
        assert len(spend(source).payloads) == 7
    script.replies = [(f"fields[]={CHANNEL}", said(wrong))] * 60
    with source_for(script) as (source, _), pytest.raises(TransientFailure):
        spend(source)


def test_a_repeated_page_is_asked_again() -> None:
    script = Airtable()
    first = {"records": script.rows[:3], "offset": "itr/3x"}
    script.replies = [("offset=itr/3", said(first))]
    with source_for(script) as (source, _):
        assert len(spend(source).payloads) == 7


def test_a_cut_body_an_html_page_and_a_reset_are_tried_again() -> None:
    script = Airtable()
    script.replies = [
        ("offset=itr/3", Said(b'{"records": [], "x": 1}', cut=9)),
        ("offset=itr/3", Said(b"<html><title>502</title></html>", 502, {"Content-Type": "text/html"})),
        ("offset=itr/6", Said(reset=True)),
    ]
    with source_for(script) as (source, _):
        assert len(spend(source).payloads) == 7


# -- limits -------------------------------------------------------------------------------------------------


def test_429_means_half_a_minute_of_silence() -> None:
    clock, script = StillClock(), Airtable()
    refused = said({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded"}]}, 429)
    script.replies = [("/tables", refused)]
    with source_for(script, clock=clock) as (source, _):
        assert len(spend(source).payloads) == 7
    assert [wait for wait in clock.slept if wait > 2] == [31.0]


def test_the_monthly_cap_stops_at_once_and_says_so() -> None:
    script = Airtable()
    body = {"errors": [{"error": "PUBLIC_API_BILLING_LIMIT_EXCEEDED", "message": "API billing plan limit exceeded"}]}
    script.replies = [("/v0/meta/bases", said(body, 429))]
    with source_for(script) as (source, vendor), pytest.raises(MonthlyLimitReached, match="API calls of this month"):
        spend(source)
    assert len(vendor.asked) == 1


def test_the_pace_stays_below_both_limits() -> None:
    clock = StillClock()
    pacer = Pacer(clock, clock.sleep)
    sent: list[tuple[float, str]] = []
    for number in range(400):
        base = f"app{number % 30}" if number < 200 else "app1"
        pacer.wait(base)
        sent.append((clock.now, base))
    for at, base in sent:
        within = [each for each in sent if at <= each[0] < at + 1.0]
        assert len(within) <= 50 and sum(each[1] == base for each in within) <= 5


# -- refusals -----------------------------------------------------------------------------------------------


def test_a_bad_token_is_permanent_and_not_told_to_anybody() -> None:
    script = Airtable()
    body = {"error": {"type": "AUTHENTICATION_REQUIRED", "message": "patTOKEN.secret is invalid"}}
    script.replies = [("/v0/meta", said(body, 401))]
    with source_for(script) as (source, vendor):
        with pytest.raises(PermanentFailure, match="AIRTABLE_TOKEN"):
            spend(source)
        assert len(vendor.asked) == 1
        script.replies = [("/v0/meta", said(body, 401))]
        (only,) = source.probe()
    assert not only.ok and "AIRTABLE_TOKEN" in only.remedy and set(only.streams) == set(source.streams)


@pytest.mark.parametrize(
    "body", [{"error": "NOT_FOUND"}, {"error": {"type": "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", "message": "…"}}]
)
def test_both_shapes_of_an_error_are_read(body: Json) -> None:
    script = Airtable()
    script.replies = [("/tables", said(body, 403 if isinstance(body["error"], dict) else 404))]
    with source_for(script) as (source, _), pytest.raises(PermanentFailure, match=r"'Spend 2026' \(app.*ignore"):
        spend(source)


def test_records_that_may_not_be_read_name_the_scope_in_the_probe() -> None:
    script = Airtable()
    script.replies = [(f"/v0/{BASE}/{TABLE}", said({"error": {"type": "INVALID_PERMISSIONS"}}, 403))] * 9
    with source_for(script) as (source, _):
        found = {probe.endpoint: probe for probe in source.probe()}
    assert not found["paid_media_spend"].ok and "data.records:read" in found["paid_media_spend"].remedy
    assert not found["projects"].ok and "airtable.yaml" in found["projects"].remedy


def test_nothing_mapped_is_no_empty_table() -> None:
    with source_for(Airtable(), {}) as (source, _):
        with pytest.raises(ConfigurationError, match="no table feeds projects"):
            read(source, "projects", None, NOW)
        assert len(read(source, "fields", None, NOW).payloads) == 3
        (table,) = read(source, "tables", None, NOW).payloads.values()
        assert table["entities"] == []
        assert "Spend 2026 / Days" in list(source.probe())[-1].said


# -- changes ------------------------------------------------------------------------------------------------


def formula_of(vendor: FakeVendor) -> str:
    return next(
        (asked.query["filterByFormula"] for asked in reversed(vendor.asked) if "filterByFormula" in asked.query), ""
    )


def test_changes_are_asked_for_from_the_servers_own_time() -> None:
    script = Airtable()
    # Our clock is an hour ahead of Airtable's: nothing between the two may be missed.
    slow = (NOW - timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    original = script.__call__

    def with_date(asked: Asked) -> Said:
        reply = original(asked)
        return Said(reply.body, reply.status, {**reply.headers, "Date": slow})

    with fake_vendor(with_date) as vendor:
        from resources.airtable.mapping import TableMapping

        http = client_of(vendor, StillClock(), "airtable")
        source = AirtableSource(
            AirtableClient(http, SecretStr("patTOKEN.secret")), TableMapping.model_validate(MAPPING)
        )
        cursor = spend(source).cursor
        (mark,) = read_cursor(cursor).values()
        spend(source, cursor)
        formula = formula_of(vendor)
    # The scripted server's own Date comes first; it is later than `now`, or the slow one.
    assert mark.since is not None and mark.since <= "2026-11-20T11:00:00Z"
    began = datetime.fromisoformat(mark.since) - timedelta(minutes=10)
    assert f"IS_AFTER(LAST_MODIFIED_TIME(),'{began:%Y-%m-%dT%H:%M:%SZ}')" in formula


def test_a_server_that_refuses_the_formula_is_read_whole() -> None:
    script = Airtable()
    with source_for(script) as (source, vendor):
        cursor = spend(source).cursor
        script.replies = [
            ("filterByFormula", said({"error": {"type": "INVALID_FILTER_BY_FORMULA", "message": "x"}}, 422))
        ]
        got = spend(source, cursor, NOW + timedelta(hours=1))
        assert len(got.payloads) == 7
        assert "filterByFormula" not in parse_qs(vendor.asked[-1].path)


def test_every_table_is_read_whole_once_a_day_and_after_a_change_of_the_mapping() -> None:
    script = Airtable()
    with source_for(script) as (source, vendor):
        cursor = spend(source).cursor
        cursor = spend(source, cursor, NOW + timedelta(hours=3)).cursor
        assert "filterByFormula" in vendor.asked[-1].query
        cursor = spend(source, cursor, NOW + timedelta(hours=21)).cursor
        assert "filterByFormula" not in vendor.asked[-1].query
    script.fields.append({"id": "fldCLICKSCLICKSCL", "name": "Clicks", "type": "number"})
    wider = {**MAPPING["entities"]["paid_media_spend"][0]}
    wider["fields"] = {**wider["fields"], "clicks": "Clicks"}
    with source_for(script, {"entities": {"paid_media_spend": [wider]}}) as (source, vendor):
        spend(source, cursor, NOW + timedelta(hours=22))
        assert "filterByFormula" not in vendor.asked[-1].query


@pytest.mark.parametrize("shown", [0, 1])
def test_a_short_page_is_not_proved_whole_by_a_shorter_one(shown: int) -> None:
    script = Airtable(3)
    with source_for(script) as (source, _):
        short, empty = said({"records": script.rows[:2]}), said({"records": script.rows[:shown]})
        script.replies = [(f"/v0/{BASE}/{TABLE}", short), (f"/v0/{BASE}/{TABLE}", empty)]
        assert len(spend(source).payloads) == 3 and not script.replies


def test_what_changed_is_asked_for_by_two_reads() -> None:
    """Airtable counts nothing: an empty page in the place of changes looks like none."""
    script = Airtable()
    with source_for(script) as (source, vendor):
        cursor = spend(source).cursor
        (first,) = read_cursor(cursor).values()
        for hours in (1, 2):
            cursor = spend(source, cursor, NOW + timedelta(hours=hours)).cursor
            began = datetime.fromisoformat(str(first.since)) - timedelta(minutes=10)
            assert f"'{began:%Y-%m-%dT%H:%M:%SZ}'" in formula_of(vendor), hours
        (mark,) = read_cursor(cursor).values()
        assert first.since and mark.before and mark.since and first.since <= mark.before <= mark.since


def test_two_listings_that_differ_delete_nothing() -> None:
    script = Airtable(3)
    short = said({"records": script.rows[:1]})
    with source_for(script) as (source, _):
        spend(source)
        script.replies = [(f"/v0/{BASE}/{TABLE}", short)]
        assert len(list(source.living_ids(source.streams["paid_media_spend"]))) == 3
        script.replies = [
            (f"/v0/{BASE}/{TABLE}", short if n % 2 else said({"records": script.rows})) for n in range(20)
        ]
        with pytest.raises(TransientFailure, match="two listings"):
            list(source.living_ids(source.streams["paid_media_spend"]))


def test_a_reference_that_no_table_has_is_a_slip_and_is_told() -> None:
    mapping = {"entities": {"paid_media_spend": [dict(MAPPING["entities"]["paid_media_spend"][0])]}}
    entry = mapping["entities"]["paid_media_spend"][0]
    entry["fields"] = {**entry["fields"], "clicks": "Clikcs"}
    with source_for(Airtable(), mapping) as (source, _), pytest.raises(PermanentFailure, match="Clikcs"):
        spend(source)


# -- cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "family", "cell", "value"),
    [
        ("percent", "percent", 0.5, "0.5"),
        ("money", "number", 1e-7, "0.0000001"),
        ("number", "number", 0, "0"),
        ("number", "list of number", [3], "3"),
        ("number", "list of number", [], None),
        ("checkbox", "checkbox", None, False),
        ("checkbox", "checkbox", True, True),
        ("text", "text", None, None),
        ("text", "text", {"text": "12345", "type": "ean"}, "12345"),
        ("text", "text", {"state": "empty", "value": None, "isStale": True}, None),
        ("text", "list of text", ["A", "B"], "A, B"),
        ("text", "number", 7, "7"),
        ("person", "person", {"id": "usr", "email": "a@b.c", "name": "Ann"}, [{"email": "a@b.c", "name": "Ann"}]),
        ("person", "text", " Bo ", [{"email": None, "name": "Bo"}]),
        ("date", "date", "2026-02-28", "2026-02-28"),
        ("moment", "moment", "2026-02-28T23:59:59.000Z", "2026-02-28T23:59:59.000Z"),
        ("list", "choices", ["x", "y"], ["x", "y"]),
    ],
)
def test_cells(kind: str, family: str, cell: Any, value: Any) -> None:
    assert cell_value(kind, family, cell, "x") == value


@pytest.mark.parametrize("cell", [{"error": "#ERROR!"}, {"specialValue": "NaN"}, {"specialValue": "Infinity"}])
def test_a_failed_formula_is_no_value(cell: Json) -> None:
    with pytest.raises(FormulaError):
        cell_value("number", "number", cell, "x")
    with pytest.raises(FormulaError):
        cell_value("number", "list of number", [cell], "x")


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("number", "1x"), ("number", True), ("date", "2026-02-30"), ("moment", "now"), ("checkbox", 1)],
)
def test_a_cell_that_is_not_what_its_type_promises_is_a_flaw(kind: str, cell: Any) -> None:
    with pytest.raises(Flaw):
        cell_value(kind, "number", cell, "x")


# -- the file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ignored: []\n", r"line 1, ignored: there is no such key"),
        ("entities:\n  project: []\n", r"line 2, entities.project: there is no such entity: choose among projects"),
        ("entities:\n  search_rankings:\n    - bases: B\n      table: T\n      colour: red\n      fields: {}\n",
         r"line 5, entities.search_rankings\[1\].colour: there is no such key"),
        ("entities:\n  search_rankings:\n    - bases: B\n      table: T\n      fields:\n        keyword: K\n"
         "        rank: R\n", r"line 7, .*fields.rank: search_rankings has no such field: choose among keyword"),
        ("entities:\n  search_rankings:\n    - bases: B\n      table: T\n      fields:\n        keyword: K\n",
         r"line 5, .*needs position, checked_on"),
        ("entities:\n  paid_media_spend:\n    - bases: B\n      table: T\n      fields: {channel: C, spent_on: D, "
         "spend: S}\n", r"line 3, .*says no currency"),
        ("entities:\n  paid_media_spend:\n    - bases: B\n      table: T\n      currency: EURO\n      fields: "
         "{channel: C, spent_on: D, spend: S}\n", r"line 5, .*'EURO' is not an ISO 4217"),
        ("ignore: []\nignore: [x]\n", r"line 2: ignore is there twice"),
        ("entities: [", "is not YAML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, change: str, says: str) -> None:
    path = tmp_path / "airtable.yaml"
    path.write_text(change, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_mapping(path)
    assert re.search(says, str(caught.value)), str(caught.value)


def test_the_shipped_file_maps_every_entity() -> None:
    mapping = load_mapping(PROJECT_ROOT / "airtable.yaml")
    assert set(mapping.entities) == set(ENTITIES)


def test_connecting(tmp_path: Path) -> None:
    assert airtable.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="personal access token"):
        airtable.connect(Settings(airtable_token="keyOLD"))
    with pytest.raises(ConfigurationError, match="OPS_AIRTABLE_FILE"):
        airtable.connect(Settings(airtable_token="pat.x", ops_airtable_file=str(tmp_path / "none.yaml")))
    path = tmp_path / "airtable.yaml"
    path.write_text(yaml.safe_dump(MAPPING), encoding="utf-8")
    source = airtable.connect(Settings(airtable_token="pat.x", ops_airtable_file=str(path)))
    assert source is not None and source.client.http.base_url == "https://api.airtable.com"


# -- against the sandbox ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["repeat_page", "empty_page", "short_page", "duplicate_rows", "iterator_expired"])
def test_faults_of_a_listing_end_in_the_whole_table(world: World, fault: str) -> None:
    world.fault("airtable", fault, times=1, after=1, match={"path_contains": "/app"})
    got = read(world.airtable(), "paid_media_spend")
    assert len(got.payloads) == 132 and got.rejected == []


def test_a_storm_ends_in_the_whole_table(world: World) -> None:
    storm = ("http_429", "http_500", "reset", "truncate", "http_502_html", "rate_limit", "html_200", "truncate_short")
    for place, name in enumerate(storm):
        world.fault("airtable", name, times=1, after=place % 3)
    assert len(read(world.airtable(), "paid_media_spend").payloads) == 132


def test_forty_two_bases_are_found_and_the_unmapped_tables_named(world: World) -> None:
    source = world.airtable()
    assert len(read(source, "bases").payloads) == 42
    probes = {probe.endpoint: probe for probe in source.probe()}
    assert all(probe.ok for probe in probes.values()), probes
    assert "Meeting notes" in probes["unmapped tables"].said


def test_what_was_refused_can_be_checked_again_without_asking(world: World) -> None:
    source = world.airtable()
    stream = source.streams["paid_media_spend"]
    wrapped = {
        "entity": "paid_media_spend", "base_id": BASE, "table_id": TABLE, "currency": "USD",
        "fields": {"spent_on": [DAY, "date"], "spend": [SPEND, "number"]},
        "record": {"id": "rec1", "createdTime": "2026-11-01T00:00:00Z", "fields": {DAY: "x", SPEND: "2.5"}},
    }  # fmt: skip
    page = source.recheck(stream, [wrapped], now=SANDBOX_NOW)
    assert [item.reason for item in page.rejected] == ["invalid_timestamp"]
    wrapped["record"]["fields"][DAY] = "2026-11-01"  # type: ignore[index]
    (record,) = source.recheck(stream, [wrapped], now=SANDBOX_NOW).records
    assert (record.id, record.payload["spend"]) == (f"{BASE}:rec1", "2.5")


def test_scopes_that_are_missing_are_refused_as_airtable_does(world: World) -> None:
    source = world.airtable()
    source.client._token = SecretStr("patSandboxSchema0.0123456789abcdef")
    with pytest.raises(PermanentFailure, match="could not be read"):
        read(source, "paid_media_spend")
    with pytest.raises(Refused):
        list(source.client.records("appNOTHINGNOTHING", "tbl", ()))
