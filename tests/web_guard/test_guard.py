"""The guard before the real Dagster web: what may start a run, and what may not.

The attacks are those measured against the bare web; each is shown to work there first, so that a guard that lets
nothing through for a wrong reason is not taken for a good one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from ops_platform.web_guard.access import SESSION_SECONDS, TICKET_SECONDS, Access, Role
from ops_platform.web_guard.guard import LARGEST_BODY, LOGIN, Guard

OURS = "http://127.0.0.1:3000"
SOCKET = "ws://127.0.0.1:3000/graphql"
PUBLIC = "https://ops.example.com"
EVIL = {"Origin": "https://evil.example"}
LAUNCH = """mutation { launchRun(executionParams: {
    selector: {repositoryLocationName: "shop", repositoryName: "__repository__", jobName: "shop"}, runConfigData: {}
}) { __typename } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId } } } }"
SUBSCRIPTION = 'subscription { pipelineRunLogs(runId: "none") { __typename } }'


# A run that is asked for is queued and nothing more: that it exists is what counts.
_QUEUED: dict[str, Any] = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator.queued_run_coordinator", "class": "QueuedRunCoordinator",
    },
    "event_log_storage": {
        "module": "dagster._core.storage.event_log", "class": "ConsolidatedSqliteEventLogStorage",
    },
    "telemetry": {"enabled": False},
}  # fmt: skip


class Web:
    """Dagster's web with the job `shop`, bare and guarded, over one instance."""

    def __init__(self, app: Any, instance: Any, access: Access) -> None:
        self.instance = instance
        self.access = access
        self.bare = TestClient(app, base_url=OURS, raise_server_exceptions=False)
        self.guarded = TestClient(
            Guard(app, access, [OURS, "http://localhost:3000", PUBLIC]), base_url=OURS, follow_redirects=False
        )

    def runs(self) -> int:
        return int(self.instance.get_runs_count())

    def key(self, role: Role = Role.OPERATOR) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access.key(role).decode()}"}

    def session(self, role: Role = Role.OPERATOR) -> dict[str, str]:
        return {"Cookie": f"ops_session={self.access.session(role)}"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    from dagster import DagsterInstance
    from dagster._core.remote_origin import InProcessCodeLocationOrigin
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    home = tmp_path_factory.mktemp("instance")
    _QUEUED["event_log_storage"]["config"] = {"base_dir": str(home)}
    target = LoadableTargetOrigin(module_name="tests.web_guard.shop", attribute="defs")
    origin = InProcessCodeLocationOrigin(loadable_target_origin=target, location_name="shop")
    with (
        DagsterInstance.local_temp(str(home), overrides=_QUEUED) as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as context,
    ):
        app = create_app_from_workspace_process_context(context)
        yield Web(app, instance, Access(tmp_path_factory.mktemp("web") / "keys"))


def attacks(client: TestClient, headers: dict[str, str]) -> dict[str, int]:
    """The requests that another site's page can have a browser send; the status of each answer."""
    evil = EVIL | headers
    return {
        "get": client.get("/graphql", params={"query": LAUNCH}, headers=evil).status_code,
        "text": client.post(
            "/graphql", params={"query": LAUNCH}, content="x", headers=evil | {"Content-Type": "text/plain"}
        ).status_code,
        "form": client.post("/graphql", params={"query": LAUNCH}, data={"x": "1"}, headers=evil).status_code,
        "get with a forged host": client.get(
            "/graphql", params={"query": LAUNCH}, headers=evil | {"Host": "evil.example"}
        ).status_code,
    }


def test_the_four_attacks_work_on_the_bare_web(web: Web) -> None:
    before = web.runs()
    assert set(attacks(web.bare, {}).values()) == {200}
    assert web.runs() == before + 4


@pytest.mark.parametrize("victim", ["nobody", "somebody signed in", "a viewer"])
def test_the_four_attacks_start_nothing_behind_the_guard(web: Web, victim: str) -> None:
    headers = {"nobody": {}, "a viewer": web.session(Role.VIEWER), "somebody signed in": web.session()}[victim]
    before = web.runs()
    answers = attacks(web.guarded, headers)
    answers["json"] = web.guarded.post("/graphql", json={"query": LAUNCH}, headers=EVIL | headers).status_code
    answers["json, no origin"] = web.guarded.post("/graphql", json={"query": LAUNCH}, headers=headers).status_code
    answers["json, null origin"] = web.guarded.post(
        "/graphql", json={"query": LAUNCH}, headers=headers | {"Origin": "null"}
    ).status_code
    answers["json, own host as a prefix"] = web.guarded.post(
        "/graphql", json={"query": LAUNCH}, headers=headers | {"Origin": OURS + ".evil.example"}
    ).status_code
    answers["json by a sibling port"] = web.guarded.post(
        "/graphql", json={"query": LAUNCH}, headers=headers | {"Origin": "http://127.0.0.1:8080"}
    ).status_code
    answers["rest"] = web.guarded.post(
        "/report_asset_materialization/a", params={"asset_key": "a"}, headers=EVIL | headers
    ).status_code
    assert web.runs() == before
    assert all(status in (401, 403, 405, 421) for status in answers.values()), answers


def test_a_page_of_our_own_and_a_script_with_the_key_start_a_run(web: Web) -> None:
    before = web.runs()
    page = web.guarded.post("/graphql", json={"query": LAUNCH}, headers=web.session() | {"Origin": OURS})
    script = web.guarded.post("/graphql", json={"query": LAUNCH}, headers=web.key())
    assert page.json()["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
    assert script.json()["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
    assert web.runs() == before + 2


def test_the_page_may_name_its_operation_in_the_address_and_nothing_else(web: Web) -> None:
    headers = web.session() | {"Origin": OURS}
    before = web.runs()
    assert web.guarded.post("/graphql?op=RunsRootQuery", json={"query": RUNS}, headers=headers).status_code == 200
    for address in ("/graphql?query=x", "/graphql?op=a&query=x", "/graphql?op=a%26", "/graphql?op=a&op=b"):
        assert web.guarded.post(address, json={"query": LAUNCH}, headers=headers).status_code == 400
    assert web.runs() == before


def test_a_key_does_not_excuse_another_sites_origin(web: Web) -> None:
    assert web.guarded.post("/graphql", json={"query": LAUNCH}, headers=web.key() | EVIL).status_code == 403


@pytest.mark.parametrize(
    "document",
    [LAUNCH, f"query A {{ version }} {LAUNCH.replace('mutation', 'mutation B', 1)}", f"# query\n{LAUNCH}"],
)
def test_a_viewer_reads_and_changes_nothing(web: Web, document: str) -> None:
    before = web.runs()
    read = web.guarded.post("/graphql", json={"query": RUNS}, headers=web.key(Role.VIEWER))
    body = {"query": document, "operationName": "A"}
    assert read.status_code == 200
    assert web.guarded.post("/graphql", json=body, headers=web.key(Role.VIEWER)).status_code == 403
    assert (
        web.guarded.post("/report_asset_materialization/", json={"asset_key": "a"}, headers=web.key(Role.VIEWER))
    ).status_code == 403
    assert web.runs() == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("[]", "application/json", 400),
        (json.dumps([{"query": LAUNCH}]), "application/json", 400),
        (json.dumps({"query": 1}), "application/json", 400),
        (json.dumps({"query": "{" * 50_000}), "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        (json.dumps({"query": "{" + "version " * 100_000 + "}"}), "application/json", 400),
        (LAUNCH, "application/graphql", 415),
        (json.dumps({"query": LAUNCH}), "text/plain; application/json", 415),
        (json.dumps({"query": LAUNCH}), "", 415),
        ("x" * (LARGEST_BODY + 1), "application/json", 413),
    ],
)
def test_what_is_no_json_request_is_refused(web: Web, content: str, kind: str, status: int) -> None:
    before = web.runs()
    headers = web.session() | {"Origin": OURS, "Content-Type": kind}
    assert web.guarded.post("/graphql", content=content, headers=headers).status_code == status
    assert web.runs() == before


def test_nothing_is_shown_without_a_session_but_that_the_web_lives(web: Web) -> None:
    assert web.guarded.get("/ops/alive").text == "ok"
    for path in ("/", "/server_info", "/graphql", "/runs", "/logs/a/b.out", "/download_debug/x"):
        assert web.guarded.get(path).status_code == 401
    assert web.guarded.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert web.guarded.get("/ops/alive", headers={"Host": "evil.example"}).status_code == 421
    assert web.guarded.put("/", headers=web.key()).status_code == 405


def test_a_page_says_that_it_may_not_be_framed(web: Web) -> None:
    answer = web.guarded.get("/", headers=web.session())
    assert answer.status_code == 200
    assert answer.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_another_sites_page_reads_nothing(web: Web) -> None:
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert web.guarded.get("/logs/a/b.out", headers=web.session() | cross).status_code == 403
    opened = cross | {"Sec-Fetch-Mode": "navigate"}
    assert web.guarded.get("/", headers=web.session() | opened).status_code == 200


# -- the door -------------------------------------------------------------------------------------------------


def test_a_link_signs_in_once_and_only_by_the_button(web: Web) -> None:
    ticket = web.access.ticket(Role.OPERATOR)
    page = web.guarded.get(LOGIN, params={"ticket": ticket})
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    # Under "no-referrer" a browser sends the form with Origin: null, and nobody could sign in.
    assert page.headers["referrer-policy"] == "same-origin"
    signed = web.guarded.post(LOGIN, data={"ticket": ticket}, headers={"Origin": OURS})
    assert signed.status_code == 303
    assert "HttpOnly" in signed.headers["set-cookie"]
    assert web.guarded.post(LOGIN, data={"ticket": ticket}, headers={"Origin": OURS}).status_code == 401
    web.guarded.cookies.clear()


def test_over_tls_the_cookie_belongs_to_the_very_host(web: Web) -> None:
    headers = {"Host": "ops.example.com", "Origin": PUBLIC}
    answer = web.guarded.post(LOGIN, data={"ticket": web.access.ticket(Role.VIEWER)}, headers=headers)
    web.guarded.cookies.clear()
    assert answer.headers["set-cookie"].startswith("__Host-ops_session=")
    assert "; Secure" in answer.headers["set-cookie"]


def test_another_site_signs_nobody_in(web: Web) -> None:
    data = {"ticket": web.access.ticket(Role.OPERATOR)}
    assert web.guarded.post(LOGIN, data=data, headers=EVIL).status_code == 403
    assert web.guarded.post(LOGIN, data=data).status_code == 403


def test_a_login_page_writes_out_what_it_was_given(web: Web) -> None:
    page = web.guarded.get(LOGIN, params={"ticket": '"><script>alert(1)</script>'})
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "operator.9999999999.n.forged", "root.9999999999.n.x", "operator.99.n.", "operator..", "operator.²³.n.s"],
)
def test_a_forged_session_is_none(web: Web, cookie: str) -> None:
    assert web.access.role_of_session(cookie) is None
    assert web.guarded.get("/", headers={b"Cookie": b"ops_session=" + cookie.encode()}).status_code == 401


def test_a_viewers_session_cannot_be_made_an_operators(web: Web) -> None:
    session = web.access.session(Role.VIEWER)
    assert web.access.role_of_session(session) is Role.VIEWER
    assert web.access.role_of_session(session.replace("viewer", "operator", 1)) is None
    assert web.access.redeem(session) is None


def test_sessions_and_tickets_end_by_time_and_by_a_new_key(tmp_path: Path) -> None:
    now = [1_000_000.0]
    access = Access(tmp_path / "keys", clock=lambda: now[0])
    session, ticket = access.session(Role.OPERATOR), access.ticket(Role.OPERATOR)
    now[0] += TICKET_SECONDS + 1
    assert access.redeem(ticket) is None
    assert access.role_of_session(session) is Role.OPERATOR
    now[0] += SESSION_SECONDS
    assert access.role_of_session(session) is None
    session = access.session(Role.OPERATOR)
    access.renew(Role.OPERATOR)
    assert access.role_of_session(session) is None


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    from ops_platform.failures import ConfigurationError

    access = Access(tmp_path / "keys")
    access.key(Role.OPERATOR)
    path = access.path(Role.OPERATOR)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="may be read by others"):
        access.key(Role.OPERATOR)


# -- websockets -----------------------------------------------------------------------------------------------


def test_a_page_of_our_own_subscribes(web: Web) -> None:
    with web.guarded.websocket_connect(
        SOCKET, subprotocols=["graphql-ws"], headers=web.session() | {"Origin": OURS}
    ) as socket:
        socket.send_json({"type": "connection_init", "payload": {}})
        assert socket.receive_json() == {"type": "connection_ack"}
        socket.send_json({"type": "start", "id": "1", "payload": {"query": SUBSCRIPTION}})
        assert socket.receive_json()["id"] == "1"


@pytest.mark.parametrize("case", ["no session", "other origin", "no origin", "forged host", "parameters"])
def test_a_websocket_is_asked_the_same(web: Web, case: str) -> None:
    headers = {
        "no session": {"Origin": OURS},
        "other origin": web.session() | EVIL,
        "no origin": web.session(),
        "forged host": web.session() | {"Origin": OURS, "Host": "evil.example"},
        "parameters": web.session() | {"Origin": OURS},
    }[case]
    path = f"{SOCKET}?query=x" if case == "parameters" else SOCKET
    with pytest.raises(WebSocketDisconnect), web.guarded.websocket_connect(path, headers=headers):
        pass


@pytest.mark.parametrize("message", [{"query": LAUNCH}, {"query": RUNS}, {"query": "nonsense"}, None])
def test_a_websocket_only_subscribes(web: Web, message: dict[str, str] | None) -> None:
    before = web.runs()
    with web.guarded.websocket_connect(SOCKET, headers=web.session() | {"Origin": OURS}) as socket:
        socket.send_json({"type": "start", "id": "1", "payload": message})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    assert web.runs() == before
