"""What people may say to a request, what it leads to, and what nothing leads to."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.model import Person, fingerprint
from ops_platform.approvals.standing import person_at_terminal, person_of_slack
from ops_platform.failures import DataFailure, PermanentFailure, TransientFailure
from ops_platform.fleet.approval_policy import ApprovalPolicy
from tests.approvals.notes import DANA, DUE, LEE, NOW, POLICY, Notes, asked, events, inbox, posted, say, states

SECOND = timedelta(seconds=1)


def test_a_draft_waits_until_a_person_approves_and_is_done_once(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    assert (approval.state, approval.version, approval.payload) == ("draft", 1, {"text": "Stock is counted on Friday."})
    assert execute_approved(warehouse, desk, NOW) == [] and posted(warehouse) == []
    done = say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    assert done.changed and done.words.startswith("#1 approved: exactly version 1")
    assert posted(warehouse) == []  # approving is not doing
    (executed,) = execute_approved(warehouse, desk, NOW)
    assert (executed.state, executed.words) == ("sent", "Posted to the team channel.")
    assert execute_approved(warehouse, desk, NOW) == []
    assert posted(warehouse) == ["Stock is counted on Friday."]
    assert states(warehouse) == [(1, "sent")]
    assert events(warehouse) == ["requested", "approved", "sent"]


def test_the_fingerprint_is_of_the_whole_payload() -> None:
    # printf '{"text":"hello"}' | sha256sum
    assert fingerprint({"text": "hello"}) == "cbbbdcd27692344de5dbab3abcaba413fb0f45307267de7081401576df1cb176"
    assert fingerprint({"a": 1, "b": "x"}) == fingerprint({"b": "x", "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
    with pytest.raises(DataFailure):
        fingerprint({"a": 0.5})


def test_asking_again_changes_nothing_and_another_payload_is_another_version(warehouse: Any) -> None:
    desk = inbox()
    first = asked(warehouse, desk)
    assert asked(warehouse, desk).changes == first.changes
    second = asked(warehouse, desk, "Stock is counted on Monday.")
    assert (second.id, second.version) == (1, 2)
    with pytest.raises(DataFailure, match="has changed since you were shown it: version 2"):
        say(warehouse, desk, "approve", 1, shown=first.payload_hash)
    assert states(warehouse) == [(1, "draft")]
    say(warehouse, desk, "approve", 1, shown=second.payload_hash)
    execute_approved(warehouse, desk, NOW)
    assert posted(warehouse) == ["Stock is counted on Monday."]
    assert asked(warehouse, desk, "Stock is counted on Monday.").state == "sent"  # the same again: it was decided
    assert asked(warehouse, desk, "Stock is counted on Tuesday.").id == 2


def test_what_was_rejected_is_over(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    say(warehouse, desk, "reject", 1, shown=approval.payload_hash, words="not this week")
    with pytest.raises(DataFailure, match="was rejected by Dana Whitfield"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=LEE)
    assert execute_approved(warehouse, desk, NOW) == [] and posted(warehouse) == []
    assert asked(warehouse, desk).state == "rejected"


def test_an_edit_is_what_can_be_approved_then(warehouse: Any) -> None:
    desk = inbox()
    first = asked(warehouse, desk)
    with pytest.raises(DataFailure, match="no shouting"):
        say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "COUNT IT"})
    assert events(warehouse) == ["requested"]
    done = say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "We count stock on Friday."})
    assert done.approval.version == 2
    with pytest.raises(DataFailure, match="you wrote version 2: somebody else"):
        say(warehouse, desk, "approve", 1, shown=done.approval.payload_hash)
    say(warehouse, desk, "approve", 1, shown=done.approval.payload_hash, person=LEE)
    execute_approved(warehouse, desk, NOW)
    assert posted(warehouse) == ["We count stock on Friday."]


def test_an_edit_of_what_was_replaced_is_refused(warehouse: Any) -> None:
    desk = inbox()
    first = asked(warehouse, desk)
    asked(warehouse, desk, "Newer.")
    with pytest.raises(DataFailure, match="has changed since"):
        say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "Older, edited."})
    asked(warehouse, desk, "Newer.")
    assert events(warehouse) == ["requested", "revised"]


def test_a_kind_may_let_its_editor_approve(warehouse: Any) -> None:
    policy = ApprovalPolicy.model_validate({**POLICY.model_dump(), "rules": {"note": {"editor_may_approve": True}}})
    desk = inbox(policy=policy)
    first = asked(warehouse, desk)
    edited = say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "Mine."}).approval
    assert say(warehouse, desk, "approve", 1, shown=edited.payload_hash).changed


def test_who_asks_cannot_approve_and_may_take_it_back(warehouse: Any) -> None:
    policy = ApprovalPolicy.model_validate(
        {**POLICY.model_dump(), "rules": {"note": {"approvers": ["dana"], "editor_may_approve": True}}}
    )
    desk = inbox(policy=policy)
    approval = asked(warehouse, desk, author="dana")
    with pytest.raises(DataFailure, match="you asked for it"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    with pytest.raises(DataFailure, match="this is for Dana Whitfield to decide"):
        say(warehouse, desk, "reject", 1, shown=approval.payload_hash, person=LEE)
    assert say(warehouse, desk, "reject", 1, shown=approval.payload_hash).changed


@pytest.mark.parametrize(
    ("author", "person", "allowed"),
    [
        ("slack:U1", Person("slack:U2", "Two", "slack:U2"), True),
        ("slack:U1", Person("slack:U1", "One", "slack:U1"), False),
        # One person may have both: nobody says that these are two people.
        ("account:ann", Person("slack:U2", "Two", "slack:U2"), False),
        ("account:ann", Person("dana", "Dana", "slack:U0DANA"), False),
        ("dana", Person("slack:U2", "Two", "slack:U2"), False),
        ("dana", LEE, True),
        ("job:notes", Person("slack:U2", "Two", "slack:U2"), True),
    ],
)
def test_two_names_that_may_be_one_person_count_as_one(
    warehouse: Any, author: str, person: Person, allowed: bool
) -> None:
    desk = inbox(policy=POLICY.model_copy(update={"rules": {}}))
    approval = asked(warehouse, desk, author=author)
    if allowed:
        assert say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=person).changed
    else:
        with pytest.raises(DataFailure):
            say(warehouse, desk, "approve", 1, shown=approval.payload_hash, person=person)
        assert states(warehouse) == [(1, "draft")]


def test_people_are_recognised_by_every_name_they_have() -> None:
    assert person_of_slack(POLICY, "U0DANA", "whoever") == Person("dana", "Dana Whitfield", "slack:U0DANA")
    assert person_of_slack(POLICY, "U0NEW", "New One") == Person("slack:U0NEW", "New One", "slack:U0NEW")
    assert person_at_terminal(POLICY, "dana").id == "dana"
    assert person_at_terminal(POLICY, "root", "kim") == Person("kim", "Kim Osei", "cli:root")
    assert person_at_terminal(POLICY, "root").id == "account:root"
    with pytest.raises(DataFailure, match="this account is dana's"):
        person_at_terminal(POLICY, "dana", "kim")
    with pytest.raises(DataFailure, match="there is no 'zoe'"):
        person_at_terminal(POLICY, "root", "zoe")


def test_a_due_date_that_passes_is_a_refusal(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    with warehouse() as connection:
        assert desk.expire_due(connection, DUE - SECOND) == []
    # Whoever comes in the very second it is due comes too late, though nothing has swept it up yet.
    with pytest.raises(DataFailure, match="not decided in time, which is a refusal"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash, now=DUE)
    assert states(warehouse) == [(1, "expired")]
    assert execute_approved(warehouse, desk, DUE) == [] and posted(warehouse) == []
    asked(warehouse, desk, "Another.", subject="monday")
    with warehouse() as connection:
        assert desk.expire_due(connection, DUE + SECOND) == [2]
        assert desk.expire_due(connection, DUE + SECOND) == []
    with pytest.raises(DataFailure, match="not decided in time"):
        say(warehouse, desk, "edit", 2, shown="x", texts={"text": "Late."}, now=DUE + SECOND)


@pytest.mark.parametrize("what", ["approve", "reject", "ask", "edit"])
def test_once_it_was_too_late_it_stays_so_whatever_the_clock_says_later(warehouse: Any, what: str) -> None:
    """At the very instant it is due; and a clock that is set back does not bring it back."""
    desk = inbox()
    shown = asked(warehouse, desk).payload_hash
    given: dict[str, Any] = {"words": "why?"} if what == "ask" else {"shown": shown}
    given |= {"texts": {"text": "Another."}} if what == "edit" else {}
    with pytest.raises(DataFailure, match="was not decided in time"):
        say(warehouse, desk, what, 1, person=LEE, now=DUE, **given)
    assert states(warehouse) == [(1, "expired")] and events(warehouse) == ["requested", "expired"]
    for back in (DUE - timedelta(microseconds=1), NOW):
        with pytest.raises(DataFailure, match="was not decided in time"):
            say(warehouse, desk, "approve", 1, shown=shown, now=back)
    assert execute_approved(warehouse, desk, NOW) == [] and posted(warehouse) == []


def test_what_nobody_decided_in_time_is_asked_anew(warehouse: Any) -> None:
    """Also where nobody has looked since."""
    desk = inbox()
    asked(warehouse, desk)
    again = asked(warehouse, desk, "Newer.", now=DUE, due_at=DUE + timedelta(days=1))
    assert (again.id, again.version) == (2, 1) and states(warehouse) == [(1, "expired"), (2, "draft")]


def test_who_asks_again_takes_nothing_back_that_he_edited_since(warehouse: Any) -> None:
    desk = inbox()
    first = asked(warehouse, desk, author="dana")
    edited = say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "Better."}).approval
    again = asked(warehouse, desk, author="dana")
    assert (again.version, again.payload_hash) == (2, edited.payload_hash)


def test_words_that_are_no_whole_text_are_kept_as_what_they_are(warehouse: Any) -> None:
    desk = inbox()
    asked(warehouse, desk)
    assert say(warehouse, desk, "comment", 1, words="caf\udce9\x00 \x1b[31m").changed
    with warehouse() as connection:
        (said,) = connection.execute("select words from ops.approval_events where event = 'commented'").fetchone()
    assert said == "caf? \x1b[31m"  # what shows it makes it harmless (safe_text, Quoted)


def test_what_was_approved_in_time_is_done_late(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash, now=DUE - SECOND)
    with warehouse() as connection:
        assert desk.expire_due(connection, DUE + SECOND) == []
    execute_approved(warehouse, desk, DUE + 30 * SECOND)
    assert posted(warehouse) == ["Stock is counted on Friday."]


def test_questions_and_comments_decide_nothing(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    say(warehouse, desk, "ask", 1, words="Which warehouse?", person=LEE)
    say(warehouse, desk, "comment", 1, words="Both.", key="c1")
    with pytest.raises(DataFailure, match="say it in words"):
        say(warehouse, desk, "ask", 1, words="  ", key="c2")
    with pytest.raises(DataFailure, match="at most 2,000"):
        say(warehouse, desk, "comment", 1, words="x" * 2001, key="c3")
    assert states(warehouse) == [(1, "draft")]
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    say(warehouse, desk, "comment", 1, words="Thank you.", key="c4")
    assert events(warehouse) == ["requested", "asked", "commented", "approved", "commented"]


def test_a_word_counts_once(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    first = say(warehouse, desk, "approve", 1, shown=approval.payload_hash, key="press-1")
    again = say(warehouse, desk, "approve", 1, shown=approval.payload_hash, key="press-1")
    assert (first.changed, again.changed, again.replayed) == (True, False, True)
    with pytest.raises(DataFailure, match="is approved already by Dana Whitfield"):
        say(warehouse, desk, "approve", 1, shown=approval.payload_hash, key="press-2", person=LEE)
    with pytest.raises(DataFailure, match="used for another decision"):
        say(warehouse, desk, "reject", 1, shown=approval.payload_hash, key="press-1")
    with pytest.raises(DataFailure, match="needs a key"):
        say(warehouse, desk, "comment", 1, words="x", key=" ")


def test_two_who_press_at_once(warehouse: Any) -> None:
    """One says yes, one says no, in the same moment, many times: one of them is told it was decided."""
    desk = inbox()
    for number in range(1, 9):
        approval = asked(warehouse, desk, f"Note {number}.", subject=f"s{number}")
        start = threading.Barrier(2)
        outcomes: list[str] = []

        def press(
            what: str, who: Person, number: int = number, shown: str = approval.payload_hash,
            start: threading.Barrier = start, outcomes: list[str] = outcomes,
        ) -> None:  # fmt: skip
            start.wait()
            try:
                say(warehouse, desk, what, number, shown=shown, person=who)
                outcomes.append(what)
            except DataFailure as error:
                outcomes.append(str(error))

        pair = [threading.Thread(target=press, args=args) for args in (("approve", DANA), ("reject", LEE))]
        for thread in pair:
            thread.start()
        for thread in pair:
            thread.join()
        won = [outcome for outcome in outcomes if outcome in ("approve", "reject")]
        assert len(outcomes) == 2 and len(won) == 1, outcomes
        assert states(warehouse)[-1] == (number, {"approve": "approved", "reject": "rejected"}[won[0]])


def test_four_workers_at_once_do_it_once(warehouse: Any) -> None:
    desk = inbox()
    for number in range(1, 7):
        approval = asked(warehouse, desk, f"Note {number}.", subject=f"s{number}")
        say(warehouse, desk, "approve", number, shown=approval.payload_hash)
    found: list[Any] = []
    workers = [threading.Thread(target=lambda: found.extend(execute_approved(warehouse, desk, NOW))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(one.approval_id for one in found) == [1, 2, 3, 4, 5, 6]
    assert sorted(posted(warehouse)) == [f"Note {number}." for number in range(1, 7)]


def test_what_fails_for_now_is_tried_again_and_leaves_nothing(warehouse: Any) -> None:
    notes = Notes([TransientFailure("the outbox is away")])
    desk = inbox(notes)
    approval = asked(warehouse, desk)
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    assert execute_approved(warehouse, desk, NOW) == []
    assert (states(warehouse), posted(warehouse)) == ([(1, "approved")], [])
    assert [one.state for one in execute_approved(warehouse, desk, NOW)] == ["sent"]
    assert posted(warehouse) == ["Stock is counted on Friday."]


def test_what_fails_for_good_is_told_and_a_person_may_have_it_tried_again(warehouse: Any) -> None:
    desk = inbox(Notes([PermanentFailure("the channel is archived"), PermanentFailure("still archived")]))
    approval = asked(warehouse, desk)
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    assert [one.words for one in execute_approved(warehouse, desk, NOW)] == ["the channel is archived"]
    assert (states(warehouse), posted(warehouse)) == ([(1, "failed")], [])
    assert execute_approved(warehouse, desk, NOW) == []
    with pytest.raises(DataFailure, match="approved and not done yet"):
        asked(warehouse, desk, "Another.")
    for key in ("r1", "r2"):
        say(warehouse, desk, "retry", 1, key=key)
        execute_approved(warehouse, desk, NOW)
    assert events(warehouse) == ["requested", "approved", "failed", "retried", "failed", "retried", "sent"]
    assert posted(warehouse) == ["Stock is counted on Friday."]
    with pytest.raises(DataFailure, match="has not failed"):
        say(warehouse, desk, "retry", 1, key="r3")


def test_a_kind_nobody_knows_and_a_day_gone_by_are_refused(warehouse: Any) -> None:
    with pytest.raises(DataFailure, match="nothing here knows"):
        asked(warehouse, inbox(), kind="spell")
    with pytest.raises(DataFailure, match="before it is asked for"):
        asked(warehouse, inbox(), due_at=NOW)
    with pytest.raises(DataFailure, match="there is no request #7"):
        say(warehouse, inbox(), "approve", 7, shown="x")


# What the database itself refuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        'update ops.approval_versions set payload = \'{"text": "other"}\'',
        "delete from ops.approval_versions",
        "update ops.approval_events set event = 'approved'",
        "delete from ops.approval_events",
        "truncate ops.approval_events",
        "truncate ops.approval_versions cascade",
        # No word of a person's, no state beyond a draft.
        "update ops.approvals set state = 'approved'",
        "update ops.approvals set state = 'sent'",
        # No approval, no execution; and none that covers another payload.
        "insert into ops.approval_events (approval_id, version, payload_hash, event, actor, actor_name, via,"
        " idempotency_key, at) select 1, 1, payload_hash, 'sent', 'x', 'x', 'x', 'x', now() from ops.approval_versions",
        "insert into ops.approval_events (approval_id, version, payload_hash, event, actor, actor_name, via,"
        " idempotency_key, at) values (1, 1, repeat('0', 64), 'approved', 'x', 'x', 'x', 'x', now())",
    ],
)
def test_the_record_only_grows_and_nothing_is_done_unapproved(warehouse: Any, statement: str) -> None:
    asked(warehouse, inbox())
    with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(statement)


def test_a_decision_is_made_once_and_not_taken_back(warehouse: Any) -> None:
    desk = inbox()
    approval = asked(warehouse, desk)
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    again = (
        "insert into ops.approval_events (approval_id, version, payload_hash, event, actor, actor_name, via,"
        f" idempotency_key, at) values (1, 1, '{approval.payload_hash}', 'rejected', 'x', 'x', 'x', 'x', now())"
    )
    for statement in (again, "update ops.approvals set state = 'draft'"):
        with warehouse() as connection, pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(statement)


def test_a_payload_that_is_not_the_approved_one_is_not_done(warehouse: Any) -> None:
    """Somebody with the rights of an administrator exchanges the payload behind the record's back."""
    desk = inbox()
    approval = asked(warehouse, desk)
    say(warehouse, desk, "approve", 1, shown=approval.payload_hash)
    with warehouse() as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute('update ops.approval_versions set payload = \'{"text": "Pay 5000 USD"}\'')
    (executed,) = execute_approved(warehouse, desk, NOW)
    assert executed.state == "failed" and "not the one that was approved" in executed.words
    assert posted(warehouse) == []


def test_a_run_that_repeats_itself_does_not_undo_an_edit(warehouse: Any) -> None:
    desk = inbox()
    first = asked(warehouse, desk)
    edited = say(warehouse, desk, "edit", 1, shown=first.payload_hash, texts={"text": "Edited."}).approval
    assert asked(warehouse, desk).payload == {"text": "Edited."}
    say(warehouse, desk, "approve", 1, shown=edited.payload_hash, person=LEE)
    execute_approved(warehouse, desk, NOW)
    assert asked(warehouse, desk).state == "sent"
    assert asked(warehouse, desk, "From newer data.").id == 2
