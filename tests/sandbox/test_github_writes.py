"""GitHub's side of the sandbox where clients write: what it refuses, what it does along, what outlives what."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.company.issues import APP, OPERATIONS
from sandbox.server import running
from tests.sandbox.conftest import EARLY, Process, Served, client

WRITER = "github_pat_sandbox_writer"
ISSUES = f"/repos/{OPERATIONS}/issues"


@pytest.fixture(scope="module")
def _github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("github")
    with running(seed=7, clock=datetime.fromisoformat(EARLY), state=state, netsuite_key="ec") as sandbox:
        with client(sandbox.url) as http:
            yield Served(sandbox, http, state)


@pytest.fixture
def early(_github: Served) -> Iterator[Served]:
    """A small company for all tests of this file, each with issues of its own; limits and hooks are put back."""
    yield _github
    _github.control("/faults", method="DELETE")
    _github.control("/profile", {"profile": "generous"})
    _github.control("/github/webhook", {"url": None})


def call(served: Served, method: str, path: str, body: Any = None, token: str = WRITER) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2026-03-10"}
    return served.http.request(method, path, headers=headers, json=body)


def change(served: Served, op: str, **data: Any) -> Any:
    return served.control("/mutate", {"vendor": "github", "op": op, "data": data})["result"]


def opened(served: Served, **data: Any) -> int:
    return int(change(served, "open_issue", **{"title": "Mine", **data})["number"])


def test_a_token_may_write_what_it_says_and_nothing_else(early: Served) -> None:
    number = opened(early)
    comment = (f"{ISSUES}/{number}/comments", {"body": "Hello"})
    reader, issues = "github_pat_sandbox", "github_pat_sandbox_issues"
    refused = call(early, "POST", *comment, token=reader)
    assert refused.status_code == 403
    assert refused.headers["x-accepted-github-permissions"] == "issues=write; pull_requests=write"
    assert refused.json()["message"] == "Resource not accessible by personal access token"
    assert call(early, "POST", *comment, token="github_pat_sandbox_metadata").status_code == 403
    assert call(early, "POST", *comment, token="github_pat_sandbox_elsewhere").status_code == 404
    assert call(early, "POST", *comment, token="nonsense").status_code == 401
    assert call(early, "POST", *comment, token=issues).status_code == 201
    branch = (f"/repos/{OPERATIONS}/git/refs", {"ref": "refs/heads/work/1-x", "sha": "0" * 40})
    assert call(early, "POST", *branch, token=issues).status_code == 403
    workflow = f"/repos/{OPERATIONS}/contents/.github/workflows/x.yml"
    content = {"message": "x", "content": base64.b64encode(b"x").decode(), "branch": "work/1-x"}
    assert call(early, "PUT", workflow, content).headers["x-accepted-github-permissions"] == "workflows=write"
    assert call(early, "GET", "/user", token=WRITER).json()["login"] == "northbeam-ops"


def test_what_makes_no_sense_is_refused_as_github_refuses_it(early: Served) -> None:
    number = opened(early)

    def code(method: str, path: str, body: Any = None) -> tuple[int, str]:
        answer = call(early, method, path, body)
        errors = answer.json().get("errors") or [{}]
        return answer.status_code, errors[0].get("code") or answer.json().get("message", "")

    assert code("POST", ISSUES, {"title": " "}) == (422, "missing_field")
    assert code("POST", ISSUES, {"title": "x" * 257}) == (422, "invalid")
    assert code("POST", f"{ISSUES}/{number}/comments", {}) == (422, "missing_field")
    assert code("POST", f"{ISSUES}/{number}/comments", {"body": "x" * 65_537}) == (422, "invalid")
    assert code("POST", f"{ISSUES}/{number}/comments", {"body": "  "}) == (422, "invalid")
    assert code("PATCH", f"{ISSUES}/{number}", {"state": "gone"}) == (422, "invalid")
    assert code("PATCH", f"{ISSUES}/{number}", {"milestone": 999}) == (422, "invalid")
    assert code("DELETE", f"{ISSUES}/{number}/labels/P0") == (404, "Label does not exist")
    assert code("POST", f"/repos/{OPERATIONS}/labels", {"name": "p0", "color": "ff0000"}) == (422, "already_exists")
    assert code("POST", f"/repos/{OPERATIONS}/labels", {"name": "new", "color": "reddish"}) == (422, "invalid")
    assert code("PATCH", f"{ISSUES}/comments/1", {"body": "x"})[0] == 404
    assert code("POST", f"{ISSUES}/4711/comments", {"body": "x"})[0] == 404
    headers = {"Authorization": f"Bearer {WRITER}"}
    assert early.http.post(ISSUES, headers=headers, content=b"{not json").status_code == 400
    assert code("POST", ISSUES, ["title"]) == (400, "Body should be a JSON object")
    change(early, "delete_issue", number=number)
    assert code("POST", f"{ISSUES}/{number}/comments", {"body": "x"})[0] == 410


def test_branches_files_and_pull_requests(early: Served) -> None:
    repository = f"/repos/{APP}"

    def put(path: str, branch: str, content: bytes, **more: Any) -> httpx.Response:
        body = {"message": "m", "branch": branch, "content": base64.b64encode(content).decode(), **more}
        return call(early, "PUT", f"{repository}/contents/{path}", body)

    tip = call(early, "GET", f"{repository}/git/ref/heads/main").json()["object"]["sha"]
    assert put("docs/x.md", "main", b"x").status_code == 409  # protected
    assert put("docs/x.md", "work/1-x", b"x").status_code == 404
    make = {"ref": "refs/heads/work/1-x", "sha": tip}
    assert call(early, "POST", f"{repository}/git/refs", {**make, "sha": "0" * 40}).status_code == 422
    assert call(early, "POST", f"{repository}/git/refs", {**make, "ref": "work/1-x"}).status_code == 422
    assert call(early, "POST", f"{repository}/git/refs", {**make, "ref": "refs/heads/a..b"}).status_code == 422
    empty = {"title": "t", "head": "work/1-x", "base": "main"}
    assert call(early, "POST", f"{repository}/git/refs", make).status_code == 201
    assert call(early, "POST", f"{repository}/git/refs", make).json()["message"] == "Reference already exists"
    assert "No commits between" in call(early, "POST", f"{repository}/pulls", empty).text
    first = put("docs/x.md", "work/1-x", b"one")
    assert first.status_code == 201
    assert put("docs/x.md", "work/1-x", b"two").status_code == 422  # without the version it replaces
    assert put("docs/x.md", "work/1-x", b"two", sha="0" * 40).status_code == 409
    sha = first.json()["content"]["sha"]
    assert put("docs/x.md", "work/1-x", b"two", sha=sha).status_code == 200
    assert put(".git/config", "work/1-x", b"x").status_code == 422
    shown = call(early, "GET", f"{repository}/contents/docs/x.md?ref=work/1-x").json()
    assert base64.b64decode(shown["content"]) == b"two"
    pull = call(early, "POST", f"{repository}/pulls", {**empty, "draft": True}).json()
    assert (pull["draft"], pull["state"], pull["head"]["ref"]) == (True, "open", "work/1-x")
    assert "already exists" in call(early, "POST", f"{repository}/pulls", empty).text
    assert call(early, "PUT", f"{repository}/pulls/{pull['number']}/merge", {}).status_code == 405
    found = call(early, "GET", f"{repository}/pulls?head=northbeam:work/1-x&state=all").json()
    assert [each["number"] for each in found] == [pull["number"]]


def test_labels_are_made_along_and_people_left_out(early: Served) -> None:
    number = opened(early)
    labels = call(early, "POST", f"{ISSUES}/{number}/labels", {"labels": ["brand/new", "p1"]}).json()
    assert [each["name"] for each in labels] == ["brand/new", "P1"]
    asked = {"assignees": ["mei-zhao", "audio-fan-99", "nobody"]}
    assigned = call(early, "POST", f"{ISSUES}/{number}/assignees", asked).json()["assignees"]
    assert [each["login"] for each in assigned] == ["mei-zhao"]
    timeline = call(early, "GET", f"{ISSUES}/{number}/timeline").json()
    assert [(each["event"], each["actor"]["login"]) for each in timeline] == [
        ("labeled", "northbeam-ops"), ("labeled", "northbeam-ops"), ("assigned", "northbeam-ops"),
    ]  # fmt: skip


def test_roles_are_told(early: Served) -> None:
    def role(login: str) -> Any:
        answer = call(early, "GET", f"/repos/{OPERATIONS}/collaborators/{login}/permission")
        return answer.json().get("permission", answer.status_code)

    assert [role(each) for each in ("mei-zhao", "audio-fan-99", "nobody-at-all")] == ["write", "none", 404]
    change(early, "set_permission", login="mei-zhao", permission="admin")
    change(early, "set_permission", login="lucasmeyer", permission="triage")
    assert [role(each) for each in ("Mei-Zhao", "lucasmeyer")] == ["admin", "read"]


def test_changing_has_limits_of_its_own(early: Served) -> None:
    early.control("/profile", {"profile": "restricted"})
    number = opened(early)
    path, body = f"{ISSUES}/{number}/comments", {"body": "x"}
    answers = [call(early, "POST", path, body).status_code for _ in range(21)]
    assert answers == [201] * 20 + [403]
    limited = call(early, "POST", path, body)
    assert "secondary rate limit" in limited.text and limited.headers["retry-after"] == "60"
    assert call(early, "GET", path).status_code == 200


def test_what_was_written_outlives_the_process_and_the_clock(launch: Callable[..., Process], tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = launch(state=state)
    headers = {"Authorization": f"Bearer {WRITER}"}
    with first.http() as http:
        number = http.post(ISSUES, headers=headers, json={"title": "Kept", "labels": ["P0"]}).json()["number"]
        comment = http.post(f"{ISSUES}/{number}/comments", headers=headers, json={"body": "Kept, too"}).json()
    first.popen.kill()
    first.popen.wait()
    second = launch(state=state)
    with second.http() as http:
        shown = http.get(f"{ISSUES}/{number}/comments", headers=headers).json()
        assert [(each["id"], each["body"]) for each in shown] == [(comment["id"], "Kept, too")]
        http.post("/_sandbox/clock", json={"now": "2024-12-20T06:00:00-05:00"})
        later = http.get(f"{ISSUES}/{number}", headers=headers).json()
        assert (later["title"], [each["name"] for each in later["labels"]], later["comments"]) == ("Kept", ["P0"], 1)
        again = http.post(f"{ISSUES}/{number}/comments", headers=headers, json={"body": "Later"}).json()
        assert again["id"] > comment["id"]
        ids = [each["id"] for each in http.get(f"{ISSUES}/{number}/comments", headers=headers).json()]
        assert ids == [comment["id"], again["id"]]


# Webhooks ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def heard(early: Served) -> Iterator[list[tuple[dict[str, str], dict[str, Any]]]]:
    """What a hook heard, in order: headers and payload."""
    found: list[tuple[dict[str, str], dict[str, Any]]] = []
    lock = threading.Lock()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                found.append(({key.lower(): value for key, value in self.headers.items()}, json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    early.control("/github/webhook", {"url": f"http://127.0.0.1:{server.server_port}/hook"})
    yield found
    server.shutdown()


def drained(early: Served) -> None:
    assert early.control("/github/webhook/drain") == {"left": 0}


def test_what_happens_is_told_in_order_and_signed(early: Served, heard: list[Any]) -> None:
    import hashlib
    import hmac

    secret = early.control("/environment", method="GET")["GITHUB_WEBHOOK_SECRET"]
    number = opened(early, labels=["P1"], actor="kofimensah")
    change(early, "close_issue", number=number)
    call(early, "POST", f"{ISSUES}/{number}/comments", {"body": "Ours"})
    drained(early)
    told = [(h["x-github-event"], p["action"], p["sender"]["login"]) for h, p in heard]
    assert told == [
        ("issues", "opened", "kofimensah"), ("issues", "labeled", "kofimensah"), ("issues", "closed", "mei-zhao"),
        ("issue_comment", "created", "northbeam-ops"),
    ]  # fmt: skip
    assert heard[1][1]["label"]["name"] == "P1"
    assert len({h["x-github-delivery"] for h, _ in heard}) == 4
    headers, payload = heard[0]
    import orjson

    digest = hmac.new(secret.encode(), orjson.dumps(payload), hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={digest}"


def test_webhooks_are_lost_doubled_late_forged_and_out_of_order(early: Served, heard: list[Any]) -> None:
    number = opened(early)
    drained(early)
    heard.clear()

    def comments(*faults: str, **more: Any) -> list[str]:
        heard.clear()
        for fault in faults:
            early.fault("github", fault, **more)
        for text in ("one", "two", "three"):
            change(early, "comment", number=number, body=text)
        drained(early)
        return [payload["comment"]["body"] for _, payload in heard]

    assert comments("webhook_lost") == ["two", "three"]
    assert comments("webhook_twice") == ["one", "one", "two", "three"]
    assert heard[0][0]["x-github-delivery"] == heard[1][0]["x-github-delivery"]
    assert comments("webhook_reordered") == ["two", "one", "three"]
    assert comments("webhook_late", seconds=0.3) == ["two", "three", "one"]
    assert comments("webhook_forged") == ["one", "two", "three"]
    kept = early.ledger(vendor="github", kind="webhook")
    assert [each["detail"]["what"] for each in kept].count("lost") == 1
    sent = early.control("/github/deliveries", method="GET")[-1]
    early.control("/github/redeliver", {"guid": sent["guid"]})
    drained(early)
    assert heard[-1][0]["x-github-delivery"] == sent["guid"]


def test_a_transfer_and_a_delete_are_told_with_the_issue(early: Served, heard: list[Any]) -> None:
    moved, gone = opened(early), opened(early, title="Gone")
    change(early, "transfer_issue", number=moved, to=APP)
    change(early, "delete_issue", number=gone)
    drained(early)
    transferred, deleted = heard[-2][1], heard[-1][1]
    assert transferred["action"] == "transferred" and transferred["issue"]["number"] == moved
    assert transferred["changes"]["new_repository"]["full_name"] == APP
    assert deleted["action"] == "deleted" and deleted["issue"]["title"] == "Gone"


def test_checks_are_told_newest_first_by_name(early: Served) -> None:
    for summary in ("81.0", "83.5"):
        change(early, "check_run", name="coverage", conclusion="success", output={"summary": summary})
    runs = call(early, "GET", f"/repos/{OPERATIONS}/commits/main/check-runs").json()
    assert [(each["name"], each["output"]["summary"]) for each in runs["check_runs"]] == [("coverage", "83.5")]
    assert call(early, "GET", f"/repos/{OPERATIONS}/commits/main/status").json()["total_count"] == 0
    assert datetime.fromisoformat(runs["check_runs"][0]["completed_at"]).tzinfo == UTC
