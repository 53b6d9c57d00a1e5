"""What the clients hand over to be sent, and what they are answered.

Belongs here: the recording. Does not belong here: what judges it (the contract tests).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from resources.http import HttpClient
from resources.http_transport import Transport


@contextmanager
def noted() -> Iterator[list[httpx.Response]]:
    """Every exchange of every client within the block, in the order of its answers."""
    seen: list[httpx.Response] = []
    here = threading.local()
    send, exchange = Transport.exchange, HttpClient._exchange

    def sending(self: Transport, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Any:
        here.request = httpx.Request(method, url, headers=headers, content=body)
        return send(self, method, url, headers, body)

    def exchanging(self: HttpClient, *given: Any) -> Any:
        status, headers, body = exchange(self, *given)
        kind = {"content-type": headers["content-type"]} if "content-type" in headers else {}
        seen.append(httpx.Response(status, headers=kind, content=body, request=here.request))
        return status, headers, body

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "exchange", sending)
        patch.setattr(HttpClient, "_exchange", exchanging)
        yield seen
