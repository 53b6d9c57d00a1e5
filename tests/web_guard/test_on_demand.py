"""Dagster's pages while nobody looks, when somebody does, and after: over a real server on loopback."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import uvicorn

from ops_platform.web_guard.guard import App, Receive, Scope, Send
from ops_platform.web_guard.on_demand import OnDemand


class Pages:
    """An application that notes when it is opened and closed, and can be slow or broken to open."""

    def __init__(self) -> None:
        self.opened = self.closed = 0
        self.broken = False

    @contextmanager
    def load(self) -> Iterator[App]:
        time.sleep(0.2)
        if self.broken:
            raise RuntimeError("the code server does not answer")
        self.opened += 1
        try:
            yield self._answer
        finally:
            self.closed += 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/long":
            await asyncio.sleep(0.8)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"lineage"})


class Served:
    def __init__(self, pages: Pages, rest_after: float) -> None:
        self.rests = 0
        self.on_demand = OnDemand(pages.load, self._rest, rest_after=rest_after)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.server = uvicorn.Server(
            uvicorn.Config(self.on_demand, host="127.0.0.1", port=self.port, log_level="critical", lifespan="on")
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def _rest(self) -> None:
        self.rests += 1
        self.server.should_exit = True

    def get(self, path: str = "/") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    begun: list[Served] = []

    def start(pages: Pages, rest_after: float = 60.0) -> Served:
        served = Served(pages, rest_after)
        begun.append(served)
        served.thread.start()
        _until(lambda: served.server.started)
        return served

    yield start
    for served in begun:
        served.server.should_exit = True
        served.thread.join(10)


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def test_nothing_is_loaded_before_somebody_asks(serve: Callable[..., Served]) -> None:
    pages = Pages()
    served = serve(pages)
    time.sleep(0.3)
    assert (pages.opened, served.on_demand.loaded) == (0, False)
    assert served.get() == (200, b"lineage")
    assert (pages.opened, served.on_demand.loaded) == (1, True)


def test_all_who_come_while_it_loads_wait_for_one_load(serve: Callable[..., Served]) -> None:
    pages = Pages()
    served = serve(pages)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: served.get(), range(8)))
    assert answers == [(200, b"lineage")] * 8
    assert pages.opened == 1


def test_a_load_that_fails_is_answered_and_the_next_request_tries_again(serve: Callable[..., Served]) -> None:
    pages = Pages()
    pages.broken = True
    served = serve(pages)
    assert served.get()[0] == 500
    pages.broken = False
    assert served.get() == (200, b"lineage")


def test_it_rests_once_nobody_is_served_and_closes_what_it_opened(serve: Callable[..., Served]) -> None:
    pages = Pages()
    served = serve(pages, rest_after=0.4)
    assert served.get()[0] == 200
    _until(lambda: not served.thread.is_alive())
    assert (served.rests, pages.opened, pages.closed) == (1, 1, 1)


def test_who_is_still_served_keeps_it(serve: Callable[..., Served]) -> None:
    pages = Pages()
    served = serve(pages, rest_after=0.4)
    assert served.get("/long") == (200, b"lineage")
    assert pages.closed == 0


def test_what_was_never_loaded_does_not_rest(serve: Callable[..., Served]) -> None:
    pages = Pages()
    served = serve(pages, rest_after=0.1)
    time.sleep(0.5)
    assert (served.rests, served.thread.is_alive()) == (0, True)
