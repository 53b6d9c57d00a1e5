"""`ops outbox` and the doctor's word on e-mail, as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.delivery import enqueue
from ops_platform.delivery.email import enqueue_words
from ops_platform.settings import reset_settings
from tests.conftest import Connect
from tests.delivery.sandboxed import Sandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def machine(warehouse: Connect, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """The platform as its settings name it, connected to the sandbox's Slack and mail server."""
    given = sandbox.control("GET", "environment")
    for name in ("SMTP_URL", "SMTP_FROM", "SLACK_BOT_TOKEN", "SLACK_BASE_URL"):
        monkeypatch.setenv(name, given[name])
    monkeypatch.setenv("OPS_HOME", str(tmp_path))
    reset_settings()
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda *_, **__: None)
    yield warehouse
    reset_settings()


def ops(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["outbox", *words], standalone_mode=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def held(connect: Connect) -> Any:
    """A mail that was handed over and never answered, as a killed worker leaves it."""
    with connect() as conn:
        (row,) = enqueue_words(conn, kind="note", to=["board@northbeam.example"], subject="S", text="Words.", key="k")
        conn.execute("update ops.outbox set state = 'held', attempts = 1, error = 'unclear' where id = %s", (row.id,))
        conn.execute(
            "insert into ops.outbox_handovers (outbox_id, attempt, known_as, at) values (%s, 1, '<x@y>', now())",
            (row.id,),
        )
    return row


def test_what_is_held_is_shown_and_confirmed(machine: Connect) -> None:
    assert ops("list") == (0, "everything is there (--all shows what was sent)\n")
    row = held(machine)
    short = str(row.id)[:8]
    code, said = ops("list")
    assert (code, said.split()[:2]) == (0, [short, "held"]) and "board@northbeam.example" in said and "unclear" in said
    code, said = ops("show", short)
    assert "attempt 1 handed over" in said and "<x@y>" in said and said.endswith("Words.\n")
    (listed,) = json.loads(ops("list", "--json")[1])
    assert (listed["state"], listed["channel_key"]) == ("held", "email")
    code, said = ops("confirm", short, "--by", "Dana")
    assert code == 0 and "sent" in said
    with machine() as conn:
        assert conn.execute("select external_id, error from ops.outbox").fetchone() == ("<x@y>", "confirmed by Dana")
    assert ops("list")[1].startswith("everything is there")


def test_what_is_not_there_is_sent_again_at_once(machine: Connect, sandbox: Sandbox) -> None:
    row = held(machine)
    code, said = ops("resend", str(row.id)[:6])
    assert code == 0 and " sent " in said
    taken = [e["detail"]["message_id"] for e in sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")]
    assert taken.count(f"<{row.id}@northbeam.example>") == 1


def test_a_failed_message_is_asked_for_again_and_a_held_one_may_be_left(machine: Connect) -> None:
    row = held(machine)
    assert ops("drop", str(row.id))[0] == 0
    with machine() as conn:
        failed = enqueue(
            conn, kind="n", period=None, channel_key="team", channel="C0NOWHERE", payload={"text": "x"}, dedupe_key="n"
        )
        conn.execute("update ops.outbox set state = 'failed' where id = %s", (failed.id,))
    code, said = ops("resend", str(failed.id)[:8])
    assert code == 1 and "channel_not_found" in said


def test_wrong_use_says_so(machine: Connect) -> None:
    assert ops("show", "xyz!")[0] == 2
    from ops_platform.failures import DataFailure

    with pytest.raises(DataFailure, match="no message begins"):
        ops("show", "abcdef12")


def test_the_doctor_tries_the_mail_server(machine: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops_platform.commands.doctor import email_finding
    from ops_platform.settings import get_settings

    good = email_finding(get_settings())
    assert (good.state, good.check) == ("ok", "e-mail")
    assert "STARTTLS, logged in as ops@northbeam.example" in good.detail
    monkeypatch.setenv("SMTP_URL", str(get_settings().smtp_url.get_secret_value()).replace("sandbox%20mail", "wrong"))  # type: ignore[union-attr]
    reset_settings()
    bad = email_finding(get_settings())
    assert (bad.state, "535" in bad.detail, "wrong" in bad.detail) == ("failed", True, False)
    monkeypatch.setenv("SMTP_URL", "smtp://127.0.0.1:1?tls=none")
    reset_settings()
    assert "refused" in email_finding(get_settings()).detail.lower()
    monkeypatch.setenv("SMTP_URL", "")
    reset_settings()
    assert email_finding(get_settings()).state == "not connected"
