"""POST /playbook-runner by real HTTP: the five answers, and that nothing is learned or started without the secret."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ops_platform.failures import ConfigurationError
from resources.playbook_trigger import Answer, Asked, TriggerListener

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
    listener: TriggerListener, target: str, headers: dict[str, str], body: bytes = b"", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    host, port = listener.url.split("/")[2].split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
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
