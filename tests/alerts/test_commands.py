"""`ops alert …` on a real database: what it shows, what it does, its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops_platform.cli import cli
from ops_platform.failures import DataFailure
from ops_platform.fleet import reset_fleet
from ops_platform.settings import reset_settings
from tests.alerts.scenes import MORNING, signal, turn

Ops = Callable[..., Result]


@pytest.fixture
def ops(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ops]:
    """Runs a command as a person would, on this test's database, on the second morning."""
    monkeypatch.setenv("OPS_NOW", (MORNING + timedelta(hours=2)).isoformat())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr("ops_platform.database.connect", lambda *_, **__: desk())
    reset_settings()
    reset_fleet()
    yield lambda *arguments: CliRunner().invoke(cli, ["alert", *arguments])
    reset_settings()
    reset_fleet()


def test_the_whole_life_of_an_alert_at_a_terminal(ops: Ops, desk: Any) -> None:
    assert "nothing is the matter" in ops("list").output
    turn(desk, signal(), signal("orders", dimension="channel", value="a\x1b[31m"))
    assert "net sales" in ops("list").output
    assert "acknowledged:" in ops("ack", "1", "--by", "kim", "--key", "one").output
    replay = json.loads(ops("ack", "1", "--by", "kim", "--key", "one", "--json").output)
    assert (replay["replayed"], replay["changed"]) == (True, False)
    assert "assigned to lee" in ops("assign", "1", "lee", "--by", "kim").output
    assert "silent until Wednesday 2026-11-04" in ops("snooze", "1", "--days", "1").output
    assert "speaks again" in ops("unsnooze", "1").output
    assert "muted from 2026-11-02 to 2026-11-10" in ops("mute", "1", "--to", "2026-11-10", "--reason", "move").output
    assert "🔇 metric:net_sales" in ops("list").output
    assert "speaks again" in ops("unmute", "net_sales").output
    assert "noted as noise" in ops("noise", "1", "--note", "the usual Monday").output
    shown = ops("show", "1").output
    for part in ("acknowledge by kim (cli)", "the usual Monday", "told_opened", "alerts: pending", "expected 10000"):
        assert part in shown
    listed = json.loads(ops("list", "--json").output)
    assert {one["id"]: one["acknowledged_by"] for one in listed["alerts"]} == {1: "kim", 2: None}
    assert "metric:net_sales" in ops("precision").output
    assert "\x1b[31m" not in ops("list").output + ops("show", "2").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ack", "99"), "no alert #99"),
        (("show", "99"), "no alert #99"),
        (("snooze", "1", "--until", "2026-11-07"), "next business day is 2026-11-09"),
        (("mute", "net_slaes", "--to", "2026-11-10"), "ever looked at"),
    ],
)
def test_what_cannot_be_done_says_what_can(ops: Ops, desk: Any, arguments: tuple[str, ...], says: str) -> None:
    turn(desk, signal())
    result = ops(*arguments)
    assert isinstance(result.exception, DataFailure)  # `main` makes one line and exit code 1 of it
    assert says in str(result.exception)


@pytest.mark.parametrize(
    "arguments", [("snooze", "1"), ("snooze", "1", "--days", "1", "--until", "2026-11-09"), ("ack",), ("mute", "x"),
                  ("mute", "x", "--to", "2026-11-10", "--part", "amazon")],
)  # fmt: skip
def test_wrong_use_is_two(ops: Ops, arguments: tuple[str, ...]) -> None:
    assert ops(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command",
    ["list", "show", "ack", "assign", "snooze", "unsnooze", "mute", "unmute", "useful", "noise", "precision"],
)
def test_every_command_shows_an_example(command: str) -> None:
    assert f"ops alert {command}" in CliRunner().invoke(cli, ["alert", command, "--help"]).output
