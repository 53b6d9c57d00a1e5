"""Klaviyo as a source: what is asked, what is kept, what is refused, and what no answer may pass for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.settings import Settings
from resources import klaviyo
from resources.klaviyo import KlaviyoSource
from resources.klaviyo.client import KlaviyoClient
from resources.klaviyo.endpoints import ACCOUNTS, CAMPAIGN_VALUES, FLOWS, Pace, QuotaSpent
from sandbox.klaviyo.account import metric_id
from sandbox.klaviyo.limits import LIMITS
from tests.connectors.conftest import NOW, World, read
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

# -- against the sandbox ------------------------------------------------------------------------------------


def test_campaigns_of_every_channel_with_their_messages(world: World) -> None:
    source = world.klaviyo()
    found = read(source, "campaigns")
    channels = {row["channel"] for row in found.payloads.values()}
    assert channels == {"email", "sms"} and not found.rejected and source.skipped == {}
    assert all(row["messages"][0]["channel"] == row["channel"] for row in found.payloads.values())
    email = next(row for row in found.payloads.values() if row["channel"] == "email")
    assert email["messages"][0]["subject"] and "from_email" not in email["messages"][0]
    text = next(row for row in found.payloads.values() if row["channel"] == "sms")
    assert "STOP" in text["messages"][0]["body"]


def test_events_keep_no_person_and_every_cent(world: World) -> None:
    found = read(world.klaviyo(), "events")
    text = json.dumps(list(found.payloads.values()))
    for word in ("@mail.example", "billing_address", "profile", "Ignore all previous", "postcode", "zip"):
        assert word not in text, word
    placed = [row for row in found.payloads.values() if row["metric_name"] == "Placed Order"]
    assert {row["metric_id"] for row in placed} == {metric_id("Placed Order")}
    assert all(isinstance(row["properties"]["$value"], str) for row in placed)
    assert sum(bool(row["attributions"]) for row in placed) > 100
    assert all(row["properties"]["order"]["name"].startswith("#") for row in placed)


@pytest.mark.parametrize("name", ["lists", "segments", "flows", "campaigns", "events"])
def test_the_next_reading_asks_for_what_is_new_and_a_little_before(world: World, name: str) -> None:
    source = world.klaviyo()
    whole = read(source, name)
    assert whole.cursor is not None and whole.cursor <= NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    later = read(source, name, whole.cursor)
    assert 0 < len(later.payloads) < len(whole.payloads)
    assert later.payloads.items() <= whole.payloads.items() and later.cursor == whole.cursor
    # A cursor from a clock that was ahead is not trusted beyond the present.
    assert read(source, name, "2030-01-01T00:00:00Z").payloads.items() <= whole.payloads.items()


def test_the_last_event_may_lie_ahead_without_moving_the_cursor_there(own_world: World) -> None:
    source = own_world.klaviyo()
    ahead = NOW + timedelta(days=90)
    made = own_world.mutate("klaviyo", "late_event", at=ahead.isoformat(), value="5.00", heard=NOW.isoformat())
    found = read(source, "events")
    assert made["id"] in found.payloads and found.cursor == "2024-12-05T11:00:00Z"


FAULTS = ["http_429", "http_500", "http_502_html", "html_200", "truncate", "truncate_short", "reset",
          "accept_then_drop", "repeat_page", "empty_page", "short_page", "duplicate_rows"]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_costs_nothing_but_time(world: World, fault: str) -> None:
    for name in ("lists", "campaigns", "metric_aggregates"):
        if name == "metric_aggregates" and fault.endswith(("_page", "_rows")):
            continue
        wanted = read(world.klaviyo(), name).payloads
        world.fault("klaviyo", fault, after=1)
        assert read(world.klaviyo(), name).payloads == wanted, name
        world.control("/faults", method="DELETE")


def test_a_page_on_another_host_is_not_followed(world: World) -> None:
    world.fault("klaviyo", "foreign_next")
    with pytest.raises(PermanentFailure, match=r"elsewhere\.example"):
        read(world.klaviyo(), "lists")


def test_bad_records_are_set_aside_with_a_reason(world: World) -> None:
    wanted = read(world.klaviyo(), "segments")
    world.fault("klaviyo", "null_id", match={"path_contains": "/api/segments"})
    found = read(world.klaviyo(), "segments")
    assert [each.reason for each in found.rejected] == ["missing_id"]
    assert found.payloads.items() <= wanted.payloads.items()
    world.fault("klaviyo", "null_value", match={"path_contains": "/api/events"})
    events = read(world.klaviyo(), "events")
    assert [each.reason for each in events.rejected] == ["invalid_money"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"klaviyo_api_key": SecretStr("pk_wrong")}, "KLAVIYO_API_KEY"),
        ({"klaviyo_api_key": SecretStr("pk_sandbox_campaigns")}, "lists:read"),
        ({"klaviyo_revision": "2023-02-22"}, "KLAVIYO_REVISION"),
    ],
)
def test_refusals_say_what_to_do(world: World, change: dict[str, Any], told: str) -> None:
    source = World(world.url, world.settings.model_copy(update=change), world.control_client).klaviyo()
    with pytest.raises(PermanentFailure, match=told) as raised:
        read(source, "lists")
    assert "pk_" not in str(raised.value) and source.client.requests == 1


def test_the_probe_names_the_missing_scope(world: World) -> None:
    assert all(probe.ok for probe in world.klaviyo().probe())
    few = world.settings.model_copy(update={"klaviyo_api_key": SecretStr("pk_sandbox_campaigns")})
    probes = {each.endpoint: each for each in World(world.url, few, world.control_client).klaviyo().probe()}
    assert probes["credentials"].ok and probes["campaigns"].ok and probes["campaign-values-reports"].ok
    for name, scope in (("events", "events:read"), ("lists", "lists:read"), ("flows", "flows:read")):
        assert not probes[name].ok and scope in probes[name].remedy and name in probes[name].streams
    blind = world.settings.model_copy(update={"klaviyo_api_key": SecretStr("pk_sandbox_no_account")})
    told = list(World(world.url, blind, world.control_client).klaviyo().probe())
    assert told[0].ok and "accounts:read" in told[1].remedy and "events" in told[1].streams
    wrong = world.settings.model_copy(update={"klaviyo_api_key": SecretStr("pk_wrong")})
    (only,) = World(world.url, wrong, world.control_client).klaviyo().probe()
    assert not only.ok and "KLAVIYO_API_KEY" in only.remedy and len(only.streams) == 10


def test_an_account_of_another_zone_has_other_days(own_world: World) -> None:
    own_world.mutate("klaviyo", "set_timezone", timezone="Asia/Tokyo")
    source = own_world.klaviyo()
    events = read(source, "events").payloads
    tokyo = [row for row in read(source, "metric_aggregates").payloads.values() if row["metric_name"] == "Placed Order"]
    assert sum(row["count"] for row in tokyo) == sum(row["metric_name"] == "Placed Order" for row in events.values())
    query = source.landed_query(source.streams["events"])
    assert query is not None and query.zone == "Asia/Tokyo" and "Asia/Tokyo" in (query.day_expression or "")
    assert {row["timezone"] for row in tokyo} == {"Asia/Tokyo"}


def test_standard_limits_are_kept(own_world: World) -> None:
    own_world.control("/profile", {"profile": "restricted"})
    source = own_world.klaviyo()
    assert len(read(source, "lists").payloads) == 13
    for name, limits in LIMITS.items():
        endpoint = next(each for each in vars(klaviyo.source.at).values() if getattr(each, "name", None) == name)
        assert (endpoint.burst, endpoint.steady, endpoint.daily) == limits


def test_reports_agree_with_the_events_they_count(world: World) -> None:
    source = world.klaviyo()
    events = read(source, "events").payloads.values()
    values = read(source, "campaign_values").payloads.values()
    assert len(values) == 12
    for row in values:
        mine = [
            event for event in events
            if event["metric_name"] == "Placed Order"
            and any(each["campaign_message_id"] == row["campaign_message_id"] for each in event["attributions"])
        ]  # fmt: skip
        assert Decimal(row["statistics"]["conversions"]) == len(mine)
        total = sum(Decimal(event["properties"]["$value"]) for event in mine)
        assert Decimal(row["statistics"]["conversion_value"]) == total
    assert sum(Decimal(row["statistics"]["conversion_value"]) for row in values) > 10_000


# -- what a well-behaved sandbox does not do ----------------------------------------------------------------


class Account:
    """A small account by hand: two of each, paged one at a time."""

    def __init__(self) -> None:
        self.override: Callable[[Asked], Said | None] = lambda _: None
        self.metrics = [
            ("M1", "Placed Order", "Shopify"),
            ("M2", "Placed Order", "API"),
            ("M3", "Received Email", "Klaviyo"),
        ]
        self.host = "https://a.klaviyo.com"
        self.events = [self.event("E1", "2024-12-01T04:59:59+00:00", 10), self.event("E2", "2024-12-02T12:00:00Z", 5.5)]
        self.daily = {"2024-11-30": (1, 10), "2024-12-02": (1, 5.5)}

    def event(self, identity: str, at: str | None, value: Any, **properties: Any) -> dict[str, Any]:
        return {
            "type": "event",
            "id": identity,
            "attributes": {"datetime": at, "event_properties": {"$value": value, **properties}},
            "relationships": {"metric": {"data": {"type": "metric", "id": "M1"}}},
        }

    def __call__(self, asked: Asked) -> Said:
        special = self.override(asked)
        if special is not None:
            return special
        assert asked.headers["revision"] == "2026-07-15"
        assert asked.headers["authorization"] == "Klaviyo-API-Key pk_test"
        assert asked.headers["accept"] == "application/vnd.api+json"
        name = asked.path.removeprefix("/api/")
        if name == "accounts":
            account = {"timezone": "America/New_York", "preferred_currency": "USD"}
            return said({"data": [{"type": "account", "id": "A", "attributes": account}]})
        if name == "metrics":
            assert "page[size]" not in asked.query
            data = [
                {"type": "metric", "id": i, "attributes": {"name": n, "integration": {"name": of}}}
                for i, n, of in self.metrics
            ]
            return said({"data": data, "links": {}})
        if name == "events":
            assert int(asked.query["page[size]"]) <= 1000 and "profile" not in asked.query["include"]
            return self.page(asked, self.events)
        if name == "metric-aggregates":
            assert asked.headers["content-type"] == "application/vnd.api+json"
            return self.aggregate(asked.json["data"]["attributes"])
        if name in ("lists", "segments"):
            assert asked.query["page[size]"] == "10"
            items = [{"type": name[:-1], "id": each, "attributes": {"updated": "2024-12-01T00:00:00"}} for each in "ab"]
            return self.page(asked, items)
        raise AssertionError(name)

    def page(self, asked: Asked, items: list[Any]) -> Said:
        start = int(asked.query.get("page[cursor]", "0"))
        ordered = list(reversed(items)) if asked.query.get("sort", "").startswith("-") else items
        links = {"self": "x", "next": None}
        if start + 1 < len(items):
            kept = "&".join(f"{key}={value}" for key, value in asked.query.items() if key != "page[cursor]")
            links["next"] = f"{self.host}{asked.path}?{kept}&page%5Bcursor%5D={start + 1}"
        return said({"data": ordered[start : start + 1], "links": links})

    def aggregate(self, attributes: dict[str, Any]) -> Said:
        start, end = (each.partition(",")[2].rstrip(")") for each in attributes["filter"])
        assert attributes["timezone"] == "America/New_York" and start.endswith("T00:00:00") and "+" not in end
        first, last = datetime.fromisoformat(start).date(), datetime.fromisoformat(end).date()
        assert (last - first).days <= 366
        days = [first + timedelta(days=place) for place in range((last - first).days)]
        from zoneinfo import ZoneInfo

        zone = ZoneInfo("America/New_York")
        dates = [datetime(d.year, d.month, d.day, tzinfo=zone).astimezone(UTC).isoformat() for d in days]
        known = self.daily if attributes["metric_id"] == "M1" else {}
        values = [known.get(str(day), (0, 0)) for day in days]
        series = {
            "count": [float(v[0]) for v in values],
            "unique": [0.0] * len(days),
            "sum_value": [v[1] for v in values],
        }
        rows = [{"dimensions": [], "measurements": {name: series[name] for name in attributes["measurements"]}}]
        return said({"data": {"type": "metric-aggregate", "id": "x", "attributes": {"dates": dates, "data": rows}}})


@contextmanager
def source_for(
    account: Account, clock: StillClock | None = None, *, paced: bool = False
) -> Iterator[tuple[KlaviyoSource, FakeVendor]]:
    with fake_vendor(account) as vendor:
        client = KlaviyoClient(client_of(vendor, clock or StillClock(), "klaviyo"), SecretStr("pk_test"), "2026-07-15")
        client.pace.enabled = paced
        yield KlaviyoSource(client), vendor


def test_next_is_followed_as_written_on_the_configured_host() -> None:
    with source_for(Account()) as (source, vendor):
        found = read(source, "events")
        asked = [each.query for each in vendor.asked if each.path == "/api/events"]
    assert list(found.payloads) == ["E1", "E2"]
    assert [query.get("page[cursor]") for query in asked] == [None, "1"]
    assert asked[0]["filter"] == asked[1]["filter"] == "equals(metric_id,'M1')"
    # The amount is kept as it was written, and the day is the account's.
    assert [row["properties"]["$value"] for row in found.payloads.values()] == ["10", "5.5"]
    assert found.cursor == "2024-12-02T12:00:00Z"


def test_times_without_a_zone_are_utc() -> None:
    with source_for(Account()) as (source, _):
        found = read(source, "lists")
    assert found.cursor == "2024-12-01T00:00:00Z"
    assert found.payloads["a"]["updated"] == "2024-12-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("reply", "failure", "told"),
    [
        ({"links": {}}, TransientFailure, "without data"),
        ([], TransientFailure, "other than a document"),
        ({"data": [{"id": "a"}], "links": {"next": "https://evil.example/api/lists?x=1"}}, PermanentFailure, "evil"),
        ({"data": [{"id": "a"}], "links": {"next": "/api/profiles?x=1"}}, PermanentFailure, "not followed"),
        ({"data": [{"id": "a"}], "links": {"next": 7}}, TransientFailure, "other than text"),
        (
            {"data": [{"id": "a"}], "links": {"next": "/api/lists?page%5Bcursor%5D=same"}},
            TransientFailure,
            "again|back",
        ),
    ],
)
def test_answers_that_are_no_page(reply: Any, failure: type[Exception], told: str) -> None:
    account = Account()
    account.override = lambda asked: said(reply) if asked.path.endswith("lists") else None
    with source_for(account) as (source, _), pytest.raises(failure, match=told):
        read(source, "lists")


def test_an_announced_page_that_stays_empty_is_the_end() -> None:
    account = Account()

    def empty(asked: Asked) -> Said | None:
        if asked.path.endswith("lists") and asked.query.get("page[cursor]") == "1":
            return said({"data": [], "links": {}})
        return None

    account.override = empty
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="came short twice"):
        # Here the listing in the other order shows what the empty page kept back.
        read(source, "lists")


def test_events_that_come_short_of_the_count_are_no_success() -> None:
    account = Account()
    account.daily["2024-12-02"] = (2, 11)
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="2024-12-02 has 2, 1 came"):
        read(source, "events")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, {"errors": [{"code": "not_authenticated", "detail": "Missing private key"}]}, "KLAVIYO_API_KEY"),
        (403, {"errors": [{"code": "permission_denied", "detail": "scopes"}]}, "lists:read"),
        (410, {"errors": [{"detail": "gone"}]}, "KLAVIYO_REVISION"),
        (400, {"errors": [{"detail": "bad", "source": {"parameter": "filter"}}]}, r"bad \[filter\]"),
        (404, {}, "404"),
    ],
)
def test_a_refusal_is_final(status: int, body: Any, told: str) -> None:
    account = Account()
    account.override = lambda asked: said(body, status) if asked.path.endswith("lists") else None
    with source_for(account) as (source, vendor), pytest.raises(PermanentFailure, match=told):
        read(source, "lists")
    assert sum(each.path.endswith("lists") for each in vendor.asked) == 1


def test_retry_after_is_obeyed_and_a_days_quota_is_not_waited_for() -> None:
    account, clock = Account(), StillClock()
    throttled = [said({"errors": [{"code": "throttled"}]}, 429, Retry_After="20")]
    account.override = lambda asked: throttled.pop() if throttled and asked.path.endswith("lists") else None
    with source_for(account, clock) as (source, _):
        assert len(read(source, "lists").payloads) == 2
    assert len(clock.slept) == 1 and 20 <= clock.slept[0] <= 22
    clock.slept.clear()
    account.override = lambda asked: said({}, 429, Retry_After="40000") if "reports" in asked.path else None
    with source_for(account, clock) as (source, vendor), pytest.raises(QuotaSpent, match=r"11\.1 h"):
        read(source, "campaign_values")
    assert clock.slept == [] and sum("reports" in each.path for each in vendor.asked) == 1


def test_the_pace_of_the_table() -> None:
    clock = StillClock()
    pace = Pace(clock, clock.sleep)
    begun = clock.now
    for _ in range(16):
        pace.wait(ACCOUNTS)
    # Fifteen in the first minute, one a second, and the next when that minute is over.
    assert clock.now - begun == pytest.approx(60)
    begun = clock.now
    for _ in range(7):
        pace.wait(FLOWS)
    assert clock.now - begun == pytest.approx(2)
    pace.heed(FLOWS, {"ratelimit-remaining": "0", "ratelimit-reset": "31"})
    begun = clock.now
    pace.wait(FLOWS)
    assert clock.now - begun == pytest.approx(31)
    pace.enabled = False
    for _ in range(90):
        pace.wait(CAMPAIGN_VALUES)
    with pytest.raises(QuotaSpent, match="90 of the 225"):
        pace.wait(CAMPAIGN_VALUES)
    clock.now += 86_401
    pace.wait(CAMPAIGN_VALUES)


def test_which_placed_order_counts() -> None:
    account = Account()
    account.metrics = [("M1", "Placed Order", "Woo"), ("M2", "Placed Order", "API")]
    with source_for(account) as (source, _), pytest.raises(ConfigurationError, match="KLAVIYO_ORDER_INTEGRATION"):
        read(source, "events")
    with source_for(account) as (source, _):
        source.order_integration = "woo"
        assert len(read(source, "events").payloads) == 2
    account.metrics = account.metrics[:1]
    with source_for(account) as (source, _):
        # The only one there is, whoever made it.
        assert len(read(source, "events").payloads) == 2
    account.metrics = []
    with source_for(account) as (source, _), pytest.raises(ConfigurationError, match="connect the shop"):
        read(source, "campaign_values")


def test_push_campaigns_may_be_unknown_to_the_account() -> None:
    account = Account()

    def campaigns(asked: Asked) -> Said | None:
        if not asked.path.endswith("campaigns"):
            return None
        if "mobile_push" in asked.query["filter"]:
            return said({"errors": [{"detail": "unknown channel"}]}, 400)
        assert asked.query["filter"].startswith("and(equals(messages.channel,'")
        return said({"data": [], "links": {}})

    account.override = campaigns
    with source_for(account) as (source, _):
        assert read(source, "campaigns").payloads == {}
        assert "unknown channel" in source.skipped["mobile_push"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"id": "E", "attributes": {"datetime": "yesterday", "event_properties": {}}}, "invalid_timestamp"),
        ({"id": "E", "attributes": {"datetime": "2024-12-02T12:00:00", "event_properties": {}}}, "invalid_timestamp"),
        ({"id": "", "attributes": {}}, "missing_id"),
        ({"id": "E"}, "invalid_shape"),
        ("text", "invalid_shape"),
        ({"id": "E", "attributes": {"datetime": "2024-12-02T12:00:00Z", "event_properties": []}}, "invalid_shape"),
        (
            {"id": "E", "attributes": {"datetime": "2024-12-02T12:00:00Z", "event_properties": {"$value": True}}},
            "invalid_money",
        ),
        (
            {
                "id": "E",
                "attributes": {"datetime": "2024-12-02T12:00:00Z", "event_properties": {"$value_currency": "???"}},
            },
            "unknown_currency",
        ),
    ],
)
def test_events_that_cannot_land(event: Any, reason: str) -> None:
    account = Account()
    account.events[1] = event
    with source_for(account) as (source, _):
        found = read(source, "events")
    assert list(found.payloads) == ["E1"] and [each.reason for each in found.rejected] == [reason]


def test_what_was_set_aside_is_checked_again_without_asking_and_without_the_person() -> None:
    account = Account()
    private = {"$email": "a@b.example", "$extra": {"name": "#1", "billing_address": {"zip": "10001"}}}
    account.events[1] = account.event("E2", "2024-12-02T12:00:00Z", True, **private)
    with source_for(account) as (source, vendor):
        (kept,) = read(source, "events").rejected
        assert "example" not in kept.raw and "10001" not in kept.raw and "#1" in kept.raw
        asked = len(vendor.asked)
        raw = json.loads(kept.raw)
        (still,) = source.recheck(source.streams["events"], [raw], now=NOW).rejected
        assert (still.reason, still.id) == ("invalid_money", "E2")
        raw["attributes"]["event_properties"]["$value"] = "7.25"
        (record,) = source.recheck(source.streams["events"], [raw], now=NOW).records
        assert (record.payload["metric_id"], record.payload["properties"]["$value"]) == ("M1", "7.25")
        # Kept before the metric was put beside it: only Klaviyo knows it.
        bare = {key: value for key, value in raw.items() if key != "metric"}
        assert source.recheck(source.streams["events"], [bare], now=NOW).rejected[0].reason == "missing_field"
        lists = [{"id": "L", "attributes": {"updated": "2024-12-01T00:00:00"}}, {"id": "", "attributes": {}}, "text"]
        page = source.recheck(source.streams["lists"], lists, now=NOW)
        assert (len(page.records), len(page.rejected)) == (1, 2)
        row = {
            "groupings": {"campaign_id": "C", "campaign_message_id": "M", "send_channel": "email"},
            "names": ["campaign_id", "campaign_message_id", "send_channel"], "more": {}, "statistics": {"opens": 3},
        }  # fmt: skip
        (values,) = source.recheck(source.streams["campaign_values"], [row], now=NOW).records
        assert (values.id, values.payload["statistics"]["opens"]) == ("C:M:email", "3")
        campaign = {
            "id": "C", "attributes": {"updated_at": "2024-12-01T00:00:00Z", "status": "Sent"}, "channel": "email",
            "messages": [{"id": "M", "channel": "email", "label": None}],
        }  # fmt: skip
        (landed,) = source.recheck(source.streams["campaigns"], [campaign], now=NOW).records
        assert landed.payload["messages"] == campaign["messages"]
        with pytest.raises(PermanentFailure, match="never set aside"):
            source.recheck(source.streams["metric_aggregates"], [{}], now=NOW)
        assert len(vendor.asked) == asked


@pytest.mark.parametrize(
    ("stream", "change", "reason"),
    [
        ("campaign_values", {"opens": 1.5}, "invalid_number"),
        ("campaign_values", {"opens": 2**63}, "invalid_number"),
        ("campaign_values", {"opens": "1E+30"}, "invalid_number"),
        ("flow_values", {"recipients": -(2**64)}, "invalid_number"),
        ("campaign_values", {"opens": 3.0, "conversion_value": 10.255}, None),
        ("accounts", {"timezone": "Mars/Olympus_Mons"}, "invalid_shape"),
        ("accounts", {"timezone": "America"}, "invalid_shape"),
        ("accounts", {"timezone": "America/New_York"}, None),
    ],
)
def test_what_a_table_cannot_hold_is_set_aside(stream: str, change: dict[str, Any], reason: str | None) -> None:
    """A count too large would stop every build, one with a fraction be rounded, a zone nobody knows end the sync."""
    account: dict[str, Any] = {
        "timezone": "UTC", "preferred_currency": "USD", "contact_information": {"organization_name": "N"},
        "locale": "en-US", "industry": "x", "test_account": False,
    }  # fmt: skip
    items: dict[str, Any] = {
        "accounts": {"id": "A", "attributes": account | change},
        "campaign_values": {
            "groupings": {"campaign_id": "C", "campaign_message_id": "M", "send_channel": "email"},
            "names": ["campaign_id", "campaign_message_id", "send_channel"], "more": {}, "statistics": change,
        },
    }  # fmt: skip
    items["flow_values"] = items["campaign_values"]
    with source_for(Account()) as (source, _):
        page = source.recheck(source.streams[stream], [items[stream]], now=NOW)
    assert [each.reason for each in page.rejected] == ([] if reason is None else [reason])
    assert len(page.records) == (reason is None)
    for record in page.records if stream.endswith("values") else ():
        assert {name: record.payload["statistics"][name] for name in change} == {
            "opens": "3", "conversion_value": "10.255",
        }  # fmt: skip


def test_an_event_without_a_value_lands_unknown() -> None:
    account = Account()
    account.events[1] = account.event("E2", "2024-12-02T12:00:00Z", None)
    with source_for(account) as (source, _):
        assert read(source, "events").payloads["E2"]["properties"]["$value"] is None


@pytest.mark.parametrize("spoil", ["short", "twice", "text", "none"])
def test_aggregates_that_make_no_sense(spoil: str) -> None:
    account = Account()

    def spoiled(asked: Asked) -> Said | None:
        if not asked.path.endswith("metric-aggregates"):
            return None
        document = json.loads(account.aggregate(asked.json["data"]["attributes"]).body)
        attributes = document["data"]["attributes"]
        if spoil == "short":
            attributes["data"][0]["measurements"]["count"].pop()
        elif spoil == "twice":
            attributes["dates"][1] = attributes["dates"][0]
        elif spoil == "text":
            attributes["data"][0]["measurements"]["count"][0] = "1"
        else:
            del attributes["dates"]
        return said(document)

    account.override = spoiled
    with source_for(account) as (source, _), pytest.raises(TransientFailure, match="metric-aggregates"):
        read(source, "metric_aggregates")


def test_connecting() -> None:
    assert klaviyo.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="private key"):
        klaviyo.connect(Settings(klaviyo_api_key="abc"))
    with pytest.raises(ConfigurationError, match="KLAVIYO_REVISION"):
        klaviyo.connect(Settings(klaviyo_api_key="pk_1", klaviyo_revision="newest"))
    source = klaviyo.connect(Settings(klaviyo_api_key=" pk_1\n", klaviyo_order_integration="WooCommerce"))
    assert source is not None and source.order_integration == "WooCommerce"
    assert source.client.http.base_url == "https://a.klaviyo.com" and source.client.revision == "2026-07-15"
    assert issubclass(QuotaSpent, OpsError)
