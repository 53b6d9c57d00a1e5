"""The four shipped playbooks, run whole on a company whose customers can be counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops_platform import clock
from ops_platform.approvals import store
from ops_platform.approvals.assembly import inbox_of
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.model import Person
from ops_platform.fleet import get_fleet
from ops_platform.fleet.ticks import ticks_between
from ops_platform.playbooks.catalogue import catalogue
from ops_platform.playbooks.engine import run
from ops_platform.settings import PROJECT_ROOT, reset_settings
from ops_platform.writing.archive import load, replay
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.playbooks.company import (
    CHANNELS,
    FRESH,
    NOW,
    SCHEMA,
    Customer,
    Vendors,
    company_house,
    empty,
    fill,
    machine,
    metric,
    shipped,
)
from tests.playbooks.test_toolbox import BEFORE, WEEK

FOUR = ("ops_churn_prevention", "ops_daily_health_check", "ops_integration_monitor", "ops_weekly_growth_review")
DANA = Person("dana", "Dana Whitfield", "cli:dana")


@pytest.fixture(scope="module")
def its_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "shipped") as connect:
        with connect() as connection:
            connection.execute(SCHEMA.encode())
        yield connect


@pytest.fixture
def company(its_database: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    reset_settings()
    with its_database() as connection:
        empty(connection)
        fill(connection)
        connection.execute(
            "insert into ops.warehouse_builds (fingerprint, status, started_at, finished_at)"
            " values ('f', 'succeeded', %s, %s)", (NOW, NOW),
        )  # fmt: skip
    assert clock.now() == NOW
    yield its_database
    monkeypatch.undo()
    reset_settings()


def ran(
    connect: Connect, name: str, vendors: Vendors | None = None, *, key: str = "k", mail: bool = False, **given: Any
) -> dict[str, Any]:
    """The steps of a run: what became of each, its result."""
    house = company_house(vendors or Vendors(), mail=mail)
    as_of = given.pop("as_of", NOW)
    execution = run(machine(connect, house), shipped(name, house), key=f"{name}:{key}", as_of=as_of, given=given)
    with connect() as connection:
        rows = connection.execute(
            "select step_id, status, result, reason from ops.playbook_steps where execution_id = %s", (execution.id,)
        ).fetchall()
    steps = {step: {"status": status, "result": result, "reason": reason} for step, status, result, reason in rows}
    failed = {step: row["reason"] for step, row in steps.items() if row["status"] == "failed"}
    assert not failed, failed
    return steps


def statuses(steps: dict[str, Any]) -> dict[str, str]:
    return {step: row["status"] for step, row in steps.items()}


def texts(connect: Connect, *, email: bool = False) -> list[str]:
    """What waits in the outbox, in order."""
    with connect() as connection:
        rows = connection.execute(
            "select channel_key, payload ->> 'text' from ops.outbox order by created_at, dedupe_key"
        )
        return [text for channel, text in rows if (channel == "email") == email]


# -- as files --------------------------------------------------------------------------------------------------------


def test_all_four_are_right_and_every_name_in_them_exists() -> None:
    found = catalogue(company_house(Vendors()))
    assert tuple(sorted(found.plans)) == FOUR and not found.broken
    roles = get_fleet().roles
    assert set(roles) == {"operations_lead", "analytics", "revenue", "retention", "campaigns", "engineering"}
    used = {getattr(step, "role", None) for plan in found.plans.values() for step in plan.playbook.steps} - {None}
    assert used == set(roles)


@pytest.mark.parametrize(
    ("name", "cron", "winter", "summer"),
    [
        ("ops_daily_health_check", "0 9 * * 1-5", "14:00", "13:00"),
        ("ops_weekly_growth_review", "0 8 * * 1", "13:00", "12:00"),
        ("ops_integration_monitor", "0 * * * *", None, None),
        ("ops_churn_prevention", "0 10 * * *", "15:00", "14:00"),
    ],
)
def test_their_times_hold_across_daylight_saving(name: str, cron: str, winter: str | None, summer: str | None) -> None:
    playbook = shipped(name, company_house(Vendors())).playbook
    assert playbook.triggers.schedule == cron and playbook.enabled and playbook.triggers.http
    zone = get_fleet().company.timezone
    # Weeks of winter time and of summer time, and the two in which the clocks change.
    for start, wanted in ((datetime(2026, 1, 5, tzinfo=UTC), winter), (datetime(2026, 7, 6, tzinfo=UTC), summer)):
        due = ticks_between(cron, zone, start, start + timedelta(days=7))
        assert len(due) == {"0 * * * *": 168, "0 8 * * 1": 1, "0 9 * * 1-5": 5}.get(cron, 7)
        assert wanted is None or {f"{moment:%H:%M}" for moment in due} == {wanted}
    for start in (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)):
        due = ticks_between(cron, zone, start, start + timedelta(days=14))
        local = {f"{moment.astimezone(ZoneInfo(zone)):%H:%M}" for moment in due}
        assert cron == "0 * * * *" or len(local) == 1


def test_the_shipped_toolbox_is_the_one_that_is_tried() -> None:
    from jobs.toolbox import house

    ours, theirs = company_house(Vendors()), house()
    assert set(ours.tools.tools) == set(theirs.tools.tools) and set(ours.runners.types) == set(theirs.runners.types)
    assert tuple(sorted(catalogue(theirs).plans)) == FOUR


# -- daily system health check -----------------------------------------------------------------------------------------


def test_a_quiet_morning_sends_the_report_and_raises_nothing(company: Connect) -> None:
    with company() as connection:
        connection.execute("insert into staging.stg_app__users values ('x', 'customer', %s)", (FRESH,))
    steps = ran(company, "ops_daily_health_check", mail=True)
    assert statuses(steps) == {
        "health_status": "ran", "integrations": "ran", "platform_stats": "ran", "report": "ran",
        "something_wrong": "ran", "send_report": "ran", "raise_alert": "skipped",
    }  # fmt: skip
    assert steps["something_wrong"]["result"] == {"holds": False}
    assert steps["report"]["result"]["writer"] == "rules" and steps["report"]["result"]["attention"] == 0
    mails = texts(company, email=True)
    assert len(mails) == 2 and all("Daily system health" in text for text in mails)  # two lists, an address each
    assert texts(company) == []
    with company() as connection:
        archived = load(connection, steps["report"]["result"]["document_id"])
        assert replay(archived).same
        (noted,) = connection.execute("select title, document_id from ops.playbook_notices").fetchall()
    assert noted == ("Daily system health", archived.id)


@pytest.mark.parametrize("what", ["offline", "errors", "signups", "quota"])
def test_what_cannot_wait_is_raised(company: Connect, what: str) -> None:
    vendors = Vendors(out={"hubspot": "away"}) if what == "offline" else Vendors()
    with company() as connection:
        if what != "signups":
            connection.execute("insert into staging.stg_app__users values ('x', 'customer', %s)", (FRESH,))
        if what == "errors":
            connection.execute(
                "insert into ops.sync_runs (vendor, stream, status, started_at) values ('x', 'y', 'failed', %s)", (NOW,)
            )
        if what == "quota":
            connection.execute(
                "insert into ops.token_ledger (bot, cycle, purpose, model, tier, state, reserved_tokens, input_tokens,"
                " created_at, settled_at) values ('sales', '2026-11-20', 'p', 'm', 'small', 'spent', 0, 16001, %s, %s)",
                (NOW, NOW),
            )
    steps = ran(company, "ops_daily_health_check", vendors, mail=True)
    assert steps["something_wrong"]["result"] == {"holds": True} and steps["raise_alert"]["status"] == "ran"
    assert any("cannot wait" in text for text in texts(company))


# -- integration monitor -----------------------------------------------------------------------------------------------


def test_an_hour_in_which_all_answer_is_silent(company: Connect) -> None:
    steps = ran(company, "ops_integration_monitor")
    assert texts(company) == [] and steps["recovered"]["result"]["closed"] == 0
    assert statuses(steps)["incident"] == statuses(steps)["tell_outage"] == statuses(steps)["investigate"] == "skipped"
    with company() as connection:
        assert store.waiting(connection, everything=True) == []
        kept = connection.execute("select count(*), count(latency_ms) from ops.integration_pings").fetchone()
    assert kept == (3, 3)


def test_an_outage_is_one_incident_one_alert_and_closed_when_over(company: Connect) -> None:
    out = Vendors(out={"hubspot": "HubSpot: 401, the token was refused"})
    for hour in range(3):
        steps = ran(
            company, "ops_integration_monitor", out, key=f"{hour}", as_of=NOW + timedelta(hours=hour), mail=True
        )
        assert steps["incident"]["result"]["opened"] is (hour == 0)
        assert steps["tell_outage"]["result"]["told"] is (hour == 0)
        assert steps["tell_silent"]["status"] == ("ran" if hour == 2 else "skipped")
    found = steps["investigate"]["result"]
    assert found["used"] == ["credentials_check", "search_logs"] and found["role"] == "engineering"
    with company() as connection:
        (thread,) = store.waiting(connection)
        beside = store.attachments(connection, thread.id)
    assert (thread.kind, thread.assignee, thread.channel_key) == ("incident", "lee", "alerts")
    assert thread.title == "Integration outage - HubSpot" and len(beside) == 1
    assert thread.due_at == NOW + timedelta(hours=24)
    mails = texts(company, email=True)
    assert len(mails) == 2 and all("HubSpot" in mail for mail in mails) and "No answer for hours" in mails[1]
    steps = ran(company, "ops_integration_monitor", key="back", as_of=NOW + timedelta(hours=3))
    assert steps["recovered"]["result"] == {"closed": 1, "thread_id": thread.id}
    assert steps["tell_recovery"]["status"] == "ran"
    with company() as connection:
        assert store.waiting(connection) == []
    # The next outage is another one; an outage that lasts is told once more, and not every hour.
    for hour in range(4, 8):
        late = ran(company, "ops_integration_monitor", out, key=f"{hour}", as_of=NOW + timedelta(hours=hour), mail=True)
        assert late["tell_silent"]["status"] == ("ran" if hour >= 5 else "skipped")
    assert sum("No answer for hours" in mail for mail in texts(company, email=True)) == 2
    ran(company, "ops_integration_monitor", key="well", as_of=NOW + timedelta(hours=8))
    again = ran(company, "ops_integration_monitor", out, key="again", as_of=NOW + timedelta(hours=9), mail=True)
    assert again["incident"]["result"]["opened"] and again["incident"]["result"]["thread_id"] != thread.id
    assert again["tell_outage"]["result"]["told"]


def test_late_answers_are_told_once_a_day(company: Connect) -> None:
    slow = Vendors(slow={"shopify": 2001})
    first = ran(company, "ops_integration_monitor", slow, key="1")
    second = ran(company, "ops_integration_monitor", slow, key="2", as_of=NOW + timedelta(hours=1))
    assert (first["tell_slow"]["result"]["told"], second["tell_slow"]["result"]["told"]) == (True, False)
    assert len([text for text in texts(company) if "answer late - Shopify" in text]) == 1


# -- growth review -----------------------------------------------------------------------------------------------------


def grown(connect: Connect, *, mrr: str, before: str = "1000", lost: str = "2", signups: str = "2") -> None:
    with connect() as connection:
        metric(connection, "signups", "count", "sum", dict.fromkeys(WEEK + BEFORE, (signups, signups, "1")))
        metric(connection, "mrr", "money", "last", {WEEK[-1]: (mrr, mrr, "1"), BEFORE[-1]: (before, before, "1")})
        metric(
            connection, "subscribers", "count", "last", {WEEK[-1]: ("99", "99", "1"), BEFORE[-1]: ("100", "100", "1")}
        )
        metric(connection, "subscribers_churned", "count", "sum",
               {**dict.fromkeys(WEEK, ("0", "0", "1")), WEEK[0]: (lost, lost, "1")})  # fmt: skip
        metric(
            connection, "signup_to_subscription_conversion", "ratio", "ratio", dict.fromkeys(WEEK, ("0.2", "2", "10"))
        )


def test_a_good_week_is_reviewed_and_nobody_is_alarmed(company: Connect) -> None:
    grown(company, mrr="1060")
    steps = ran(company, "ops_weekly_growth_review")
    assert steps["growth_in_danger"]["result"] == {"holds": False} and steps["raise_alert"]["status"] == "skipped"
    assert steps["revenue"]["result"]["mrr_growth"] == "0.06000000"
    assert steps["campaigns"]["result"]["made"] == 0
    with company() as connection:
        document = load(connection, steps["review"]["result"]["document_id"])
    assert {"mrr", "signups", "at_risk", "campaigns_made"} <= {fact.id for fact in document.bundle.facts}
    with company() as connection:
        (thread,) = store.waiting(connection)
    assert (thread.kind, thread.subject, thread.assignee) == ("growth_review", "2026-11-15", "dana")
    assert [each["subject"] for each in thread.payload["actions"]] == ["retention:tickets", "retention:at_risk"]
    # A yes opens the plan, once.
    desk = inbox_of(get_fleet(), CHANNELS.__getitem__)
    with company() as connection:
        desk.approve(connection, thread.id, shown=thread.payload_hash, person=DANA, key="yes", now=NOW)
    (done,) = execute_approved(company, desk, NOW)
    assert done.words == "2 action items are open now." and execute_approved(company, desk, NOW) == []


def test_a_shrinking_week_reaches_the_executive(company: Connect) -> None:
    grown(company, mrr="990")
    steps = ran(company, "ops_weekly_growth_review")
    assert steps["raise_alert"]["status"] == "ran" and any("needs you" in text for text in texts(company))
    again = ran(company, "ops_weekly_growth_review", key="again")
    assert again["raise_alert"]["result"]["told"] is False and again["thread"]["result"]["opened"] is False


@pytest.mark.parametrize("wrong", [{"lost": "6"}, {"signups": "0"}])
def test_lost_customers_or_no_sign_ups_reach_the_executive_too(company: Connect, wrong: dict[str, str]) -> None:
    """More than five in a hundred lost, or nobody new in a week, however well recurring revenue grows."""
    grown(company, mrr="1060", **wrong)
    steps = ran(company, "ops_weekly_growth_review")
    assert steps["growth_in_danger"]["result"] == {"holds": True} and steps["raise_alert"]["status"] == "ran"


def test_a_week_of_which_nothing_is_known_says_so(company: Connect) -> None:
    steps = ran(company, "ops_weekly_growth_review")
    assert steps["growth_in_danger"]["result"] == {"holds": False}
    with company() as connection:
        document = load(connection, steps["review"]["result"]["document_id"])
    unknown = {fact.id for fact in document.bundle.facts if fact.status == "unknown"}
    assert {"mrr_growth", "churn_rate_week"} <= unknown


# -- churn prevention --------------------------------------------------------------------------------------------------


def test_inactive_customers_become_one_campaign_that_waits(company: Connect) -> None:
    steps = ran(company, "ops_churn_prevention")
    assert statuses(steps)["all_active"] == "skipped" and statuses(steps)["thread"] == "ran"
    with company() as connection:
        (thread,) = store.waiting(connection)
        assigned = connection.execute("select count(*) from ops.playbook_assignments").fetchone()
    people = {one["customer"] for group in thread.payload["groups"] for one in group["recipients"]}
    assert people == {"away", "lately", "never"} and thread.payload["unreachable"] == 1
    assert (thread.kind, thread.assignee, thread.state, thread.due_at) == (
        "campaign", "lee", "draft", NOW + timedelta(hours=72),
    )  # fmt: skip
    assert assigned == (3,)  # each has a wording, measured later
    assert steps["too_many"]["result"] == {"holds": True}  # four of eight
    # The same morning again is the same campaign; nothing went anywhere.
    again = ran(company, "ops_churn_prevention", key="again")
    assert again["thread"]["result"]["opened"] is False and again["thread"]["result"]["version"] == 1
    with company() as connection:
        assert connection.execute("select count(*) from ops.campaign_handovers").fetchone() == (0,)
    # The next morning, those who wait are not asked about twice.
    later = ran(company, "ops_churn_prevention", key="next", as_of=NOW + timedelta(days=1))
    assert later["draft"]["status"] == "skipped" or not people & {
        one["customer"] for group in later["draft"]["result"]["payload"]["groups"] for one in group["recipients"]
    }


@pytest.mark.parametrize(("count", "holds"), [(10, False), (11, True)])
def test_more_than_ten_inactive_are_an_alert_however_many_there_are(company: Connect, count: int, holds: bool) -> None:
    people = [Customer(f"away{number}", login=30, ordered=200) for number in range(count)]
    with company() as connection:  # ten of two hundred are no large share
        fill(connection, (*people, *(Customer(f"here{number}") for number in range(200))))
    steps = ran(company, "ops_churn_prevention")
    assert steps["inactive"]["result"]["count"] == count and steps["inactive"]["result"]["rate"] is not None
    assert steps["too_many"]["result"] == {"holds": holds}
    assert steps["raise_alert"]["status"] == ("ran" if holds else "skipped")


def test_an_outage_nobody_has_decided_about_in_time_gets_another_thread(
    company: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is overdue is refused, also where nobody has looked since; the outage is still there."""
    out = Vendors(out={"hubspot": "away"})
    first = ran(company, "ops_integration_monitor", out)
    later = NOW + timedelta(hours=24)
    monkeypatch.setenv("OPS_NOW", later.isoformat())
    reset_settings()
    second = ran(company, "ops_integration_monitor", out, key="later", as_of=later)
    assert second["incident"]["result"]["opened"] is True
    assert second["incident"]["result"]["thread_id"] != first["incident"]["result"]["thread_id"]


def test_nobody_inactive_is_a_note_and_no_thread(company: Connect) -> None:
    with company() as connection:
        fill(connection, (Customer("well"), Customer("buys", login=60, ordered=30)))
    steps = ran(company, "ops_churn_prevention")
    assert statuses(steps)["draft"] == statuses(steps)["thread"] == "skipped" and steps["all_active"]["status"] == "ran"
    assert texts(company) == []
    with company() as connection:
        (notice,) = connection.execute("select severity, title from ops.playbook_notices").fetchall()
        assert store.waiting(connection, everything=True) == []
    assert notice == ("low", "Nobody new to win back")


def test_data_too_old_write_to_nobody(company: Connect) -> None:
    with company() as connection:
        fill(connection, fresh_to=NOW - timedelta(days=3))
    house = company_house(Vendors())
    execution = run(machine(company, house), shipped("ops_churn_prevention", house), key="old", as_of=NOW)
    assert execution.state == "failed" if hasattr(execution, "state") else not execution.success
    with company() as connection:
        assert store.waiting(connection, everything=True) == []
        rows = dict(connection.execute("select step_id, status from ops.playbook_steps").fetchall())
    assert rows["inactive"] == "failed" and rows["all_active"] == "skipped" and rows["thread"] == "skipped"


def test_hostile_names_reach_nobody(company: Connect) -> None:
    """A product's name and an error's text are somebody else's words, in Slack, in a page, in a mail."""
    hostile = "<!channel> <https://evil.example|now> {{ person.email }} <script>x</script> */*"
    with company() as connection:
        connection.execute("update marts.dim_products set product_name = %s", (hostile,))
    steps = ran(company, "ops_churn_prevention")
    ran(company, "ops_integration_monitor", Vendors(out={"hubspot": hostile}), mail=True)
    with company() as connection:
        payloads = str([row[0] for row in connection.execute("select payload from ops.outbox")])
        pages = b"".join(row[0] for row in connection.execute("select content from ops.approval_attachments")).decode()
    assert "<!channel>" not in payloads and "<https://evil" not in payloads and "<script>" not in pages
    products = str(steps["draft"]["result"]["payload"])
    assert "https://" not in products


def test_the_roles_have_only_tools_that_read() -> None:
    tools = company_house(Vendors()).tools
    for name, role in get_fleet().roles.items():
        for tool in role.tools:
            assert tools.get(tool).effect == "reads", (name, tool)


def test_no_playbook_asks_for_anything_that_the_documentation_does_not_have() -> None:
    text = (PROJECT_ROOT / "docs" / "playbooks.md").read_text(encoding="utf-8")
    for name in FOUR:
        assert name in text, name
    for name in company_house(Vendors()).tools.tools:
        assert f"`{name}`" in text, name
