"""The HTTP layer: what is tried again, what is not, and what is told."""

from __future__ import annotations

import gc
import gzip
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from resources.http import HttpClient, RetryPolicy, checked_base_url, may_hold_large_integer, parse_json, retry_after
from tests.connectors.fake import Asked, Said, StillClock, client_of, fake_vendor, in_turn, said
from tests.sizes import examples

PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body>token-123456</body></html>"


@pytest.mark.parametrize(
    ("first", "told"),
    [
        (said({}, 429), "429"),
        (said({}, 500), "500"),
        (said({}, 503), "503"),
        (said({}, 529), "529"),
        (Said(reset=True), "broke"),
        (Said(b'{"a": [1, 2, 3]}', cut=7), "broke"),
        (Said(b'{"a": [1, 2'), "not whole JSON"),
        (Said(b""), "empty"),
        (Said(PAGE, headers={"Content-Type": "text/html"}), "HTML page"),
        (Said(PAGE, 502), "HTML page"),
    ],
)
def test_what_may_pass_is_tried_again(first: Said, told: str) -> None:
    clock = StillClock()
    with fake_vendor(in_turn(first, said({"ok": 1}))) as vendor:
        answer = client_of(vendor, clock).call("GET", "/x")
    assert answer.data == {"ok": 1}
    assert len(vendor.asked) == 2
    assert len(clock.slept) == 1
    with fake_vendor(in_turn(first)) as vendor, pytest.raises(TransientFailure, match=told) as failure:
        client_of(vendor, StillClock(), retry=RetryPolicy(tries=3)).call("GET", "/x")
    assert "gave up after 3 tries" in str(failure.value)
    assert len(vendor.asked) == 3


def test_an_answer_leaves_nothing_for_the_garbage_collector() -> None:
    """Nothing looks for cycles while a load runs: what a request leaves must go with it."""
    with fake_vendor(in_turn(said({"rows": list(range(100))}))) as vendor:
        client = client_of(vendor, StillClock())
        client.call("GET", "/x")  # what the first one makes ready stays
        gc.collect()
        before = gc.get_debug()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            assert client.call("GET", "/x").data == {"rows": list(range(100))}
            gc.collect()
            left = [
                type(each).__qualname__
                for each in gc.garbage
                if type(each).__module__.startswith(("urllib3", "http.client", "resources."))
            ]
        finally:
            gc.set_debug(before)
            gc.garbage.clear()
    assert left == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 501])
def test_a_refusal_is_not_repeated(status: int) -> None:
    with fake_vendor(in_turn(said({"why": "because"}, status))) as vendor:
        with pytest.raises(PermanentFailure, match=f"{status}.*because"):
            client_of(vendor, StillClock()).call("GET", "/x")
        assert len(vendor.asked) == 1


def test_retry_after_is_obeyed_and_bounded_by_the_budget() -> None:
    clock = StillClock()
    with fake_vendor(in_turn(said({}, 429, Retry_After="17"), said({"ok": 1}))) as vendor:
        client_of(vendor, clock).call("GET", "/x")
    assert clock.slept == [pytest.approx(18.0)]  # 17 and at most a second of jitter, drawn at its largest here
    clock = StillClock()
    with fake_vendor(in_turn(said({}, 429, Retry_After="3600"))) as vendor:
        with pytest.raises(TransientFailure) as failure:
            client_of(vendor, clock).call("GET", "/x")
        assert len(vendor.asked) == 1
    assert clock.slept == []
    assert failure.value.retry_after == 3600


def test_waits_grow_and_the_whole_stays_in_budget() -> None:
    clock = StillClock()
    with fake_vendor(in_turn(said({}, 500))) as vendor, pytest.raises(TransientFailure):
        client_of(vendor, clock, retry=RetryPolicy(tries=50, budget_seconds=100)).call("GET", "/x")
    assert clock.slept[:7] == [0.5, 1, 2, 4, 8, 16, 30]
    assert sum(clock.slept) <= 100


def test_retry_after_as_a_date_uses_the_senders_clock() -> None:
    headers = {"retry-after": "Fri, 20 Nov 2026 11:00:30 GMT", "date": "Fri, 20 Nov 2026 11:00:00 GMT"}
    assert retry_after(headers) == 30
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({"retry-after": "nan"}) is None
    assert retry_after({"retry-after": "-5"}) == 0


def test_headers_are_made_anew_for_every_try() -> None:
    made = iter(["one", "two"])
    with fake_vendor(in_turn(said({}, 503), said({}))) as vendor:
        client_of(vendor, StillClock()).call("GET", "/x", headers=lambda: {"X-Token": next(made)})
    assert [asked.headers["x-token"] for asked in vendor.asked] == ["one", "two"]


def test_redirects_stay_on_the_host() -> None:
    def home(asked: Asked) -> Said:
        return said({}, 302, Location="/there") if asked.path == "/here" else said({"path": asked.path})

    with fake_vendor(home) as vendor:
        assert client_of(vendor, StillClock()).call("GET", "/here").data == {"path": "/there"}
    with fake_vendor(in_turn(said({"stolen": True}))) as thief:
        with fake_vendor(in_turn(said({}, 302, Location=thief.url + "/x?a=1"))) as vendor:
            with pytest.raises(PermanentFailure, match=r"redirected to 127\.0\.0\.1"):
                client_of(vendor, StillClock()).call("GET", "/x", headers={"Authorization": "Bearer abc"})
        assert thief.asked == []
    with fake_vendor(in_turn(said({}, 301, Location="/there"))) as vendor:
        with pytest.raises(PermanentFailure, match="redirected"):
            client_of(vendor, StillClock()).call("POST", "/x", json_body={})
        assert len(vendor.asked) == 1
    with fake_vendor(in_turn(said({}, 302, Location="/x"))) as vendor:
        with pytest.raises(PermanentFailure, match="circle"):
            client_of(vendor, StillClock()).call("GET", "/x")


def test_an_answer_too_large_is_not_read() -> None:
    with fake_vendor(in_turn(Said(b"[" + b"1," * 5000 + b"1]"))) as vendor:
        with pytest.raises(PermanentFailure, match="larger than"):
            client_of(vendor, StillClock(), largest_body=1000).call("GET", "/x")
    packed = gzip.compress(b"[" + b"1," * 500_000 + b"1]")
    assert len(packed) < 100_000
    with fake_vendor(in_turn(Said(packed, headers={"Content-Encoding": "gzip"}))) as vendor:
        with pytest.raises(PermanentFailure, match="larger than"):
            client_of(vendor, StillClock(), largest_body=100_000).call("GET", "/x")


def test_secrets_reach_neither_failures_nor_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with fake_vendor(in_turn(said({"echo": "token-123456"}, 500))) as vendor:
        client = client_of(vendor, StillClock(), retry=RetryPolicy(tries=2))
        client.keep_secret("token-123456")
        with pytest.raises(TransientFailure) as failure:
            client.call("GET", "/x", params={"key": "token-123456"}, headers={"Authorization": "Bearer token-123456"})
    assert "token-123456" not in str(failure.value) + caplog.text
    assert "[secret]" in str(failure.value)


def test_a_credential_that_cannot_be_a_header_is_a_setting_to_fix() -> None:
    with fake_vendor(in_turn(said({}))) as vendor:
        for token in ("bad\ntoken", "käse"):
            with pytest.raises(ConfigurationError, match="credential"):
                client_of(vendor, StillClock()).call("GET", "/x", headers={"Authorization": token})
        assert vendor.asked == []


def test_nobody_there_is_transient_and_says_where() -> None:
    client = HttpClient("shopify", "http://127.0.0.1:9", sleep=lambda _: None, retry=RetryPolicy(tries=2))
    with pytest.raises(TransientFailure, match=r"cannot reach 127\.0\.0\.1:9"):
        client.call("GET", "/x")


def test_base_urls() -> None:
    assert checked_base_url("https://a.example/", "v") == "https://a.example"
    assert checked_base_url("http://127.0.0.1:8000", "v") == "http://127.0.0.1:8000"
    assert checked_base_url("http://sandbox:8000", "v") == "http://sandbox:8000"
    for wrong in ("http://shop.example", "ftp://a", "shop.example", "https://u:p@a.example", "https://a.example/?x=1"):
        with pytest.raises(ConfigurationError):
            checked_base_url(wrong, "v")


# -- JSON -----------------------------------------------------------------------------------------------


def test_integers_beyond_64_bits_stay_text_and_none_becomes_a_float() -> None:
    body = b'{"a": 12345678901234567890123, "b": 9223372036854775808, "c": -9223372036854775809, "d": 42, "e": "9"}'
    assert parse_json(body) == {
        "a": "12345678901234567890123",
        "b": 9223372036854775808,
        "c": "-9223372036854775809",
        "d": 42,
        "e": "9",
    }
    assert parse_json(b"[" + b"9" * 10_000 + b"]") == ["9" * 10_000]


def test_exact_decimals() -> None:
    assert parse_json(b'{"price": 12.10, "x": 1e-30}', exact_decimals=True) == {
        "price": Decimal("12.10"),
        "x": Decimal("1e-30"),
    }


def test_a_number_beyond_any_range_stays_text_and_is_neither_infinite_nor_a_million_digits_long() -> None:
    body = b'{"a": 1e400, "b": [-1e999999999], "c": 1.5, "d": 1e9999999999999999999}'
    assert parse_json(body) == {"a": "1e400", "b": ["-1e999999999"], "c": 1.5, "d": "1e9999999999999999999"}
    said = parse_json(body, exact_decimals=True)
    assert said == {
        "a": Decimal("1e400"), "b": ["-1e999999999"], "c": Decimal("1.5"), "d": "1e9999999999999999999",
    }  # fmt: skip


@pytest.mark.parametrize("body", [b"", b"{", b"[1,]", b"NaN", b'{"a": Infinity}', b"\xff\xfe", b"nul", b'"\n"'])
def test_what_is_not_json(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(body)


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert parse_json(rb'{"a": "x\ud83dy", "\udc00": ["\ud83d\ude00"]}') == {"a": "x\ufffdy", "\ufffd": ["😀"]}


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.integers(10**17, 10**24).map(str),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    )
)
def test_decoding_agrees_with_the_standard_library(value: object) -> None:
    """The standard library keeps every integer, so it is the oracle; surrogates aside, text is untouched."""

    def expected(item: object) -> object:
        if isinstance(item, bool) or item is None:
            return item
        if isinstance(item, int):
            return item if -(2**63) <= item < 2**64 else str(item)
        if isinstance(item, list):
            return [expected(each) for each in item]
        if isinstance(item, dict):
            return {key: expected(each) for key, each in item.items()}
        return item

    body = json.dumps(value).encode()
    assert parse_json(body) == expected(value)
    assert json.loads(body) == value


def test_the_check_for_large_integers_is_not_fooled_by_text() -> None:
    assert not may_hold_large_integer(b'{"a": "x12345678901234567890123", "b": 1.5}')
    assert may_hold_large_integer(b'{"a":12345678901234567890123}')
    assert may_hold_large_integer(b"[1,\n -99999999999999999999\n]")


# -- files ----------------------------------------------------------------------------------------------


def ranged(content: bytes, *, cut_at: list[int], honour: bool = True) -> object:
    """A host that cuts its first answers and honours `Range` or not."""

    def script(asked: Asked) -> Said:
        start = 0
        if honour and "range" in asked.headers:
            start = int(asked.headers["range"].removeprefix("bytes=").rstrip("-"))
        body = content[start:]
        status = 206 if start else 200
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        return Said(body, status, headers, cut=cut_at.pop(0) if cut_at else None)

    return script


@pytest.mark.parametrize("honour", [True, False])
def test_a_cut_download_is_resumed(honour: bool) -> None:
    content = bytes(range(256)) * 400
    with fake_vendor(ranged(content, cut_at=[30_000, 20_000], honour=honour)) as vendor:  # type: ignore[arg-type]
        target = io.BytesIO()
        client = client_of(vendor, StillClock())
        size = client.download(vendor.url + "/file?sig=s", target, expected_size=len(content), largest=10**6)
    assert target.getvalue() == content
    assert size == len(content)
    assert len(vendor.asked) == 3
    assert [asked.headers.get("range") for asked in vendor.asked][1] == "bytes=30000-"
    assert all("x-shopify-access-token" not in asked.headers for asked in vendor.asked)


def test_a_short_download_is_never_taken_for_whole() -> None:
    with fake_vendor(in_turn(Said(b"only this"))) as vendor:
        client = client_of(vendor, StillClock(), retry=RetryPolicy(tries=2))
        with pytest.raises(TransientFailure, match="9 of 100 bytes"):
            client.download(vendor.url + "/file", io.BytesIO(), expected_size=100, largest=10**6)


def test_a_spent_link_is_permanent_and_a_large_file_is_refused() -> None:
    with fake_vendor(in_turn(said({}, 403))) as vendor, pytest.raises(PermanentFailure, match="403"):
        client_of(vendor, StillClock()).download(vendor.url, io.BytesIO(), expected_size=None, largest=10)
    with fake_vendor(in_turn(Said(b"x" * 100))) as vendor, pytest.raises(PermanentFailure, match="larger"):
        client_of(vendor, StillClock()).download(vendor.url, io.BytesIO(), expected_size=None, largest=10)


# -- what drips ---------------------------------------------------------------------------------------------


@contextmanager
def dripping(answer: bytes, seconds: float) -> Iterator[str]:
    """A host that sends its answer a byte at a time, so that no read ever times out."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                asked, _ = listener.accept()
                with asked, suppress(OSError):
                    for byte in answer:
                        if over.wait(seconds):
                            return
                        asked.sendall(bytes([byte]))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname()).close()
            thread.join()


@pytest.mark.parametrize("dripped", [b"HTTP/1.1 200 OK\r\nX-Much: " + b"x" * 10_000, b"H" * 10_000])
def test_headers_that_drip_are_not_waited_for_without_end(dripped: bytes) -> None:
    with dripping(dripped, seconds=0.02) as url:
        client = HttpClient("acme", url, timeout_seconds=0.2, retry=RetryPolicy(tries=1))
        began = time.monotonic()
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.call("GET", "/x")
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.download(url, io.BytesIO(), expected_size=None, largest=10)
        assert time.monotonic() - began < 10
        client.close()


class HastyClock(StillClock):
    """A clock on which a hundred seconds pass between two looks: every body drips."""

    def __call__(self) -> float:
        self.now += 100.0
        return self.now


def test_an_answer_or_a_file_that_drips_is_not_waited_for_without_end() -> None:
    body = b'{"a": "%b"}' % (b"x" * 300_000)
    with fake_vendor(in_turn(Said(body))) as vendor:
        once = RetryPolicy(tries=1, budget_seconds=10**9)
        client = client_of(vendor, HastyClock(), retry=once)
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.call("GET", "/x")
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.download(vendor.url, io.BytesIO(), expected_size=None, largest=10**6)
        # One that is merely long comes to its end.
        whole = io.BytesIO()
        client = client_of(vendor, StillClock(), retry=once)
        assert client.download(vendor.url, whole, expected_size=None, largest=10**6) == len(body)
