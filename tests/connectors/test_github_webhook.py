"""The listener for GitHub's webhooks: what it refuses, what it keeps before it answers."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.failures import ConfigurationError
from resources.github.webhook import LONGEST_BODY, Delivery, WebhookListener
from tests.sizes import examples

SECRET = "a-long-random-webhook-secret"


class Kept:
    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.error: Exception | None = None

    def __call__(self, delivery: Delivery) -> None:
        if self.error is not None:
            raise self.error
        self.deliveries.append(delivery)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def listener(kept: Kept) -> Iterator[WebhookListener]:
    made = WebhookListener(kept, SECRET)
    made.start()
    yield made
    made.stop()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "X-GitHub-Event": "issues",
        "Content-Type": "application/json",
    }


def post(listener: WebhookListener, body: bytes, headers: dict[str, str], path: str | None = None) -> int:
    parts = urlsplit(listener.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("POST", path or parts.path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


BODY = json.dumps({"action": "opened", "issue": {"title": "تحقّق 😀"}}, ensure_ascii=False).encode()


def test_a_signed_delivery_is_kept_as_it_came_and_then_answered(listener: WebhookListener, kept: Kept) -> None:
    assert post(listener, BODY, signed(BODY)) == 202
    assert kept.deliveries == [Delivery("72d3162e-cc78-11e3-81ab-4c9367dc0958", "issues", BODY)]
    # A redelivery has the same id: keeping it twice is the keeper's to prevent.
    assert post(listener, BODY, signed(BODY)) == 202


def test_what_is_not_signed_is_not_kept(listener: WebhookListener, kept: Kept) -> None:
    good = signed(BODY)
    assert post(listener, BODY, {}) == 401
    assert post(listener, BODY, signed(BODY, "another-secret-altogether")) == 401
    assert post(listener, BODY + b" ", good) == 401
    old = {**good, "X-Hub-Signature": "sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest()}
    del old["X-Hub-Signature-256"]
    assert post(listener, BODY, old) == 401
    for wrong in ("sha256=", "sha256=" + "0" * 64, "sha256=" + "é" * 64, good["X-Hub-Signature-256"].upper()):
        assert post(listener, BODY, {**good, "X-Hub-Signature-256": wrong.encode("latin-1").decode("latin-1")}) == 401
    assert kept.deliveries == []


def test_two_signatures_are_none(listener: WebhookListener, kept: Kept) -> None:
    parts = urlsplit(listener.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.putrequest("POST", parts.path)
    for name, value in signed(BODY).items():
        connection.putheader(name, value)
    connection.putheader("X-Hub-Signature-256", "sha256=" + "0" * 64)
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders(BODY)
    assert connection.getresponse().status == 401 and kept.deliveries == []


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff\xfe", b"payload=%7B%7D", b"[" * 50_000])
def test_what_is_no_object_makes_no_sense(listener: WebhookListener, kept: Kept, body: bytes) -> None:
    assert post(listener, body, signed(body)) == 400 and kept.deliveries == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-GitHub-Delivery", ""), ("X-GitHub-Delivery", "a/../b" * 5), ("X-GitHub-Event", ""), ("X-GitHub-Event", "A B")],
)
def test_a_delivery_needs_an_id_and_an_event(listener: WebhookListener, kept: Kept, name: str, value: str) -> None:
    assert post(listener, BODY, {**signed(BODY), name: value}) == 400 and kept.deliveries == []


def test_too_long_is_refused_before_it_is_read(listener: WebhookListener) -> None:
    parts = urlsplit(listener.url)
    for length in (str(LONGEST_BODY + 1), "9" * 30):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as raw:
            raw.sendall(f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
            assert b" 413 " in raw.recv(200)
    for line in ("Content-Length: -1", "Content-Length: 1e3", "Transfer-Encoding: chunked", "X: y"):
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as raw:
            raw.sendall(f"POST {parts.path} HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
            assert b" 400 " in raw.recv(200)


def test_a_megabyte_is_no_trouble(listener: WebhookListener, kept: Kept) -> None:
    body = json.dumps({"action": "opened", "issue": {"body": "x" * 1_000_000}}).encode()
    assert post(listener, body, signed(body)) == 202 and len(kept.deliveries[0].body) == len(body)


def test_other_paths_and_methods(listener: WebhookListener, kept: Kept) -> None:
    assert post(listener, BODY, signed(BODY), "/") == 404
    parts = urlsplit(listener.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    connection.request("GET", parts.path)
    assert connection.getresponse().status == 405
    assert kept.deliveries == []
    assert listener.url.startswith("http://127.0.0.1:")


def test_what_cannot_be_kept_is_said(listener: WebhookListener, kept: Kept) -> None:
    kept.error = OSError("the database is away")
    assert post(listener, BODY, signed(BODY)) == 503


def test_a_ping_is_answered_and_kept_nowhere(listener: WebhookListener, kept: Kept) -> None:
    body = b'{"zen": "Design for failure.", "hook_id": 1}'
    assert post(listener, body, {**signed(body), "X-GitHub-Event": "ping"}) == 202 and kept.deliveries == []


def test_slow_strangers_hold_nobody_up(listener: WebhookListener, kept: Kept) -> None:
    parts = urlsplit(listener.url)
    idle = [socket.create_connection((parts.hostname or "", parts.port or 0)) for _ in range(8)]
    began = time.monotonic()
    assert post(listener, BODY, signed(BODY)) == 202 and time.monotonic() - began < 2
    for each in idle:
        each.close()


def test_a_hundred_at_once_are_all_kept(listener: WebhookListener, kept: Kept) -> None:
    statuses: list[int] = []

    def one(number: int) -> None:
        headers = {**signed(BODY), "X-GitHub-Delivery": f"00000000-0000-0000-0000-{number:012d}"}
        statuses.append(post(listener, BODY, headers))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * 100 and len({each.id for each in kept.deliveries}) == 100


@given(body=st.binary(max_size=300), header=st.text(max_size=80))
@settings(max_examples=examples(200), deadline=None)
def test_nothing_unsigned_ever_passes(body: bytes, header: str) -> None:
    kept = Kept()
    listener = WebhookListener(kept, SECRET)
    try:
        given_headers = {**signed(BODY), "X-Hub-Signature-256": header}
        if header != signed(body)["X-Hub-Signature-256"]:
            assert listener.receive(given_headers, body)[0] == 401
        assert kept.deliveries == []
    finally:
        listener._server.server_close()


def test_a_short_secret_and_a_taken_port_are_told() -> None:
    with pytest.raises(ConfigurationError, match="GITHUB_WEBHOOK_SECRET"):
        WebhookListener(Kept(), "short")
    first = WebhookListener(Kept(), SECRET)
    with pytest.raises(ConfigurationError, match="OPS_WEBHOOK_PORT"):
        WebhookListener(Kept(), SECRET, port=urlsplit(first.url).port or 0)
    first._server.server_close()
