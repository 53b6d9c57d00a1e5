"""POST /playbook-runner by real HTTP: the five answers, and that nothing is learned or started without the secret."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops_platform.commands.trigger import listener_of
from ops_platform.failures import ConfigurationError
from ops_platform.playbooks import record
from ops_platform.playbooks.catalogue import plan_of_file
from ops_platform.playbooks.engine import run
from ops_platform.settings import get_settings, reset_settings
from resources.playbook_trigger import Answer, Asked, TriggerListener
from tests.conftest import Connect
from tests.playbooks.conftest import Ops
from tests.playbooks.shop import HTTP, NOW, call, house, machine
from tests.playbooks.shop import playbook as text_of

SECRET = "a-secret-of-enough-length"
RIGHT = {"Authorization": f"Bearer {SECRET}"}


class Runner:
    """What the listener is given to run: it notes what it was asked, and answers as its test wants."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Any = Answer(200, {"success": True})

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert isinstance(self.answer, Answer)
        return self.answer


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def listener(runner: Runner) -> Iterator[TriggerListener]:
    made = TriggerListener(runner, SECRET)
    made.start()
    yield made
    made.stop()


def ask(
    listener: TriggerListener,
    target: str,
    headers: dict[str, str],
    body: bytes = b"",
    method: str = "POST",
    timeout: float = 5,
) -> tuple[int, dict[str, Any]]:
    host, port = listener.url.split("/")[2].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    connection.request(method, target, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": SECRET}, {"Authorization": f"Basic {SECRET}"}, {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {SECRET}x"}, {"Authorization": f"Bearer {SECRET[:-1]}"},
        {"Authorization": "Bearer é"},
    ],
)  # fmt: skip
def test_without_the_secret_nothing_is_learned(
    listener: TriggerListener, runner: Runner, headers: dict[str, str]
) -> None:
    for target in ("/playbook-runner?playbookId=ops_daily_health_check", "/playbook-runner", "/elsewhere"):
        status, body = ask(listener, target, {k: v.encode().decode("latin-1") for k, v in headers.items()})
        assert (status, body["error"]) == (401, "not authorised")
    assert runner.asked == []


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/playbook-runner", b""), ("/playbook-runner?playbookId=", b""),
        ("/playbook-runner?playbookId=a&playbookId=b", b""),
        ("/playbook-runner?playbookId=../../etc/passwd", b""), ("/playbook-runner?playbookId=A%20B", b""),
        ("/playbook-runner?playbookId=a&force=1", b""), ("/playbook-runner?playbookId=a", b"{"),
        ("/playbook-runner?playbookId=a", b"[]"), ("/playbook-runner?playbookId=a", b'{"variables": 1}'),
        ("/playbook-runner?playbookId=a", b"\xff\xfe"), ("/playbook-runner?playbookId=a", b"[" * 60_000),
        ("/playbook-runner?playbookId=a", b"x" * 70_000),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_400(listener: TriggerListener, runner: Runner, target: str, body: bytes) -> None:
    status, told = ask(listener, target, RIGHT, body)
    assert status == 400 and told["success"] is False
    assert runner.asked == []


def test_what_is_asked_arrives_whole(listener: TriggerListener, runner: Runner) -> None:
    headers = {**RIGHT, "X-CloudScheduler-ScheduleTime": "2026-11-20T14:00:00Z"}
    body = json.dumps({"variables": {"days": 7, "to": ["a@b.example"]}}).encode()
    status, told = ask(listener, "/playbook-runner?playbookId=ops_churn_prevention", headers, body)
    assert (status, told) == (200, {"success": True})
    assert runner.asked == [Asked("ops_churn_prevention", "2026-11-20T14:00:00Z", {"days": 7, "to": ["a@b.example"]})]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_the_runs_own_answers_are_passed_on(listener: TriggerListener, runner: Runner, status: int) -> None:
    runner.answer = Answer(status, {"success": False, "error": "as it is"})
    assert ask(listener, "/playbook-runner?playbookId=a", RIGHT) == (status, {"success": False, "error": "as it is"})


def test_a_run_that_breaks_is_500_without_its_insides(listener: TriggerListener, runner: Runner) -> None:
    runner.answer = RuntimeError("password=hunter2 in /etc/secret")
    status, told = ask(listener, "/playbook-runner?playbookId=a", RIGHT)
    assert (status, told["error"]) == (500, "RuntimeError")


def test_a_link_starts_nothing(listener: TriggerListener, runner: Runner) -> None:
    assert ask(listener, "/playbook-runner?playbookId=a", RIGHT, method="GET")[0] == 405
    assert ask(listener, "/health", {}, method="GET")[0] == 200
    assert runner.asked == []


def test_half_a_request_holds_nobody_up(listener: TriggerListener, runner: Runner) -> None:
    host, port = listener.url.split("/")[2].split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /playbook-runner?playbookId=a HTTP/1.1\r\nAuthorization: Bear")
        assert ask(listener, "/playbook-runner?playbookId=a", RIGHT)[0] == 200


def test_a_secret_that_is_guessed_is_none() -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        TriggerListener(Runner(), "short")


# The listener with what it really runs ------------------------------------------------------------------------


@pytest.fixture
def cron(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CRON_SECRET", SECRET)
    reset_settings()
    yield
    monkeypatch.undo()
    reset_settings()


@contextmanager
def listening() -> Iterator[TriggerListener]:
    """As `ops listen` has it, on a free port."""
    made = listener_of(get_settings(), port=0)
    assert made is not None
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_the_answers_of_what_is_there(ops: Ops, cron: None, warehouse: Connect, folder: Path) -> None:
    (folder / "bad.yaml").write_text(text_of(call("bad", "misbehave", how="permanent"), HTTP, name="bad"))
    for name in ("demo", "bad"):  # what ran under its key is told at once, by the record
        made = plan_of_file(folder / f"{name}.yaml", house())
        run(machine(warehouse), made, kind="http", key=f"{name}:http:t1", as_of=NOW)
    told, key = {}, {"Idempotency-Key": "t1"}
    with listening() as listener:
        for name, target, headers, body in (
            ("no secret", "?playbookId=demo", key, b""), ("no playbook", "", {**RIGHT, **key}, b""),
            ("no such variable", "?playbookId=demo", RIGHT, b'{"variables": {"cuont": 1}}'),
            ("no such playbook", "?playbookId=nothing", RIGHT, b""), ("disabled", "?playbookId=off", RIGHT, b""),
            ("not by HTTP", "?playbookId=shy", RIGHT, b""), ("broken", "?playbookId=broken", RIGHT, b""),
            ("ran", "?playbookId=demo", {**RIGHT, **key}, b""), ("failed", "?playbookId=bad", {**RIGHT, **key}, b""),
        ):  # fmt: skip
            told[name] = ask(listener, f"/playbook-runner{target}", headers, body)
    assert {name: status for name, (status, _) in told.items()} == {
        "no secret": 401, "no playbook": 400, "no such variable": 400, "no such playbook": 404, "disabled": 403,
        "not by HTTP": 403, "broken": 500, "ran": 200, "failed": 500,
    }  # fmt: skip
    assert (told["ran"][1]["success"], told["ran"][1]["stepsExecuted"]) == (True, 5)
    assert told["failed"][1]["success"] is False and told["failed"][1]["error"] == "bad: refused"
    assert {"executionId", "playbookId", "playbookName", "startedAt", "completedAt", "duration"} <= set(told["ran"][1])
    with warehouse() as connection:
        assert len(record.newest(connection)) == 2  # nothing ran that had not


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_scheduler_starts_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cron: None) -> None:
    """The whole way: HTTP, a process of its own, a Dagster run on a database of its own, the record as the answer."""
    from ops_platform.commands.prepare import prepare
    from ops_platform.database import connect
    from ops_platform.database.server import release_server

    folder, home = tmp_path / "playbooks", tmp_path / "home"
    folder.mkdir()
    (folder / "good.yaml").write_text(text_of(call("health", "system_health"), HTTP, name="good"))
    (folder / "bad.yaml").write_text(text_of(call("draft", "campaign_draft", customers=[]), HTTP, name="bad"))
    for name, value in (("OPS_HOME", str(home)), ("OPS_PLAYBOOKS", str(folder)), ("OPS_ENV", "development")):
        monkeypatch.setenv(name, value)
    reset_settings()
    prepare()
    try:
        headers = {**RIGHT, "X-CloudScheduler-ScheduleTime": "2026-11-20T14:00:00Z"}
        with listening() as listener:
            good, again, bad = (
                ask(listener, f"/playbook-runner?playbookId={name}", headers, timeout=120)
                for name in ("good", "good", "bad")
            )
        assert (good[0], good[1]["success"], good[1]["stepsExecuted"]) == (200, True, 1)
        assert again == good
        assert (bad[0], bad[1]["success"]) == (500, False)
        assert "at least one customer" in bad[1]["error"]
        with connect() as connection:
            ran = record.newest(connection)
        assert [(one.playbook_id, one.trigger_kind, one.success) for one in ran] == [
            ("bad", "http", False), ("good", "http", True),
        ]  # fmt: skip
    finally:
        release_server(home)
