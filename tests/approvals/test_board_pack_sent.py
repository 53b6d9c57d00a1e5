"""An approved board pack goes out whole: message, files in its thread, mails with files; and never unapproved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg.errors
import pytest

from ops_platform.approvals.assembly import ask_about_document, inbox_of
from ops_platform.approvals.execution import execute_approved
from ops_platform.approvals.message import document_of
from ops_platform.delivery import Posters, deliver
from ops_platform.delivery.files import contents
from ops_platform.delivery.outbox import enqueue
from ops_platform.documents.files import files_of
from ops_platform.documents.model import plain, spans_of
from ops_platform.evidence.model import Bundle
from ops_platform.settings import Settings
from ops_platform.writing import archive
from resources.email import EmailPoster, MailServer
from resources.slack_posting import SlackPoster
from tests.approvals.notes import CHANNELS, NOW, say
from tests.approvals.stored import company, stored
from tests.conftest import Connect
from tests.database.fresh_database import fresh_database
from tests.delivery.conftest import FAST
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.evidence.board_company import SQL, build

PACK, BOARD, OTHER = "board_pack", "board@northbeam.example", "leadership@northbeam.example"
NAMES = ["board-pack-2026-10.pdf", "board-pack-2026-10.pptx", "board-pack-2026-10.xlsx"]


@pytest.fixture(scope="module")
def bundle(server_home: Path, migrated: str) -> Bundle:
    with fresh_database(server_home, migrated, "board") as connect, connect() as opened:
        opened.execute(SQL.encode())
        return build(opened)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def asked(connect: Connect, number: int, *email: str) -> Any:
    inbox = inbox_of(company(), CHANNELS.__getitem__)
    with connect() as connection:
        approval = ask_about_document(
            connection, inbox, number, title="Board pack, October 2026", told_in="executive", goes_to="executive",
            wait=timedelta(days=7), now=NOW, email=email,
        )  # fmt: skip
    return inbox, approval


def test_message_files_and_mails_once_and_exactly(warehouse: Connect, bundle: Bundle, sandbox: Sandbox) -> None:
    number = stored(warehouse, bundle, PACK)
    inbox, approval = asked(warehouse, number, OTHER, BOARD)
    with warehouse() as connection:
        kept = archive.load(connection, number)
        shown = "".join(span.text for span in spans_of(document_of(connection, inbox, approval).blocks))
    made = files_of(kept.document, kept.bundle)
    # Whoever decides is told to whom it goes.
    assert (approval.payload["email"], sorted(approval.payload["files"])) == ([BOARD, OTHER], NAMES)
    assert f"{BOARD}, {OTHER}" in shown and "by e-mail to 2 addresses" in shown
    say(warehouse, inbox, "approve", approval.id, shown=approval.payload_hash)
    (done,) = execute_approved(warehouse, inbox, NOW)
    assert done.words == (
        f"Document #{number} goes to the executive channel with {', '.join(made)} in its thread, and by e-mail to"
        f" {BOARD}, {OTHER}, once, by the outbox."
    )
    given = sandbox.control("GET", "environment")
    server = MailServer.from_settings(Settings(smtp_url=given["SMTP_URL"], smtp_from=given["SMTP_FROM"]))
    assert server is not None

    def read(files: Any) -> list[bytes]:
        return contents(warehouse, files)

    posters = Posters(
        channels=SlackPoster("xoxb-sandbox", base_url=sandbox.url, timeout=20, contents=read),
        email=EmailPoster(server, read),
    )
    for _ in range(2):
        report = deliver(warehouse, posters, policy=FAST)
    assert (report.failed, report.held, report.waiting) == ([], [], [])
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
    (files,) = [e["detail"] for e in sandbox.control("GET", "ledger?vendor=slack&kind=file_shared")]
    assert sorted(files["sha256"].values()) == sorted(sums.values())
    pack = next(message for message in sandbox.posted() if message["ts"] == files["thread_ts"])
    assert "October 2026" in pack["text"]
    mails = [e["detail"] for e in sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")]
    assert sorted(mail["to"][0] for mail in mails) == [BOARD, OTHER]
    for mail in mails:
        attached = {part["name"]: part["sha256"] for part in mail["parts"] if part["disposition"] == "attachment"}
        assert attached == sums
        assert mail["subject"] == plain_title(kept)
        assert "Attached: " in mail["text"] and "Attached: " in mail["html"]


def plain_title(kept: Any) -> str:
    from ops_platform.documents.kinds import message_of
    from ops_platform.documents.model import Title

    message = message_of(kept.bundle, kept.draft, kept.document)
    return next(plain(block.text) for block in message.blocks if isinstance(block, Title))


def refused(connect: Connect, **row: Any) -> None:
    given: dict[str, Any] = {
        "kind": PACK, "period": None, "channel_key": "executive", "channel": "C0EXEC", "payload": {"text": "x"},
        "dedupe_key": "direct", **row,
    }  # fmt: skip
    with connect() as connection, pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="not what was"):
        enqueue(connection, **given)


def test_the_database_itself_refuses_an_unapproved_pack(warehouse: Connect, bundle: Bundle) -> None:
    number = stored(warehouse, bundle, PACK)
    refused(warehouse)
    refused(warehouse, document_id=number)
    refused(warehouse, kind="harmless", document_id=number)  # it is what is sent that counts, not what it is called
    inbox, approval = asked(warehouse, number, BOARD)
    refused(warehouse, document_id=number)
    say(warehouse, inbox, "approve", approval.id, shown=approval.payload_hash)
    # Approved is this document, to this channel and these addresses, with these files: nothing else.
    refused(warehouse, document_id=number, channel_key="team", channel="C0TEAM")
    refused(warehouse, document_id=number, channel_key="email", channel=OTHER)
    other = {"name": NAMES[0], "sha256": "0" * 64, "size": 1, "type": "application/pdf"}
    refused(warehouse, document_id=number, payload={"text": "x", "files": [other]})
    with warehouse() as connection:
        row = enqueue(
            connection, kind=PACK, period=None, channel_key="email", channel=BOARD, payload={"text": "x"},
            document_id=number, dedupe_key="approved",
        )  # fmt: skip
        for change in ("channel = 'else@where.example'", 'payload = payload || \'{"files": [{"sha256": "0"}]}\''):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation), connection.transaction():
                connection.execute(f"update ops.outbox set {change} where id = %s".encode(), (row.id,))
        connection.execute("update ops.outbox set state = 'sending', attempts = 1 where id = %s", (row.id,))
    # Another document of the same kind is another matter.
    with warehouse() as connection:
        again = connection.execute(
            "insert into ops.documents (kind, period_start, period_end, evidence_digest, writer, document, digest)"
            " select kind, period_start, period_end, evidence_digest, writer, document, 'other' from ops.documents"
            " where id = %s returning id",
            (number,),
        ).fetchone()
    assert again is not None
    refused(warehouse, document_id=again[0])
