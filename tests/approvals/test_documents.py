"""Documents that wait for a person: what is shown, what an editor may write, and that exactly the approved is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ops_platform.approvals.assembly import OutboxSender, ask_about_document, inbox_of
from ops_platform.approvals.documents import DocumentSubject
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.inbox import Inbox
from ops_platform.approvals.message import document_of
from ops_platform.approvals.model import Approval
from ops_platform.approvals.subjects import Registry
from ops_platform.documents import slack
from ops_platform.documents.model import plain, spans_of
from ops_platform.failures import DataFailure
from ops_platform.writing import archive
from tests.approvals.notes import CHANNELS, DANA, LEE, NOW, POLICY, say, states
from tests.approvals.stored import JOB, company, stored
from tests.evidence.bundles import fact, morning


def desk(*, channel: bool = True) -> Inbox:
    policy = {"people": POLICY.model_dump()["people"], "rules": {JOB: {"editor_may_approve": True}}}
    fleet = company()
    fleet = fleet.model_copy(update={"approvals": type(POLICY).model_validate(policy)})
    return inbox_of(fleet, CHANNELS.__getitem__ if channel else None)


def asked(connect: Any, inbox: Inbox, document_id: int) -> Approval:
    with connect() as connection:
        return ask_about_document(
            connection, inbox, document_id, title="Pulse of Thursday", told_in="executive", goes_to="team",
            wait=timedelta(days=3), now=NOW,
        )  # fmt: skip


def sent(connect: Any) -> list[tuple[Any, ...]]:
    with connect() as connection:
        return connection.execute(
            "select channel, document_id, payload from ops.outbox where kind = %s order by created_at, dedupe_key",
            (JOB,),
        ).fetchall()


def documents(connect: Any) -> int:
    with connect() as connection:
        return int(connection.execute("select count(*) from ops.documents").fetchone()[0])


def test_nothing_is_sent_before_and_exactly_the_shown_after(warehouse: Any) -> None:
    inbox = desk()
    number = stored(warehouse)
    approval = asked(warehouse, inbox, number)
    assert asked(warehouse, inbox, number) == approval  # a run that repeats itself asks once
    assert sent(warehouse) == []
    with warehouse() as connection:
        document = archive.load(connection, number).document
    assert approval.payload == {
        "document": number, "job": JOB, "digest": document.digest, "files": {}, "channel": "team",
    }  # fmt: skip
    say(warehouse, inbox, "approve", 1, shown=approval.payload_hash)
    (executed,) = execute_approved(warehouse, inbox, NOW)
    assert (executed.state, executed.words) == (
        "sent",
        f"Document #{number} goes to the team channel, once, by the outbox.",
    )
    assert execute_approved(warehouse, inbox, NOW) == []
    ((channel, document_id, payload),) = sent(warehouse)
    assert (channel, document_id) == ("C0TEAM", number)
    assert payload == slack.render(document)[0].payload()


def test_the_request_shows_the_whole_message_and_who_wrote_it(warehouse: Any) -> None:
    inbox = desk()
    approval = asked(warehouse, inbox, stored(warehouse))
    with warehouse() as connection:
        shown = document_of(connection, inbox, approval)
        document = archive.load(connection, 1).document
    words = "".join(plain((span,)) for span in spans_of(shown.blocks))
    for span in spans_of(document.blocks):
        assert plain((span,)) in words
    assert "written by rules: no model is connected, every number from its evidence" in words
    assert "sends this document to the SLACK_CHANNEL_TEAM channel" not in words
    assert "sends this document to the team channel" in words


def test_an_edit_keeps_claims_bound_and_is_a_document_of_its_own(warehouse: Any) -> None:
    inbox = desk()
    number = stored(warehouse)
    first = asked(warehouse, inbox, number)
    with warehouse() as connection:
        before = archive.load(connection, number)
    text = "Net sales were {{c:net_sales}} on {{c:net_sales.period}}."
    done = say(warehouse, inbox, "edit", 1, shown=first.payload_hash, texts={"headline": text})
    edited = int(done.approval.payload["document"])
    assert edited != number and documents(warehouse) == 2
    with warehouse() as connection:
        after = archive.load(connection, edited)
        assert archive.replay(after).same and archive.replay(before).same
    assert after.draft.slots["headline"] == text
    assert {k: v for k, v in after.draft.slots.items() if k != "headline"} == {
        k: v for k, v in before.draft.slots.items() if k != "headline"
    }
    assert after.bundle == before.bundle
    assert after.edited == {"of": number, "by": "Dana Whitfield", "slots": ["headline"]}
    assert archive.written_by(after).endswith("edited by Dana Whitfield")
    shown = "".join(plain((span,)) for span in spans_of(after.document.blocks))
    assert "Net sales were $11,235 on Thursday 19 November." in shown
    assert "edited by Dana Whitfield" in shown  # the reader is told, too
    assert {("net_sales", "value"), ("net_sales", "period")} <= {(one.fact, one.path) for one in after.document.claims}
    say(warehouse, inbox, "approve", 1, shown=done.approval.payload_hash)
    execute_approved(warehouse, inbox, NOW)
    assert [document_id for _, document_id, _ in sent(warehouse)] == [edited]
    assert asked(warehouse, inbox, number).state == "sent"  # the run that made the draft does not ask again


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ({"headline": "Net sales were $11,235."}, "headline"),
        ({"headline": "Net sales were eleven thousand dollars."}, "headline"),
        ({"headline": "Net sales {{c:net_sales}}, up {{c:net_sales.abs_delta_pct}}."}, "'up' contradicts"),
        ({"headline": "Orders stood at {{c:net_sales}}."}, "headline"),
        ({"headline": "Net sales {{c:made_up}}."}, "no fact 'made_up'"),
        ({"headline": "Net sales {{c:net_sales}}, see https://evil.example."}, "headline"),
        ({"headline": "<!channel> Net sales {{c:net_sales}}."}, "headline"),
        ({"headline": ""}, "must be filled"),
        ({"headline": "Net sales {{c:net_sales"}, "malformed"),
        ({"footer": "Net sales {{c:net_sales}}."}, "no text called footer"),
    ],
)  # fmt: skip
def test_an_editor_may_write_what_a_model_may_and_no_more(warehouse: Any, texts: dict[str, str], why: str) -> None:
    inbox = desk()
    first = asked(warehouse, inbox, stored(warehouse))
    with pytest.raises(DataFailure, match=why):
        say(warehouse, inbox, "edit", 1, shown=first.payload_hash, texts=texts)
    assert documents(warehouse) == 1
    with warehouse() as connection:
        assert connection.execute("select version, state from ops.approvals").fetchone() == (1, "draft")


def test_two_edits_keep_both_names_and_the_same_text_is_no_edit(warehouse: Any) -> None:
    inbox = desk()
    first = asked(warehouse, inbox, stored(warehouse))
    texts = {"headline": "Net sales were {{c:net_sales}}."}
    one = say(warehouse, inbox, "edit", 1, shown=first.payload_hash, texts=texts).approval
    again = say(warehouse, inbox, "edit", 1, shown=one.payload_hash, texts=texts, key="again")
    assert not again.changed and again.approval.version == 2
    two = say(
        warehouse, inbox, "edit", 1, shown=one.payload_hash, person=LEE,
        texts={"headline": "Net sales: {{c:net_sales}}."},
    ).approval  # fmt: skip
    with warehouse() as connection:
        note = archive.load(connection, int(two.payload["document"])).draft.note or ""
    assert note.startswith("edited by Lee Moran; edited by Dana Whitfield; written by rules")


@pytest.mark.parametrize("table", ["document", "bundle"])
def test_a_document_that_was_altered_after_the_approval_is_not_sent(warehouse: Any, table: str) -> None:
    inbox = desk()
    approval = asked(warehouse, inbox, stored(warehouse))
    say(warehouse, inbox, "approve", 1, shown=approval.payload_hash)
    with warehouse() as connection:
        if table == "document":
            connection.execute("update ops.documents set document = replace(document::text, '11,235', '99,999')::jsonb")
        else:
            connection.execute(
                "update ops.evidence_bundles set payload = replace(payload::text, '11234', '99999')::jsonb"
            )
    (executed,) = execute_approved(warehouse, inbox, NOW)
    assert executed.state == "failed" and sent(warehouse) == []
    assert "not the one that was asked about" in executed.words or "altered" in executed.words


def test_a_layout_that_changed_since_the_approval_is_not_sent(warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops_platform.documents import kinds

    inbox = desk()
    approval = asked(warehouse, inbox, stored(warehouse))
    say(warehouse, inbox, "approve", 1, shown=approval.payload_hash)
    newer = {"pulse": lambda bundle, draft: replace(kinds.pulse.compose_pulse(bundle, draft), language="de")}
    monkeypatch.setattr(kinds, "COMPOSERS", newer)
    (executed,) = execute_approved(warehouse, inbox, NOW)
    assert executed.state == "failed" and "laid out differently now: language" in executed.words
    assert sent(warehouse) == []
    monkeypatch.undo()
    say(warehouse, inbox, "retry", 1)
    assert [one.state for one in execute_approved(warehouse, inbox, NOW)] == ["sent"]


def test_files_are_the_approved_bytes_or_nothing_is_sent(warehouse: Any) -> None:
    made: dict[str, bytes] = {"pack.pdf": b"%PDF one"}
    got: list[Mapping[str, bytes]] = []

    class Sender:
        def __call__(self, connection: Any, archived: Any, files: Mapping[str, bytes], **_: Any) -> str:
            got.append(files)
            return "Sent."

    subject = DocumentSubject(Sender(), lambda archived: dict(made))
    inbox = replace(desk(), subjects=Registry({JOB: subject}))
    approval = asked(warehouse, inbox, stored(warehouse))
    assert approval.payload["files"] == {"pack.pdf": hashlib.sha256(b"%PDF one").hexdigest()}
    say(warehouse, inbox, "approve", 1, shown=approval.payload_hash)
    made["pack.pdf"] = b"%PDF two"
    (executed,) = execute_approved(warehouse, inbox, NOW)
    assert (executed.state, executed.words) == ("failed", "files are not those that were approved: pack.pdf")
    made["pack.pdf"] = b"%PDF one"
    say(warehouse, inbox, "retry", 1)
    execute_approved(warehouse, inbox, NOW)
    assert got == [{"pack.pdf": b"%PDF one"}]


def test_without_a_channel_it_waits_for_one(warehouse: Any) -> None:
    inbox = desk(channel=False)
    approval = asked(warehouse, inbox, stored(warehouse))
    assert approval.outbox_id is None
    say(warehouse, inbox, "approve", 1, shown=approval.payload_hash)
    (executed,) = execute_approved(warehouse, inbox, NOW)
    assert executed.state == "failed" and "set SLACK_BOT_TOKEN" in executed.words
    connected = replace(inbox, subjects=Registry({JOB: DocumentSubject(OutboxSender(CHANNELS.__getitem__))}))
    say(warehouse, connected, "retry", 1, person=DANA)
    execute_approved(warehouse, connected, NOW)
    assert len(sent(warehouse)) == 1


def test_newer_evidence_asks_anew_and_the_old_button_counts_no_more(warehouse: Any) -> None:
    inbox = desk()
    first = asked(warehouse, inbox, stored(warehouse))
    moved = morning(net_sales=fact("net_sales", "Net sales", "money", "11250.00"))
    second = asked(warehouse, inbox, stored(warehouse, moved))
    assert (second.id, second.version) == (first.id, 2)
    with pytest.raises(DataFailure, match="has changed since you were shown it"):
        say(warehouse, inbox, "approve", 1, shown=first.payload_hash)
    assert states(warehouse) == [(1, "draft")]
