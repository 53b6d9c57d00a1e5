"""Where a document goes and when: routes of fleet.yaml, and quiet hours on the company's clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ops_platform.delivery import Posters, State, deliver, enqueue
from ops_platform.delivery.routing import addresses_of, end_of_quiet, quiet_until, route_of
from ops_platform.fleet import load_fleet
from ops_platform.fleet.delivery_policy import LEVELS, DeliveryRoutes, QuietHours
from ops_platform.settings import PROJECT_ROOT, Settings, reset_settings
from resources.slack_posting import SlackPoster
from tests.conftest import Connect
from tests.delivery.conftest import FAST
from tests.delivery.slack_fake import SlackFake

FLEET = load_fleet(PROJECT_ROOT / "fleet.yaml", Settings())
NEW_YORK = ZoneInfo("America/New_York")


def routed(**delivery: Any) -> Any:
    return FLEET.model_copy(update={"delivery": DeliveryRoutes.model_validate(delivery)})


def test_a_route_of_the_job_wins_over_one_of_its_kind() -> None:
    fleet = routed(
        lists={"a": ["a@b.co"], "b": ["b@b.co", "a@b.co"]},
        documents={"pulse": {"email": ["a"]}, "ops_pulse": {"email": ["a", "b"], "channel": "team"}},
    )
    assert (route_of(fleet, "ops_pulse").channel, addresses_of(fleet, "ops_pulse")) == ("team", ["a@b.co", "b@b.co"])
    by_kind = routed(lists={"a": ["a@b.co"]}, documents={"pulse": {"email": ["a"]}})
    assert (route_of(by_kind, "ops_pulse").channel, addresses_of(by_kind, "ops_pulse")) == ("executive", ["a@b.co"])
    assert addresses_of(routed(), "ops_pulse") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"documents": {"pulse": {"email": ["nobody"]}}},
        {"lists": {"a": ["not an address"]}},
        {"lists": {"a": ["a@b.co\r\nBcc: c@d.ef"]}},
        {"quiet_hours": {"start": "22:00", "end": "22:00"}},
        {"escalation": {"watch": {"after_minutes": 1}}},
        {"documents": {"pulse": {"channel": "nowhere"}}},
    ],
)
def test_a_wrong_entry_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeliveryRoutes.model_validate(wrong)


def test_a_route_is_of_a_job_or_a_kind_there_is() -> None:
    routes = DeliveryRoutes.model_validate({"documents": {"pulses": {}, "pulse": {"thread_of": "nothing"}}})
    assert routes.problems({"ops_pulse"}, {"pulse"}) == [
        "delivery.documents.pulses: there is no job and no kind of document called that",
        "delivery.documents.pulse: there is no job 'nothing' to answer",
    ]
    assert FLEET.delivery.problems(set(FLEET.jobs), {job.kind for job in FLEET.jobs.values()}) == []


def test_hours_as_yaml_reads_them() -> None:
    # 22:30 without quotes is the number 1350 to YAML.
    assert QuietHours.model_validate({"start": 1350, "end": "05:45"}).start == time(22, 30)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-20T22:29:59", None),
        ("2026-11-20T22:30:00", "2026-11-21T05:45:00"),
        ("2026-11-21T00:00:00", "2026-11-21T05:45:00"),
        ("2026-11-21T05:44:59", "2026-11-21T05:45:00"),
        ("2026-11-21T05:45:00", None),
        ("2026-10-31T23:30:00", "2026-11-01T05:45:00"),  # the night that is an hour longer
        ("2026-03-07T23:30:00", "2026-03-08T05:45:00"),  # and the one that is an hour shorter
    ],
)
def test_quiet_hours_on_the_wall(now: str, until: str | None) -> None:
    hours = QuietHours(start=time(22, 30), end=time(5, 45))
    at = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    wanted = None if until is None else datetime.fromisoformat(until).replace(tzinfo=NEW_YORK)
    assert end_of_quiet(hours, NEW_YORK, at.astimezone(UTC)) == wanted


@given(
    st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    st.times(), st.times(),
    st.sampled_from(["America/New_York", "Europe/Berlin", "Asia/Shanghai", "Australia/Lord_Howe"]),
)  # fmt: skip
def test_what_waits_waits_for_less_than_a_day_and_into_no_quiet(
    at: datetime, start: time, end: time, zone: str
) -> None:
    if start == end:
        return
    hours, place = QuietHours(start=start, end=end), ZoneInfo(zone)
    now = at.replace(tzinfo=UTC)
    until = end_of_quiet(hours, place, now)
    if until is None:
        return
    gap = until.astimezone(UTC) - now
    assert timedelta(hours=-1) < gap < timedelta(hours=25, minutes=1)
    assert until.astimezone(place).time() == end or until.utcoffset() is not None


def test_alerts_are_never_quiet_and_the_morning_is_not_either() -> None:
    night = datetime(2026, 11, 20, 3, 0, tzinfo=NEW_YORK)
    assert [quiet_until(FLEET, level, night) is None for level in LEVELS] == [
        False, False, True, True,
    ]  # fmt: skip
    # What the shipped company is told before the day begins is told: the pulse at six, the bots' contexts before it.
    assert quiet_until(FLEET, "info", datetime(2026, 11, 20, 6, 0, tzinfo=NEW_YORK)) is None


def test_a_quiet_message_waits_on_the_companys_clock(
    warehouse: Connect, slack: SlackFake, poster: SlackPoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime(2026, 11, 21, 5, 45, tzinfo=NEW_YORK)
    common: dict[str, Any] = {"period": None, "channel_key": "executive", "channel": "C0EXEC"}
    with warehouse() as conn:
        quiet = enqueue(conn, kind="quiet", payload={"text": "quiet"}, dedupe_key="quiet", quiet_until=until, **common)
        answer: dict[str, Any] = {"kind": "answer", "payload": {"text": "answer"}, "dedupe_key": "answer"}
        enqueue(conn, thread_of=quiet.id, **answer, **common)
        enqueue(conn, kind="loud", payload={"text": "loud"}, dedupe_key="loud", **common)
    for moment, shown in (
        ("2026-11-21T05:44:59-05:00", ["loud"]),
        ("2026-11-21T05:45:00-05:00", ["loud", "quiet", "answer"]),
    ):
        monkeypatch.setenv("OPS_NOW", moment)
        reset_settings()
        report = deliver(warehouse, Posters(channels=poster), policy=FAST)
        assert [message["text"] for message in slack.posts()] == shown
        assert report.in_state(State.FAILED) == []
    reset_settings()
