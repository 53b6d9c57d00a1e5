"""`ops approval …` on a real database: what it shows, what it does, who it lets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from click.testing import CliRunner, Result

from ops_platform.approvals.assembly import ask_about_document, inbox_of
from ops_platform.approvals.model import Person
from ops_platform.cli import cli
from ops_platform.commands.approval import as_text, from_text
from ops_platform.failures import DataFailure
from ops_platform.fleet import get_fleet, reset_fleet
from ops_platform.settings import PROJECT_ROOT, reset_settings
from tests.approvals.campaign import campaign
from tests.approvals.notes import DUE, NOW, POLICY, states
from tests.approvals.stored import JOB, stored

Ops = Callable[..., Result]


@pytest.fixture
def ops(warehouse: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ops]:
    """Runs a command as a person would, on this test's database; the account is `dana`'s unless said otherwise."""
    company = yaml.load((PROJECT_ROOT / "fleet.yaml").read_text(), Loader=yaml.CSafeLoader)
    company["approvals"] = {"people": POLICY.model_dump()["people"], "rules": {JOB: {"approvers": ["dana", "lee"]}}}
    (tmp_path / "fleet.yaml").write_text(yaml.dump(company, Dumper=yaml.CSafeDumper))
    monkeypatch.setenv("OPS_FLEET_FILE", str(tmp_path / "fleet.yaml"))
    monkeypatch.setenv("OPS_NOW", NOW.isoformat())
    monkeypatch.setenv("SLACK_CHANNEL_EXECUTIVE", "C0EXEC")
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: warehouse())
    monkeypatch.setattr("os.getuid", lambda: 1000)
    monkeypatch.setattr("pwd.getpwuid", lambda number: SimpleNamespace(pw_name="dana" if number else "root"))
    reset_settings()
    reset_fleet()
    number = stored(warehouse)
    with warehouse() as connection:
        ask_about_document(
            connection, inbox_of(get_fleet(), lambda key: "C0EXEC"), number, title="Pulse \x1b[31mof Thursday",
            told_in="executive", goes_to="executive", wait=DUE - NOW, now=NOW,
        )  # fmt: skip
    yield lambda *arguments, **more: CliRunner().invoke(cli, ["approval", *arguments], **more)
    reset_settings()
    reset_fleet()


def fingerprint(ops: Ops) -> str:
    return str(json.loads(ops("show", "1", "--json").output)["payload_hash"])


def test_looking_changes_nothing(ops: Ops, warehouse: Any) -> None:
    listed = ops("list")
    assert listed.exit_code == 0 and "draft" in listed.output and "due Thu 05 Nov 09:00" in listed.output
    shown = ops("show", "1").output
    assert "fingerprint " + fingerprint(ops) in shown
    assert "Net sales" in shown and "requested version 1 by ops_pulse" in shown
    assert "\x1b[31m" not in listed.output + shown
    assert json.loads(ops("list", "--json").output)[0]["state"] == "draft"
    assert ops("show", "1", "--version", "1").exit_code == 0
    assert isinstance(ops("show", "1", "--version", "2").exception, DataFailure)
    assert states(warehouse) == [(1, "draft")]


def test_approving_names_what_was_shown(ops: Ops, warehouse: Any) -> None:
    assert ops("approve", "1").exit_code == 2  # no terminal to ask at
    assert ops("approve", "1", "--shown", "abc").exit_code == 2
    assert ops("approve", "1", "--shown", fingerprint(ops)[:11]).exit_code == 2  # another could be made to begin so
    wrong = ops("approve", "1", "--shown", "0" * 12)
    assert "has changed since you were shown it" in str(wrong.exception)
    assert states(warehouse) == [(1, "draft")]
    # Not connected to Slack: the approval stands, and what it asks for fails until there is a channel.
    done = ops("approve", "1", "--shown", fingerprint(ops)[:12], "--note", "good", "--key", "k")
    assert done.exit_code == 1 and "approved: exactly version 1" in done.output
    assert "set SLACK_BOT_TOKEN" in done.output
    assert states(warehouse) == [(1, "failed")]
    with warehouse() as connection:
        row = connection.execute(
            "select actor, via, words from ops.approval_events where event = 'approved'"
        ).fetchone()
    assert row == ("dana", "cli:dana", "good")


def test_once_there_is_a_channel_it_is_sent_once(ops: Ops, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ops("approve", "1", "--shown", fingerprint(ops)[:12])
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-nobody-there")
    monkeypatch.setenv("SLACK_BASE_URL", "http://127.0.0.1:9")
    reset_settings()
    again = ops("retry", "1")
    assert again.exit_code == 0 and "goes to the executive channel" in again.output
    assert states(warehouse) == [(1, "sent")]
    assert "message to executive: pending" in ops("show", "1").output  # done is not yet delivered, and it says so
    with warehouse() as connection:
        count = connection.execute("select count(*) from ops.outbox where kind = %s", (JOB,)).fetchone()
    assert count == (1,)
    assert isinstance(ops("retry", "1").exception, DataFailure)


def test_rejecting_asking_and_commenting(ops: Ops, warehouse: Any) -> None:
    assert ops("ask", "1", "Why so low?").exit_code == 0
    assert ops("comment", "1", "See the watch.").exit_code == 0
    answer = json.loads(ops("reject", "1", "--shown", fingerprint(ops), "--json").output)
    assert (answer["state"], answer["changed"], answer["result"]) == ("rejected", True, None)
    assert "rejected" in ops("list", "--all").output and "nothing waits" in ops("list").output
    shown = ops("show", "1").output
    assert "asked version 1 by Dana Whitfield (cli:dana): Why so low?" in shown


def test_who_may(ops: Ops, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fingerprint(ops)
    assert "account is dana's" in str(ops("approve", "1", "--shown", shown, "--as", "lee").exception)
    monkeypatch.setenv("USER", "lee")  # the environment says what it is told to
    monkeypatch.setenv("SUDO_USER", "lee")
    assert "account is dana's" in str(ops("reject", "1", "--shown", shown, "--as", "lee").exception)
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert "this is for Dana Whitfield, Lee Moran" in str(ops("approve", "1", "--shown", shown).exception)
    assert "this is for" in str(ops("approve", "1", "--shown", shown, "--as", "kim").exception)
    monkeypatch.setenv("SUDO_USER", "dana")
    assert "account is dana's" in str(ops("reject", "1", "--shown", shown, "--as", "lee").exception)
    monkeypatch.delenv("SUDO_USER")
    assert ops("reject", "1", "--shown", shown, "--as", "lee").exit_code == 0
    assert states(warehouse) == [(1, "rejected")]


def test_editing_by_options_by_file_and_in_an_editor(
    ops: Ops, warehouse: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ops("edit", "1", "--text", "headline=Net sales were $9.")
    assert "may not be published" in str(refused.exception)
    assert "version 2" in ops("edit", "1", "--text", "headline=Net sales were {{c:net_sales}}.").output
    (tmp_path / "texts.md").write_text("# a comment\n## headline\nNet sales:\n{{c:net_sales}}.\n")
    assert "version 3" in ops("edit", "1", "--file", str(tmp_path / "texts.md")).output
    assert (
        "version 4" in ops("edit", "1", "--file", "-", input="## headline\nNet sales stood at {{c:net_sales}}.").output
    )
    seen = []

    def editor(text: str, **_: Any) -> str:
        seen.append(text)
        return text.replace("stood at", "reached")

    monkeypatch.setattr("click.edit", editor)
    assert "version 5" in ops("edit", "1").output
    assert "## headline\n# " in seen[0] and "Net sales stood at {{c:net_sales}}." in seen[0]
    monkeypatch.setattr("click.edit", lambda *_, **__: None)
    assert "nothing was changed" in ops("edit", "1").output
    assert "you wrote version 2" in str(ops("approve", "1", "--shown", fingerprint(ops)).exception)


def test_what_an_editor_is_shown_comes_back_as_it_was(ops: Ops, warehouse: Any) -> None:
    from ops_platform.approvals import store

    with warehouse() as connection:
        approval = store.load(connection, 1)
        texts = inbox_of(get_fleet(), None).subjects.of(JOB).texts(connection, approval.payload)
    assert from_text(as_text(approval, texts)) == {name: text.text for name, text in texts.items()}
    with pytest.raises(DataFailure, match="stands under no"):
        from_text("Net sales are fine.\n## headline\nx")


def test_paragraphs_come_back_from_an_editor(ops: Ops) -> None:
    """A campaign's body has some; what nobody changed is the same afterwards."""
    from ops_platform.approvals.campaigns import CampaignSubject

    subject = CampaignSubject(ZoneInfo("America/New_York"))
    made = campaign()
    texts = subject.texts(None, made)  # type: ignore[arg-type]
    approval = SimpleNamespace(id=1, version=1, title="Win-back")
    written = from_text(as_text(approval, texts))  # type: ignore[arg-type]
    assert written == {name: text.text for name, text in texts.items()} and "\n\n" in written["long_away_body"]
    revised = subject.revised(None, made, written, Person("lee", "Lee Moran", "cli:lee"))  # type: ignore[arg-type]
    assert revised.payload == made
    assert from_text("## a\none\ntwo\n\n\n  three  four\n\n## b\n")["a"] == "one two\n\nthree four"
    with pytest.raises(DataFailure, match="stands there twice"):
        from_text("## a\none\n## a\ntwo\n")


def test_what_is_overdue_is_refused_whoever_looks(ops: Ops, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fingerprint(ops)
    monkeypatch.setenv("OPS_NOW", (DUE + timedelta(seconds=1)).isoformat())
    reset_settings()
    assert isinstance(ops("approve", "1", "--shown", shown).exception, DataFailure)
    assert "nothing waits" in ops("list").output
    assert states(warehouse) == [(1, "expired")]


def test_the_job_and_its_sensor(ops: Ops, warehouse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster import RunRequest, build_op_context, build_sensor_context

    from jobs.approvals import settle_approvals
    from ops_platform.settings import Environment
    from sensors.approvals import approvals_sensor

    class Here:
        connect = staticmethod(warehouse)

    def ticks() -> list[Any]:
        data = approvals_sensor(Environment.DEVELOPMENT).evaluate_tick(build_sensor_context())
        return list(data.run_requests or []) or [data.skip_message]

    assert "nothing is approved" in ticks()[0]
    monkeypatch.setenv("OPS_NOW", (DUE + timedelta(seconds=1)).isoformat())
    reset_settings()
    (asked,) = ticks()
    assert isinstance(asked, RunRequest) and asked.run_key is not None
    settle_approvals(build_op_context(resources={"warehouse": Here()}))
    assert states(warehouse) == [(1, "expired")]
    assert "nothing is approved" in ticks()[0]
