"""The process, the ledger, the faults and the control API, over real connections."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from sandbox.exchange import Exchange
from sandbox.hooks import StillClock
from sandbox.ledger import SqliteLedger, StateInUse
from sandbox.vendor_side import MadeOnce
from tests.sandbox.conftest import CLOCK, EARLY, ROOT, Process, Served, client

SLACK = {"Authorization": "Bearer xoxb-sandbox"}
Launch = Callable[..., Process]


def post(http: httpx.Client, text: str, channel: str = "C0EXEC") -> dict[str, Any]:
    answer: dict[str, Any] = http.post(
        "/api/chat.postMessage", json={"channel": channel, "text": text}, headers=SLACK
    ).json()
    return answer


def texts(http: httpx.Client, channel: str = "C0EXEC") -> list[str]:
    answer = http.get("/api/conversations.history", params={"channel": channel, "limit": 900}, headers=SLACK).json()
    return [message["text"] for message in reversed(answer["messages"])]


# The process ----------------------------------------------------------------------------------------------------


def test_help_shows_examples_and_wrong_use_is_told() -> None:
    helped = subprocess.run([sys.executable, "-m", "sandbox", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert helped.returncode == 0
    assert "examples:" in helped.stdout
    assert "--profile" in helped.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "sandbox", "--clock", "2026-11-20", "--state", "/nowhere"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "2026-11-20T06:00:00-05:00" in wrong.stderr


def test_it_imports_nothing_of_the_product() -> None:
    program = (
        "import sys, sandbox.server, sandbox.orders_csv, sandbox.netsuite.suiteql\n"
        "ours = {'ops_platform', 'resources', 'assets', 'jobs', 'sensors', 'dagster', 'slack_sdk', 'anthropic'}\n"
        "print(sorted(ours & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_listens_on_loopback_alone_and_stops_cleanly(launch: Launch) -> None:
    process = launch()
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(process.popen.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    # One for HTTP, one for the app's database, one for mail.
    assert listening == ["127.0.0.1"] * 3
    with process.http() as http:
        ready = http.get("/_sandbox/ready").json()
        assert ready["ready"] is True
        assert ready["orders"] > 1000
        post(http, "before the end")
    began = time.monotonic()
    process.popen.send_signal(signal.SIGTERM)
    assert process.popen.wait(10) == 0
    assert time.monotonic() - began < 8
    assert not process.port_file.exists()
    rows = sqlite3.connect(process.state / "ledger.sqlite").execute("select vendor, kind from effects").fetchall()
    assert rows == [("slack", "message_posted")]


def test_it_ends_with_its_parent(launch: Launch) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = launch("--parent-pid", str(parent.pid))
    assert process.popen.poll() is None
    parent.kill()
    parent.wait()
    assert process.popen.wait(10) == 0


def test_shutdown_by_the_control_api(launch: Launch) -> None:
    process = launch()
    with process.http() as http:
        assert http.post("/_sandbox/shutdown").json() == {"stopping": True}
    assert process.popen.wait(10) == 0


def test_one_state_directory_serves_one_process(tmp_path: Path) -> None:
    clock = StillClock(datetime(2026, 11, 20, tzinfo=UTC))
    first = SqliteLedger(tmp_path, clock)
    with pytest.raises(StateInUse, match=str(os.getpid())):
        SqliteLedger(tmp_path, clock, wait=0.2)
    first.close()
    SqliteLedger(tmp_path, clock, wait=0.2).close()


def test_what_was_confirmed_survives_a_kill(launch: Launch) -> None:
    process = launch()
    with process.http() as http:
        confirmed = [post(http, f"message {number}")["ts"] for number in range(20)]
        # No time to write anything behind: the last answer is the last thing that happens.
        process.popen.kill()
    process.popen.wait()
    again = launch(state=process.state)
    with again.http() as http:
        assert texts(http) == [f"message {number}" for number in range(20)]
        posted = http.get("/_sandbox/ledger", params={"vendor": "slack", "kind": "message_posted"}).json()
        assert [entry["detail"]["ts"] for entry in posted] == confirmed
        assert {entry["run"] for entry in posted} == {1}
        # The clock stands where it stood; what is posted now still has a ts of its own, and comes after.
        assert post(http, "after the restart")["ts"] > confirmed[-1]
        assert http.get("/_sandbox/ledger/summary").json()["runs"] == 2


# The ledger -----------------------------------------------------------------------------------------------------


def test_every_call_is_in_the_ledger_however_many_at_once(served: Served) -> None:
    before = served.control("/ledger/summary", method="GET")["vendors"].get("slack", {"requests": 0})["requests"]

    def call(number: int) -> str:
        with client(served.url) as http:
            return str(http.get("/api/auth.test", headers=SLACK).json()["ok"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(200))) == {"True"}
    after = served.control("/ledger/summary", method="GET")["vendors"]["slack"]["requests"]
    assert after - before == 200
    last = served.ledger(vendor="slack", kind="request")[-1]
    assert last["operation"] == "auth.test"
    assert last["status"] == 200
    assert last["bytes_out"] > 100
    assert last["clock"] == "2026-11-20T11:00:00.000000+00:00"


def test_requests_are_written_behind_in_batches(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path, StillClock(datetime(2026, 11, 20, tzinfo=UTC)))
    exchange = Exchange("shopify", "POST", "/admin/api/2026-10/graphql.json", body=b"{}", operation="Orders")
    began = time.perf_counter()
    for _ in range(5_000):
        ledger.request(exchange, status=200, bytes_out=10, milliseconds=1.5)
        ledger.record("shopify", "records_served", {"orders": 10})
    spent = time.perf_counter() - began
    assert len(ledger.entries(kind="request")) == 5_000
    assert len(ledger.entries(kind="records_served", limit=7)) == 7
    ledger.close()
    assert spent < 2, "recording must stay far cheaper than serving"
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        assert db.execute("select count(*) from effects").fetchone() == (5_000,)


def test_entries_can_be_narrowed_down(served: Served) -> None:
    served.http.get("/api/auth.test", headers=SLACK)
    everything = served.ledger(vendor="slack")
    assert {entry["vendor"] for entry in everything} == {"slack"}
    since = served.ledger(vendor="slack", kind="request")[-1]["id"]
    served.http.get("/api/team.info", headers=SLACK)
    (entry,) = served.ledger(vendor="slack", kind="request", since=since)
    assert entry["operation"] == "team.info"


# Faults ---------------------------------------------------------------------------------------------------------

_CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "shopify": ("POST", "/admin/api/2026-10/graphql.json", {"json": {"query": "{shop{name}}"}}),
    "netsuite": ("POST", "/services/rest/query/v1/suiteql", {"json": {"q": "select 1 from dual"}}),
    "slack": ("POST", "/api/auth.test", {"headers": SLACK}),
    "anthropic": ("POST", "/v1/messages", {"json": {}}),
}


def call(served: Served, vendor: str) -> httpx.Response:
    method, path, more = _CALLS[vendor]
    return served.http.request(method, path, **more)


@pytest.mark.parametrize(
    ("vendor", "retry_after", "said"),
    [
        ("shopify", "2.0", lambda body: "Exceeded" in body["errors"]),
        ("netsuite", None, lambda body: body["o:errorDetails"][0]["o:errorCode"] == "CONCURRENCY_LIMIT_EXCEEDED"),
        ("slack", "1", lambda body: body == {"ok": False, "error": "ratelimited"}),
        ("anthropic", "1", lambda body: body["error"]["type"] == "rate_limit_error"),
    ],
)
def test_429_is_each_vendors_own(
    served: Served, vendor: str, retry_after: str | None, said: Callable[[Any], bool]
) -> None:
    served.fault(vendor, "http_429")
    refused = call(served, vendor)
    assert refused.status_code == 429
    assert refused.headers.get("retry-after") == retry_after
    assert said(refused.json())
    assert call(served, vendor).status_code != 429


@pytest.mark.parametrize("vendor", list(_CALLS))
@pytest.mark.parametrize("status", [500, 503])
def test_server_errors(served: Served, vendor: str, status: int) -> None:
    served.fault(vendor, f"http_{status}", times=2)
    assert [call(served, vendor).status_code for _ in range(3)][:2] == [status, status]
    assert isinstance(served.ledger(vendor=vendor, kind="request")[-2]["fault"], str)


@pytest.mark.parametrize(("fault", "status"), [("http_502_html", 502), ("html_200", 200)])
def test_a_gateways_page_instead_of_json(served: Served, fault: str, status: int) -> None:
    served.fault("slack", fault)
    answer = call(served, "slack")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html"
    assert "<html>" in answer.text


def test_a_cut_answer_that_looks_whole_to_http(served: Served) -> None:
    whole = call(served, "slack").content
    served.fault("slack", "truncate")
    cut = call(served, "slack")
    assert cut.status_code == 200
    assert int(cut.headers["content-length"]) == len(cut.content) < len(whole)
    assert whole.startswith(cut.content)


def test_a_cut_answer_that_promised_more(served: Served) -> None:
    served.fault("slack", "truncate_short")
    with pytest.raises(httpx.RemoteProtocolError):
        call(served, "slack")
    assert call(served, "slack").json()["ok"]


def test_a_connection_reset_before_anything_happens(served: Served) -> None:
    posted = len(served.ledger(kind="message_posted"))
    served.fault("slack", "reset", match={"path_contains": "chat.postMessage"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        post(served.http, "never arrives")
    assert len(served.ledger(kind="message_posted")) == posted
    last = served.ledger(vendor="slack", kind="request")[-1]
    assert (last["status"], last["fault"]) == (0, "reset")


def test_reset_really_resets(served: Served) -> None:
    served.fault("slack", "reset")
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1]))) as raw:
        raw.sendall(b"POST /api/auth.test HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            raw.recv(100)


def test_accepted_and_then_dropped(served: Served) -> None:
    served.fault("slack", "accept_then_drop", match={"path_contains": "chat.postMessage"})
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        post(served.http, "accepted, unanswered")
    assert served.ledger(kind="message_posted")[-1]["detail"]["text"] == "accepted, unanswered"
    assert "accepted, unanswered" in texts(served.http)
    last = [entry for entry in served.ledger(vendor="slack", kind="request") if entry["fault"]][-1]
    assert (last["status"], last["fault"]) == (0, "accept_then_drop")


def test_slow(served: Served) -> None:
    served.fault("slack", "slow", seconds=0.4)
    began = time.perf_counter()
    assert call(served, "slack").json()["ok"]
    assert time.perf_counter() - began >= 0.4


def test_a_fault_hits_what_it_names_after_the_calls_it_lets_pass(served: Served) -> None:
    served.fault("slack", "http_500", match={"path_contains": "team.info", "query_contains": "x=1"}, after=1, times=2)

    def ask(x: int) -> int:
        return served.http.get("/api/team.info", params={"x": x}, headers=SLACK).status_code

    assert [ask(x) for x in (2, 1, 2, 1, 1, 1)] == [200, 200, 200, 500, 500, 200]
    (armed,) = served.control("/faults", method="GET")
    assert (armed["seen"], armed["fired"]) == (3, 2)


def test_a_fault_by_the_body(served: Served) -> None:
    served.fault("shopify", "http_503", match={"body_contains": "products("}, times=None)
    path = _CALLS["shopify"][1]
    assert served.http.post(path, json={"query": "{shop{name}}"}).status_code == 401
    assert served.http.post(path, json={"query": "{products(first:1){nodes{id}}}"}).status_code == 503
    assert served.http.post(path, json={"query": "{products(first:2){nodes{id}}}"}).status_code == 503
    assert served.control("/faults", method="DELETE") == {"disarmed": 1}
    assert served.http.post(path, json={"query": "{products(first:1){nodes{id}}}"}).status_code == 401


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"vendor": "slack"}, "fault"),
        ({"vendor": "slack", "fault": "http_42"}, "http_42"),
        ({"vendor": "slack", "fault": "hostile"}, "repeat_page"),
        ({"vendor": "salesforce", "fault": "http_429"}, "vendor"),
        ({"vendor": "slack", "fault": "http_429", "match": {"path": "x"}}, "match"),
        ({"vendor": "slack", "fault": "http_429", "times": 0}, "times"),
        ({"vendor": "slack", "fault": "http_429", "after": -1}, "after"),
    ],
)
def test_a_malformed_fault_is_refused(served: Served, fault: dict[str, Any], why: str) -> None:
    answer = served.http.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 400
    assert why in answer.json()["error"]
    assert served.control("/faults", method="GET") == []


# The control API ------------------------------------------------------------------------------------------------


def test_web_pages_are_not_answered(served: Served) -> None:
    answer = served.http.post("/_sandbox/shutdown", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert served.http.get("/_sandbox/ready").json()["ready"]


def test_the_environment_points_at_it(served: Served) -> None:
    environment = served.control("/environment", method="GET")
    assert environment["SLACK_BASE_URL"] == environment["SHOPIFY_BASE_URL"] == served.url
    assert environment["SLACK_CHANNEL_EXECUTIVE"] == "C0EXEC"
    key = Path(environment["NETSUITE_PRIVATE_KEY"])
    assert "PRIVATE KEY" in key.read_text()
    assert key.stat().st_mode & 0o077 == 0


def test_incidents_are_told(served: Served) -> None:
    incidents = served.control("/incidents", method="GET")
    assert {"erp_gap", "erp_double", "stock_out", "channel_drop"} <= {incident["kind"] for incident in incidents}
    assert all(incident["start"] <= incident["end"] for incident in incidents)


def test_unknown_paths_are_refused_and_recorded(served: Served) -> None:
    assert served.http.get("/nowhere").status_code == 404
    assert served.ledger(vendor="unknown", kind="request")[-1]["path"] == "/nowhere"


def test_the_clock_moves_the_company_and_keeps_its_past(early: Served) -> None:
    before = {order.id: order.name for order in early.sandbox.company.orders}
    added = early.control(
        "/mutate",
        {"vendor": "slack", "op": "add_message",
         "data": {"channel": "C0FSZ", "user": "U0LIWEI", "text": "Is the mould approved?"}},
    )["result"]  # fmt: skip
    post(early.http, "posted on the first day")
    moved = early.control("/clock", {"now": "2024-12-06T06:00:00-05:00"})
    assert moved["orders"] > len(before)
    after = {order.id: order.name for order in early.sandbox.company.orders}
    assert before.items() <= after.items()
    # What clients posted stays, and so does what a test changed from outside.
    assert texts(early.http) == ["posted on the first day"]
    history = early.http.get(
        "/api/conversations.history", params={"channel": "C0FSZ", "limit": 900}, headers=SLACK
    ).json()
    assert added["ts"] in {message["ts"] for message in history["messages"]}
    assert post(early.http, "second day")["ts"].startswith(str(int(datetime(2024, 12, 6, 11, tzinfo=UTC).timestamp())))


def test_the_clock_alone_can_move_and_tick(early: Served) -> None:
    orders = len(early.sandbox.company.orders)
    early.control("/clock", {"now": "2024-12-09T06:00:00-05:00", "company": "keep", "ticking": True})
    assert len(early.sandbox.company.orders) == orders
    first = early.control("/clock", method="GET")
    time.sleep(0.05)
    second = early.control("/clock", method="GET")
    assert first["now"] < second["now"]
    assert second["ticking"] is True
    assert early.http.post("/_sandbox/clock", json={"now": "2024-12-09"}).status_code == 400


def test_a_malformed_change_is_refused(served: Served) -> None:
    for body, why in (
        ({"vendor": "salesforce", "op": "x", "data": {}}, "vendor"),
        ({"vendor": "slack", "op": "explode", "data": {"channel": "C0EXEC"}}, "explode"),
        ({"vendor": "slack", "op": "add_message", "data": {"text": "x"}}, "channel"),
        ({"vendor": "netsuite", "op": "explode", "data": {}}, "explode"),
    ):
        answer = served.http.post("/_sandbox/mutate", json=body)
        assert answer.status_code == 400
        assert why in answer.json()["error"]
    assert served.http.post("/_sandbox/faults", content=b"{not json").status_code == 400


def test_what_a_side_makes_of_its_company_is_made_once_however_many_ask_at_a_time() -> None:
    made: list[object] = []

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    kept = MadeOnce(make)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = {id(asked.result()) for asked in [pool.submit(kept) for _ in range(8)]}
    kept.forget()
    again = kept()
    assert first == {id(made[0])}
    assert again is made[1]
    assert len(made) == 2


def test_the_clock_of_the_demo_is_the_demo() -> None:
    assert datetime.fromisoformat(CLOCK).strftime("%A") == "Friday"
    assert datetime.fromisoformat(EARLY) < datetime.fromisoformat(CLOCK)
