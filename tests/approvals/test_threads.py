"""Inbox threads: who sees to one, until when, what lies beside it, what a yes does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.action_items.store import standing
from ops_platform.approvals import store, threads
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.message import document_of
from ops_platform.approvals.model import Person
from ops_platform.approvals.thread_subjects import payload
from ops_platform.documents import terminal
from ops_platform.failures import DataFailure
from ops_platform.fleet.approval_policy import ApprovalPolicy
from tests.approvals.campaign import inbox
from tests.approvals.notes import DANA, DUE, LEE, NOW, POLICY, events, posted, say, states

ACTIONS = [
    {"subject": "growth:churn", "what": "Ask who cancelled for the reason", "about": "", "severity": "alert",
     "owner": "retention", "due_days": 3},
    {"subject": "growth:conversion", "what": "Look at where accounts stop", "about": "customers 7, 8",
     "severity": "watch", "owner": "analytics", "due_days": 7},
]  # fmt: skip


def review(connect: Any, desk: Any, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "kind": "growth_review", "subject": "2026-10-31", "title": "Growth review",
        "payload": payload("2026-10-31", "MRR fell.", None, ACTIONS), "author": "job:ops_weekly_growth_review",
        "channel_key": "executive", "due_at": DUE, "now": NOW, "assignee": "dana", **changes,
    }  # fmt: skip
    with connect() as connection:
        return desk.request(connection, **given)


def done(connect: Any, what: Any, *arguments: Any, **given: Any) -> Any:
    """One word beside deciding, committed."""
    key = f"{what.__name__}:{arguments[1:]}"
    with connect() as connection:
        return what(connection, *arguments, **{"person": DANA, "key": key, "now": NOW, **given})


def shown(connect: Any, desk: Any, number: int = 1) -> str:
    with connect() as connection:
        text = terminal.render(document_of(connection, desk, store.load(connection, number)), width=120, colour=False)
    return " ".join(text.split())


def test_a_thread_is_assigned_and_its_due_date_moved(warehouse: Any) -> None:
    desk = inbox()
    approval = review(warehouse, desk)
    assert approval.assignee == "dana" and "Assigned to Dana Whitfield" in shown(warehouse, desk)
    before = approval.payload_hash
    done(warehouse, threads.assign, desk, 1, "lee", words="you know the funnel")
    later = DUE + timedelta(days=2)
    done(warehouse, threads.move_due, desk, 1, later)
    with warehouse() as connection:
        now = store.load(connection, 1)
        told = [(entry.event, entry.words) for entry in store.entries(connection, 1)]
    assert (now.assignee, now.due_at, now.payload_hash) == ("lee", later, before)
    assert told[1:] == [("assigned", "to Lee Moran: you know the funnel"), ("moved", "to Sat 07 Nov 09:00")]
    assert len(posted(warehouse, "approval")) == 3  # the message, and two lines in its thread
    # What was shown before is still what is approved.
    say(warehouse, desk, "approve", 1, shown=before)
    assert states(warehouse) == [(1, "approved")]


def test_the_same_word_again_does_nothing(warehouse: Any) -> None:
    desk = inbox()
    review(warehouse, desk)
    first = done(warehouse, threads.assign, desk, 1, "lee", key="k")
    again = done(warehouse, threads.assign, desk, 1, "lee", key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert events(warehouse) == ["requested", "assigned"]
    with pytest.raises(DataFailure, match="another decision"):
        done(warehouse, threads.move_due, desk, 1, DUE + timedelta(days=1), key="k")


def test_nobody_unknown_and_no_past_date(warehouse: Any) -> None:
    desk = inbox()
    with pytest.raises(DataFailure, match="no 'nobody' to assign"):
        review(warehouse, desk, assignee="nobody")
    review(warehouse, desk)
    with pytest.raises(DataFailure, match="no 'nobody' to assign"):
        done(warehouse, threads.assign, desk, 1, "nobody")
    with pytest.raises(DataFailure, match="lies ahead"):
        done(warehouse, threads.move_due, desk, 1, NOW)
    # What was not decided in time is over, whatever the date is moved to.
    with pytest.raises(DataFailure, match="not decided in time"):
        done(warehouse, threads.move_due, desk, 1, DUE + timedelta(days=9), now=DUE)
    assert events(warehouse) == ["requested", "expired"]


def test_who_may_not_decide_gives_no_longer_time(warehouse: Any) -> None:
    """Who does not decide, did not ask and does not see to it cannot keep a request from being refused."""
    policy = ApprovalPolicy.model_validate({**POLICY.model_dump(), "rules": {"growth_review": {"approvers": ["dana"]}}})
    desk = replace(inbox(), policy=policy)
    review(warehouse, desk)
    later = DUE + timedelta(days=2)
    with pytest.raises(DataFailure, match="this is for Dana Whitfield to decide"):
        done(warehouse, threads.move_due, desk, 1, later, person=LEE)
    done(warehouse, threads.assign, desk, 1, "lee")
    assert done(warehouse, threads.move_due, desk, 1, later, person=LEE, key="as the one who sees to it").changed
    for far in (NOW + timedelta(days=367), datetime.max.replace(tzinfo=UTC)):
        with pytest.raises(DataFailure, match="at most 366 days ahead"):
            done(warehouse, threads.move_due, desk, 1, far, key="far")


def test_what_was_too_late_is_neither_moved_nor_taken_back(warehouse: Any) -> None:
    desk = inbox()
    review(warehouse, desk)
    with pytest.raises(DataFailure, match="was not decided in time"):
        done(warehouse, threads.move_due, desk, 1, DUE + timedelta(days=2), now=DUE)
    assert states(warehouse) == [(1, "expired")]
    review(warehouse, desk, subject="another")
    with warehouse() as connection:
        taken = threads.withdraw(
            connection, desk, 2, author="job:ops_weekly_growth_review", words="it is settled", now=DUE
        )
    assert taken is None and states(warehouse) == [(1, "expired"), (2, "expired")]


def test_files_lie_beside_it_for_good(warehouse: Any) -> None:
    desk = inbox()
    approval = review(warehouse, desk)
    done(warehouse, threads.attach, desk, 1, "quote.pdf", b"%PDF-1.4 x")
    assert not done(warehouse, threads.attach, desk, 1, "quote.pdf", b"%PDF-1.4 x", key="again").changed
    with pytest.raises(DataFailure, match=r"another file called quote\.pdf"):
        done(warehouse, threads.attach, desk, 1, "quote.pdf", b"other", key="other")
    for name in ("run.exe", "../quote.pdf", "a/b.pdf", ".pdf", "x.pdf\n", "", "x" * 130 + ".pdf"):
        with pytest.raises(DataFailure, match="is not taken"):
            done(warehouse, threads.attach, desk, 1, name, b"x", key=name)
    for content in (b"", b"x" * (5 * 1024 * 1024 + 1)):
        with pytest.raises(DataFailure, match="at least one byte"):
            done(warehouse, threads.attach, desk, 1, "y.pdf", content, key=f"{len(content)}")
    with warehouse() as connection:
        assert store.attachment(connection, 1, "quote.pdf") == b"%PDF-1.4 x"
        assert store.load(connection, 1).payload_hash == approval.payload_hash
    assert "quote.pdf (1 kB)" in shown(warehouse, desk)
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError, match="only ever added to"):
        connection.execute("delete from ops.approval_attachments")


def test_a_yes_to_a_review_opens_its_plan_once(warehouse: Any) -> None:
    desk = inbox()
    approval = review(warehouse, desk)
    text = shown(warehouse, desk)
    assert "opens 2 action items" in text and "Ask who cancelled for the reason" in text
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    (executed,) = execute_approved(warehouse, desk, NOW)
    assert executed.words == "2 action items are open now."
    assert execute_approved(warehouse, desk, NOW) == []
    with warehouse() as connection:
        items = standing(connection)
    assert [(one.subject, one.owner, one.severity, str(one.due_on)) for one in items] == [
        ("growth:churn", "retention", "alert", "2026-11-05"), ("growth:conversion", "analytics", "watch", "2026-11-09"),
    ]  # fmt: skip


def test_a_no_opens_nothing(warehouse: Any) -> None:
    desk = inbox()
    approval = review(warehouse, desk)
    say(warehouse, desk, "reject", 1, shown=approval.payload_hash, words="not now")
    assert execute_approved(warehouse, desk, NOW) == []
    with warehouse() as connection:
        assert standing(connection) == []


def test_who_asked_takes_it_back_and_nobody_else_does(warehouse: Any) -> None:
    desk = inbox()
    given = {
        "kind": "incident", "subject": "integrations", "title": "Outage", "author": "job:ops_integration_monitor",
        "payload": payload("2026-11-02T13:00:00+00:00", "HubSpot does not answer."), "assignee": "lee",
    }  # fmt: skip
    review(warehouse, desk, **given)
    with warehouse() as connection:
        assert threads.withdraw(connection, desk, 1, author="job:other", words="x", now=NOW) is None
        assert store.load(connection, 1).state == "draft"
        taken = threads.withdraw(connection, desk, 1, author="job:ops_integration_monitor", words="back", now=NOW)
    assert taken is not None and states(warehouse) == [(1, "rejected")]
    assert "Taken back: Outage" in shown(warehouse, desk)
    assert "took back version 1" in posted(warehouse, "approval")[-1]
    with warehouse() as connection:
        assert threads.withdraw(connection, desk, 1, author="job:ops_integration_monitor", words="x", now=NOW) is None
    # The next outage is another one, of the same machinery.
    again = review(warehouse, desk, **{**given, "payload": payload("2026-11-03T09:00:00+00:00", "HubSpot is out.")})
    assert again.id == 2 and again.state == "draft"


def test_a_machine_never_approves(warehouse: Any) -> None:
    """Its author, whoever calls in its name, is refused."""
    desk = inbox()
    approval = review(warehouse, desk, author="dana")
    with pytest.raises(DataFailure, match="you asked for it"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    assert say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=LEE).changed


@pytest.mark.parametrize(
    "wrong",
    [
        {"about": "", "text": "x", "document": None, "actions": []},
        {"about": "w", "text": "", "document": None, "actions": []},
        {"about": "w", "text": "x" * 4001, "document": None, "actions": []},
        {"about": "w", "text": "x", "document": None, "actions": [{"subject": "a"}]},
        {"about": "w", "text": "x", "document": None, "actions": [{**ACTIONS[0], "severity": "loud"}]},
        {"about": "w", "text": "x", "document": None, "actions": [{**ACTIONS[0], "due_days": 0}]},
        {"about": "w", "text": "x", "document": None, "actions": [ACTIONS[0]] * 13},
    ],
)  # fmt: skip
def test_a_thread_that_cannot_be_read_is_not_asked(warehouse: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataFailure):
        review(warehouse, inbox(), payload=wrong)
    assert states(warehouse) == []


def test_hostile_words_stay_words(warehouse: Any) -> None:
    desk = inbox()
    hostile = "<!channel> <https://evil.example|click> *bold* <script>alert(1)</script> {{c:net_sales}}"
    plan = [{**ACTIONS[0], "what": hostile, "about": hostile}]
    review(warehouse, desk, title=hostile, payload=payload("w", hostile, None, plan))
    with warehouse() as connection:
        blocks = [row[0] for row in connection.execute("select payload from ops.outbox")]
    text = str(blocks)
    assert "<!channel>" not in text and "<https://evil" not in text and "<script>" not in text
    assert done(warehouse, threads.assign, desk, 1, "lee", words=hostile, key="h").changed


def test_a_document_that_changed_is_not_shown(warehouse: Any) -> None:
    from tests.approvals.stored import stored

    desk = inbox()
    number = stored(warehouse)
    with warehouse() as connection:
        digest, job = connection.execute("select digest, kind from ops.documents where id = %s", (number,)).fetchone()
    whole = {"id": number, "digest": digest, "job": job}
    review(warehouse, desk, payload=payload("w", "", whole, ACTIONS))
    assert "the one that was asked about" not in shown(warehouse, desk)
    with pytest.raises(DataFailure, match="not the one that was asked about"):
        review(warehouse, desk, subject="x", payload=payload("w", "", {**whole, "digest": "0" * 64}))


def test_a_person_is_needed(warehouse: Any) -> None:
    """The job's own name at the edge is an account like another: it is nobody's approval of its own."""
    desk = inbox()
    approval = review(warehouse, desk)
    robot = Person("job:ops_weekly_growth_review", "the job", "job:ops_weekly_growth_review")
    with pytest.raises(DataFailure):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=robot)
