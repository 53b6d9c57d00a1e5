"""How long one exchange over HTTP may take in all, whatever it is made of.

Belongs here: that bound, below httpx. Does not belong here: what is asked and what is made of it (`http.py`).

httpx bounds each read alone. A host that sends a byte of its headers just before every timeout would hold a sync for
ever; a body that drips can be stopped by who reads it, headers and a TLS handshake are read by nobody but httpcore. So
its network is wrapped: no read waits beyond what is left of the exchange.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import httpx


class TooSlow(httpcore.ReadTimeout):
    """The whole took too long, though no single read did. httpx gives it on as the cause of an error of its own."""


class Deadline:
    """The end of the exchange that the calling thread is in; `clock` in seconds, which only ever grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of = threading.local()

    @contextmanager
    def within(self, seconds: float) -> Iterator[Callable[[], None]]:
        """An exchange that ends `seconds` from now; yields what lifts the bound for the rest of the block."""
        self._of.end = self._clock() + seconds

        def lift() -> None:
            self._of.end = None

        try:
            yield lift
        finally:
            self._of.end = None

    def left(self, timeout: float | None) -> float | None:
        """The shorter of `timeout` and what is left. Raises `TooSlow` when nothing is."""
        end: float | None = getattr(self._of, "end", None)
        if end is None:
            return timeout
        left = end - self._clock()
        if left <= 0:
            raise TooSlow("the answer came too slowly to be read to its end")
        return left if timeout is None else min(left, timeout)

    def bind(self, client: httpx.Client) -> None:
        """Let it bound what `client` does, whichever of its transports it takes."""
        for transport in (client._transport, *client._mounts.values()):
            # httpx has no argument for it; httpcore's pool, which it makes, has.
            pool: Any = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Backend(pool._network_backend, self)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout)
        return _Stream(self._inner.connect_tcp(host, port, left, local_address, socket_options), self._deadline)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._inner.read(max_bytes, self._deadline.left(timeout))
        except httpcore.ReadTimeout:
            self._deadline.left(None)  # says so where it was the whole that took too long
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
