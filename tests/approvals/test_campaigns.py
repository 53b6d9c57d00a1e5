"""Campaigns: nothing without a yes, exactly what was shown, as drafts, once, whatever is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ops_platform.approvals import campaign_handover, store
from ops_platform.approvals.campaign_draft import CampaignDraft, MadeDraft
from ops_platform.approvals.campaigns import check_payload, checked_text
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.message import document_of
from ops_platform.documents import terminal
from ops_platform.failures import DataFailure, PermanentFailure, TransientFailure
from sandbox.server import running
from tests.approvals.campaign import asked_for, campaign, group, inbox, person
from tests.approvals.campaign_victim import hand_over_life
from tests.approvals.notes import DANA, DUE, LEE, NOW, events, posted, say, states
from tests.database.fresh_database import dsn_of
from tests.killed import ended, points_in, preload, start

ROOT = Path(__file__).resolve().parents[2]
CLOCK = datetime(2024, 12, 5, 11, tzinfo=UTC)


class Tool:
    """A campaign tool that notes what it was asked. `failures` are raised by the next calls, one each."""

    def __init__(self, *failures: Exception) -> None:
        self.asked: list[CampaignDraft] = []
        self.failures = list(failures)

    def make(self, draft: CampaignDraft) -> MadeDraft:
        self.asked.append(draft)
        if self.failures:
            raise self.failures.pop(0)
        return MadeDraft("c1", f"{draft.name} [{draft.mark}]", "Draft", "l1", len(draft.recipients))


def approved(connect: Any, desk: Any, payload: dict[str, Any] | None = None) -> Any:
    approval = asked_for(connect, desk, payload)
    say(connect, desk, "approve", approval.id, shown=approval.payload_hash, person=LEE)
    return approval


# -- what is shown, and what may be said -----------------------------------------------------------------------------


def test_all_of_it_is_shown(warehouse: Any) -> None:
    desk = inbox()
    approval = asked_for(warehouse, desk)
    with warehouse() as connection:
        text = terminal.render(document_of(connection, desk, approval), width=120, colour=False)
    for words in (
        "3 · in 2 campaigns", "We miss you: 15 %, code COMEBACK15", "Left out", "long away (2)", "Subject: We",
        "Product B, Cable <b>", "nothing is sent: a person sends it there", "Assigned to",
    ):  # fmt: skip
        assert words in text, words
    assert "@" not in str(approval.payload)  # no address anywhere


def test_an_unknown_code_is_said(warehouse: Any) -> None:
    desk = inbox()
    payload = campaign(offer={"code": "NOPE1", "title": "", "in_shop": False})
    approval = asked_for(warehouse, desk, payload)
    with warehouse() as connection:
        text = terminal.render(document_of(connection, desk, approval), width=120, colour=False)
    assert "the shop has no active code of this name" in text


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("subject", "Save 20 today", "a digit"),
        ("subject", "Save ２０", "a digit"),
        ("subject", "Look {{ person.email }}", "markup"),
        ("subject", "Look {% if x %}", "markup"),
        ("subject", "<b>Hi</b>", "markup"),
        ("subject", "Go to https://evil.example", "a link"),
        ("subject", "Go to evil.com now", "a link"),
        ("subject", "Write to a@b.example", "a link"),
        ("subject", "For you: {products}", "placeholder"),
        ("subject", "Half off: ½", "a digit"),
        ("subject", "Part Ⅻ", "a digit"),
        ("subject", "Go to evil.shop", "a link"),
        ("subject", "Go to evil。shop", "a link"),
        ("subject", "Go to evil\u2024app/x", "a link"),
        ("subject", "Write to a@b", "a link"),
        ("subject", "Ask\u202eelpoep", "nobody sees"),
        ("subject", "Ask\x1b[m", "nobody sees"),
        ("subject", "Ask \udce9", "nobody sees"),
        ("subject", "x" * 121, "characters"),
        ("subject", "  ", "is empty"),
        ("body", "For you {price}", "placeholder"),
        ("body", "For you {", "placeholder"),
        ("body", "For you {products", "placeholder"),
        ("body", "x" * 1501, "characters"),
    ],
)
def test_words_that_may_not_go_out(warehouse: Any, name: str, text: str, why: str) -> None:
    with pytest.raises(DataFailure, match=why):
        checked_text(name, text)
    desk = inbox()
    approval = asked_for(warehouse, desk)
    with pytest.raises(DataFailure, match=why):
        say(warehouse, desk, "edit", 1, shown=approval.payload_hash, texts={f"long_away_{name}": text}, person=DANA)
    with warehouse() as connection:
        assert store.load(connection, 1).version == 1


def test_whoever_edited_does_not_approve_and_the_old_version_is_refused(warehouse: Any) -> None:
    desk = inbox()
    first = asked_for(warehouse, desk)
    texts = {"long_away_subject": "  It has\nbeen long ", "long_away_body": "Hello.\n\nFor you: {products}, {code}."}
    say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts=texts, person=DANA)
    with warehouse() as connection:
        now = store.load(connection, 1)
    (changed,) = [one for one in now.payload["groups"] if one["reason"] == "long_away"]
    assert (changed["subject"], changed["body"]) == ("It has been long", "Hello.\n\nFor you: {products}, {code}.")
    with pytest.raises(DataFailure, match="has changed since you were shown it"):
        say(warehouse, desk, "approve", 1, shown=first.payload_hash, person=LEE)
    with pytest.raises(DataFailure, match="you wrote version 2"):
        say(warehouse, desk, "approve", 1, shown=now.payload_hash, person=DANA)
    say(warehouse, desk, "approve", 1, shown=now.payload_hash, person=LEE)
    tool = Tool()
    execute_approved(warehouse, desk, NOW)
    campaign_handover.hand_over(warehouse, tool, desk, NOW)
    assert {draft.subject for draft in tool.asked} == {"It has been long", "We miss you"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mark": "Winback 1"}, {"groups": []}, {"groups": "abc"}, {"offer": {"code": "a b"}}, {"offer": None},
        {"groups": [group("a", [])]},
        {"groups": [group("a", [person(1)]), group("a", [person(2)])]},
        {"groups": [group("a", [person(1)]), group("b", [person(1)])]},
        {"groups": [group("A b", [person(1)])]},
        {"groups": [{**group("a", [person(1)]), "subject": " We "}]},
        {"groups": [group("a", [{**person(1), "order": "x1"}])]},
        {"groups": [group("a", [{**person(1), "ordered_at": "2026-08-01T12:00:00"}])]},
        {"groups": [group("a", [person(n) for n in range(501)])]},
    ],
)  # fmt: skip
def test_what_is_no_campaign_is_not_asked_about(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataFailure):
        check_payload(campaign(**wrong))


# -- handing over ----------------------------------------------------------------------------------------------------


def test_nothing_is_handed_over_before_a_yes(warehouse: Any) -> None:
    desk, tool = inbox(), Tool()
    asked_for(warehouse, desk)
    execute_approved(warehouse, desk, NOW)
    assert campaign_handover.hand_over(warehouse, tool, desk, NOW) == [] and tool.asked == []
    say(warehouse, desk, "reject", 1, shown=asked_for(warehouse, desk).payload_hash, person=LEE)
    execute_approved(warehouse, desk, NOW)
    assert campaign_handover.hand_over(warehouse, tool, desk, NOW) == [] and tool.asked == []


def test_a_date_that_passes_is_a_no(warehouse: Any) -> None:
    desk, tool = inbox(), Tool()
    approval = asked_for(warehouse, desk)
    with pytest.raises(DataFailure, match="not decided in time"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=LEE, now=DUE)
    execute_approved(warehouse, desk, DUE)
    assert campaign_handover.hand_over(warehouse, tool, desk, DUE) == [] and states(warehouse) == [(1, "expired")]


def test_the_database_refuses_what_nobody_approved(warehouse: Any) -> None:
    desk = inbox()
    approval = asked_for(warehouse, desk)
    row = (
        "insert into ops.campaign_handovers (approval_id, payload_hash, part, mark, draft, created_at, updated_at)"
        " values (1, %s, 'a', 'm', '{}', now(), now())"
    )
    for digest in (approval.payload_hash, "0" * 64):
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError, match="does not cover"):
            connection.execute(row, (digest,))
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=LEE)
    execute_approved(warehouse, desk, NOW)
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError, match="as it was approved"):
        connection.execute("update ops.campaign_handovers set draft = '{}'")


def test_each_group_once_with_each_readers_own_words(warehouse: Any) -> None:
    desk, tool = inbox(), Tool()
    approved(warehouse, desk)
    (executed,) = execute_approved(warehouse, desk, NOW)
    assert executed.state == "sent" and "2 drafts to be made in Klaviyo" in executed.words
    done = campaign_handover.hand_over(warehouse, tool, desk, NOW)
    assert [(one.part, one.state) for one in done] == [("long_away", "made"), ("never_used", "made")]
    assert campaign_handover.hand_over(warehouse, tool, desk, NOW) == []
    first, second = tool.asked
    assert [one.values["products"] for one in first.recipients] == [
        "Product B and Cable <b>",
        "Product C and Cable <b>",
    ]
    assert "{{value:products}}" in first.html and "COMEBACK15" in first.html and "{code}" not in first.html
    assert (first.text.count("\n\n"), second.recipients[0].order) == (2, "6003")
    assert first.mark != second.mark and len(first.mark) <= 60
    with warehouse() as connection:
        people = connection.execute(
            "select customer, reason, arm, approved_on::text from ops.campaign_recipients order by customer"
        ).fetchall()
    assert people == [("1", "long_away", "warm", "2026-11-02"), ("2", "long_away", "warm", "2026-11-02"),
                      ("3", "never_used", "warm", "2026-11-02")]  # fmt: skip
    assert sum("In Klaviyo as draft" in text for text in posted(warehouse, "approval")) == 2


def test_what_fails_for_now_is_tried_later_and_what_is_refused_waits_for_a_person(warehouse: Any) -> None:
    desk = inbox()
    approved(warehouse, desk, campaign(group("long_away", [person(1)])))
    execute_approved(warehouse, desk, NOW)
    tool = Tool(TransientFailure("away"), PermanentFailure("no such scope"))
    (first,) = campaign_handover.hand_over(warehouse, tool, desk, NOW)
    assert first.state == "pending" and campaign_handover.hand_over(warehouse, tool, desk, NOW) == []
    (second,) = campaign_handover.hand_over(warehouse, tool, desk, NOW + timedelta(minutes=2))
    assert (second.state, "no such scope" in second.words) == ("failed", True)
    assert campaign_handover.hand_over(warehouse, tool, desk, NOW + timedelta(days=1)) == []
    with warehouse() as connection:
        assert campaign_handover.retry(connection, 1, NOW) == 1
    (third,) = campaign_handover.hand_over(warehouse, tool, desk, NOW)
    assert third.state == "made"
    assert events(warehouse) == ["requested", "approved", "sent", "commented", "commented"]


def test_without_a_campaign_tool_it_says_so(warehouse: Any) -> None:
    desk = inbox()
    approved(warehouse, desk, campaign(group("long_away", [person(1)])))
    execute_approved(warehouse, desk, NOW)
    (done,) = campaign_handover.hand_over(warehouse, None, desk, NOW)
    assert done.state == "failed" and "KLAVIYO_DRAFTS_API_KEY" in done.words


# -- the real tool's side, and kills ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def klaviyo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, httpx.Client]]:
    state = tmp_path_factory.mktemp("klaviyo")
    with running(seed=7, clock=CLOCK, state=state, netsuite_key="ec") as sandbox:
        with httpx.Client(base_url=sandbox.url, trust_env=False, verify=False, timeout=60) as http:
            yield sandbox.url, http


def bought(http: httpx.Client, count: int) -> list[dict[str, Any]]:
    """People by an order of theirs that Klaviyo was told of."""
    from sandbox.klaviyo.account import metric_id
    from sandbox.klaviyo.side import KEY, REVISION

    answer = http.get(
        "/api/events", params={"filter": f"equals(metric_id,'{metric_id('Placed Order')}')", "page[size]": 1000},
        headers={"Authorization": f"Klaviyo-API-Key {KEY}", "revision": REVISION},
    ).json()  # fmt: skip
    rows = answer["data"][: count * 29 : 29]
    return [
        person(place, row["attributes"]["event_properties"]["$event_id"],
               datetime.fromisoformat(row["attributes"]["datetime"]))
        for place, row in enumerate(rows)
    ]  # fmt: skip


def made(http: httpx.Client) -> Counter[str]:
    kinds = ("list_made", "template_made", "campaign_drafted", "campaign_sent")

    def many(kind: str) -> int:
        query: dict[str, str | int] = {"vendor": "klaviyo", "kind": kind, "limit": 5000}
        return len(http.get("/_sandbox/ledger", params=query).json())

    return Counter({kind: many(kind) for kind in kinds})


POINTS = [
    "handover.taken", "handover.made", "handover.noted", "klaviyo.personalised", "klaviyo.list", "klaviyo.template",
    "klaviyo.campaign", "klaviyo.assigned",
]  # fmt: skip
OFTEN = ("handover.made", "klaviyo.list", "klaviyo.campaign")
preload("psycopg", "tests.approvals.campaign_victim")
TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "1"))


def test_every_point_is_tried() -> None:
    files = [ROOT / "ops_platform/approvals/campaign_handover.py", ROOT / "resources/klaviyo/drafts.py"]
    assert points_in(files) == set(POINTS)


@pytest.mark.parametrize(
    "point", [point if point in OFTEN else pytest.param(point, marks=pytest.mark.slow) for point in POINTS]
)
def test_killed_at_any_point_it_is_drafted_once_and_never_sent(
    point: str, warehouse: Any, klaviyo: tuple[str, httpx.Client]
) -> None:
    url, http = klaviyo
    desk, before, killed = inbox(channel=False), made(http), 0
    people = bought(http, 2)
    for number in range(TRIALS):
        payload = campaign(group("long_away", people), title=f"We miss you, {point} {number}")
        approval = asked_for(warehouse, desk, payload, subject=f"{point}:{number}")
        say(warehouse, desk, "approve", approval.id, shown=approval.payload_hash, person=LEE, key=f"{point}{number}")
        execute_approved(warehouse, desk, NOW)
        killed += ended(start(hand_over_life, dsn_of(warehouse), url, point)) == -signal.SIGKILL
        assert ended(start(hand_over_life, dsn_of(warehouse), url)) == 0
    assert killed == TRIALS, "the point was not reached"
    after = made(http)
    after.subtract(before)
    # The sandbox's ledger is the oracle, not our tables.
    assert after == {"list_made": TRIALS, "template_made": TRIALS, "campaign_drafted": TRIALS, "campaign_sent": 0}
    with warehouse() as connection:
        rows = connection.execute("select state, result ->> 'status' from ops.campaign_handovers").fetchall()
    assert rows == [("made", "Draft")] * TRIALS
