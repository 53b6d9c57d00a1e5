"""What we write to GitHub, what the sandbox answers, what its webhooks say: held against GitHub's own description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from resources.github import writing
from tests.connectors.conftest import World, hurried, started
from tests.connectors.test_github_contract import Json, checker, load
from tests.connectors.wire import noted

OPERATIONS = "northbeam/operations"
# GitHub's description holds issues, labels and pull requests; these paths are in another part of it.
ELSEWHERE = ("/git/ref", "/contents/", "/collaborators/", "/check-runs", "/user")


@pytest.fixture(scope="module")
def description() -> Json:
    return load()


@pytest.fixture(scope="module")
def validator(description: Json) -> Any:
    return checker(description)


@pytest.fixture(scope="module")
def told() -> list[tuple[str, Json]]:
    """The webhooks that were received: event and payload."""
    return []


@pytest.fixture(scope="module")
def exchanges(tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, Json]]) -> Iterator[list[httpx.Response]]:
    """Every exchange of a work order's effects of each kind, and the changes people make around it."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((self.headers["X-GitHub-Event"], json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    for world in started(tmp_path_factory.mktemp("sandbox")):
        world.control("/github/webhook", {"url": f"http://127.0.0.1:{server.server_port}/", "ping": True})
        writer = writing.connect(world.settings)
        assert writer is not None
        hurried(writer.client.http)
        with noted() as recorded:
            everything(world, writer)
        assert world.control("/github/webhook/drain") == {"left": 0}
        yield recorded
    server.shutdown()


def everything(world: World, writer: writing.GitHubWriter) -> None:
    made = world.mutate("github", "open_issue", title="What sold best?", body="In May.", labels=["P2"])
    number = made["number"]
    comment = writer.comment(OPERATIONS, number, "Working on it")
    writer.edit_comment(OPERATIONS, comment["id"], "Done")
    writer.find_comment(OPERATIONS, number, "0" * 32)
    writer.add_labels(OPERATIONS, number, ["status/in-progress", "status/new"])
    writer.remove_label(OPERATIONS, number, "status/in-progress")
    writer.ensure_label(OPERATIONS, "manager/pending", "d4c5f9", "Waits for the manager")
    writer.assign(OPERATIONS, number, ["mei-zhao", "nobody-here"])
    writer.set_state(OPERATIONS, number, "closed", "completed")
    writer.set_state(OPERATIONS, number, "open", None)
    writer.open_issue(OPERATIONS, "Follow-up", "See above", ["P3"])
    writer.find_issue(OPERATIONS, "0" * 32)
    writer.create_branch(OPERATIONS, f"work/{number}-note")
    writer.put_file(OPERATIONS, "docs/note.md", f"work/{number}-note", b"# Note\n", "Work order", None)
    writer.file(OPERATIONS, "docs/note.md", f"work/{number}-note")
    writer.open_pull(OPERATIONS, f"work/{number}-note", "A note", "Text")
    writer.find_pull(OPERATIONS, f"work/{number}-note")
    writer.permission(OPERATIONS, "mei-zhao")
    world.mutate("github", "check_run", name="tests", output={"title": "98.1 %", "summary": "all"})
    writer.checks(OPERATIONS, "main")
    writer.client.whole(f"/repos/{OPERATIONS}/issues/{number}/timeline", {})
    for op, more in (
        ("edit_issue", {"title": "What sold best in May?", "body": "In May 2024."}),
        ("unassign_issue", {"login": "mei-zhao"}),
        ("unlabel_issue", {"label": "P2"}),
        ("comment", {"body": "Thank you", "actor": "kofimensah"}),
        ("transfer_issue", {"to": "northbeam/companion-app"}),
    ):
        world.mutate("github", op, number=number, **more)
    gone = world.mutate("github", "open_issue", title="Gone soon")
    world.mutate("github", "delete_issue", number=gone["number"])


def described(description: Json, request: httpx.Request) -> tuple[str, Json] | None:
    if any(part in request.url.path for part in ELSEWHERE):
        return None
    parts = request.url.raw_path.decode().partition("?")[0].strip("/").split("/")
    for template, methods in description["paths"].items():
        wanted = template.strip("/").split("/")
        if len(wanted) == len(parts) and request.method.lower() in methods:
            fixed = zip(wanted, parts, strict=True)
            if all(each == given or (each.startswith("{") and given != "comments") for each, given in fixed):
                return template, methods[request.method.lower()]
    raise AssertionError(f"GitHub describes no {request.method} {request.url.path}")


def test_every_change_is_asked_and_answered_as_described(
    description: Json,
    validator: Any,
    exchanges: list[httpx.Response],
) -> None:
    checked = set()
    for response in exchanges:
        found = described(description, response.request)
        if found is None:
            continue
        template, operation_ = found
        method = response.request.method
        if response.request.content and "requestBody" in operation_:
            schema = operation_["requestBody"]["content"]["application/json"]["schema"]
            validator(schema, json.loads(response.request.content))
        answer = operation_["responses"].get(str(response.status_code))
        assert answer is not None, (method, template, response.status_code, response.text)
        if "$ref" in answer:
            answer = description["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        validator(answer["content"]["application/json"]["schema"], response.json())
        checked.add((method, template.removeprefix("/repos/{owner}/{repo}")))
    assert checked >= {
        ("POST", "/issues"), ("PATCH", "/issues/{issue_number}"), ("POST", "/issues/{issue_number}/comments"),
        ("PATCH", "/issues/comments/{comment_id}"), ("POST", "/issues/{issue_number}/labels"),
        ("DELETE", "/issues/{issue_number}/labels/{name}"), ("POST", "/labels"), ("GET", "/labels"),
        ("POST", "/issues/{issue_number}/assignees"), ("POST", "/pulls"), ("GET", "/pulls"),
        ("GET", "/issues/{issue_number}/timeline"), ("GET", "/issues/{issue_number}/comments"),
    }  # fmt: skip


def test_every_webhook_is_one_that_github_sends(
    description: Json,
    validator: Any,
    exchanges: list[httpx.Response],
    told: list[tuple[str, Json]],
) -> None:
    seen = set()
    for event, payload in told:
        if event == "ping":
            continue
        name = f"webhook-{event.replace('_', '-')}-{payload['action']}"
        schema = dict(description["components"]["schemas"][name])
        # The webhooks' own shapes of an issue and a repository are older than those of the API: the parts are checked
        # against the API's, the whole against what must be there.
        assert set(schema["required"]) <= set(payload), (name, set(schema["required"]) - set(payload))
        if name != "webhook-issues-deleted":
            validator({"$ref": "#/components/schemas/issue"}, payload["issue"])
        validator({"$ref": "#/components/schemas/simple-user"}, payload["sender"])
        if "comment" in payload:
            validator({"$ref": "#/components/schemas/issue-comment"}, payload["comment"])
        seen.add(name.removeprefix("webhook-"))
    assert seen >= {
        "issues-opened", "issues-labeled", "issues-unlabeled", "issues-assigned", "issues-unassigned", "issues-edited",
        "issues-closed", "issues-reopened", "issues-transferred", "issues-deleted", "issue-comment-created",
        "issue-comment-edited",
    }  # fmt: skip


def test_a_pull_request_is_a_draft_and_nothing_merges(exchanges: list[httpx.Response], tmp_path: Path) -> None:
    opened = [each for each in exchanges if each.request.method == "POST" and each.request.url.path.endswith("/pulls")]
    assert [each.json()["draft"] for each in opened] == [True]
    assert not any("merge" in each.request.url.path for each in exchanges)
