"""How one exchange over HTTP goes over the wire: connections, TLS, proxies, and how long the whole may take.

Belongs here: what lies below a request, on urllib3. Does not belong here: what is asked, what is made of the answer and
whether to ask again (`http.py`).

urllib3 bounds each read alone. A host that sends a byte of its headers just before every timeout would hold a sync for
ever; a body that drips can be stopped by who reads it, headers are read by nobody but the standard library. So the
sockets are our own: no read waits beyond what is left of the exchange.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from typing import Any
from urllib.parse import unquote, urlsplit

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)

CONNECT_SECONDS = 10.0
# Firewalls and balancers forget a connection that lies idle, and some say nothing of it.
IDLE_SECONDS = 5.0
# Streams read side by side share a client.
KEPT_CONNECTIONS = 8
PIECE_BYTES = 64 * 1024

# Its warnings name URLs, and a signed download link is a credential.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class TooSlow(Exception):
    """The whole exchange took too long, though no single read did."""


class Unusable(ValueError):
    """What the environment says of proxies or certificates cannot be used."""


# -- how long the whole may take --------------------------------------------------------------------------


class _Bound(threading.local):
    """The end of the exchange that the calling thread is in, by the clock that was given for it."""

    end: float | None = None
    clock: Callable[[], float] = staticmethod(time.monotonic)

    def left(self, timeout: float | None) -> float | None:
        """The shorter of `timeout` and what is left. Raises `TooSlow` when nothing is."""
        if self.end is None:
            return timeout
        left = self.end - self.clock()
        if left <= 0:
            raise TooSlow("the answer came too slowly to be read to its end")
        return left if timeout is None else min(left, timeout)


_bound = _Bound()


@contextmanager
def within(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[], None]]:
    """What this thread exchanges ends `seconds` from now; yields what lifts the bound for the rest of the block."""
    before = _bound.clock, _bound.end
    _bound.clock, _bound.end = clock, clock() + seconds

    def lift() -> None:
        _bound.end = None

    try:
        yield lift
    finally:
        _bound.clock, _bound.end = before


class _Bounded(socket.socket):
    """A socket that waits no longer than its timeout, nor than what is left of the exchange."""

    def recv(self, *arguments: Any) -> bytes:
        read: bytes = self._bounded(super().recv, *arguments)
        return read

    def recv_into(self, *arguments: Any) -> int:
        read: int = self._bounded(super().recv_into, *arguments)
        return read

    def sendall(self, data: Any, flags: int = 0) -> None:
        # The timeout is for a piece, not for all of a large file.
        with memoryview(data).cast("B") as view:
            sent = 0
            while sent < len(view):
                sent += self._bounded(self.send, view[sent : sent + PIECE_BYTES], flags)

    def _bounded(self, wait: Callable[..., Any], *arguments: Any) -> Any:
        timeout = self.gettimeout()
        left = _bound.left(timeout)
        if left == timeout:
            return wait(*arguments)
        self.settimeout(left)
        try:
            done = wait(*arguments)
        except TimeoutError:
            _bound.left(None)  # says so where it was the whole that took too long
            raise
        self.settimeout(timeout)
        return done


class _BoundedTLS(_Bounded, ssl.SSLSocket):
    pass


# -- connections ------------------------------------------------------------------------------------------


class _Answer(http.client.HTTPResponse):
    """Knows two things that Python's does not: that hints (102, 103) come before an answer, and that what follows a
    line which is no header has been left unread, the length of the body perhaps with it."""

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status == 101:
                raise http.client.HTTPException("the other side speaks another protocol (status 101)")
            if not 101 < status < 200:
                return version, status, reason
            while self.fp.readline(65_537) not in (b"\r\n", b"\n", b""):
                pass

    def begin(self) -> None:
        super().begin()
        if any(isinstance(defect, _NO_HEADER) for defect in self.msg.defects):
            raise http.client.HTTPException("a line among the headers is none")


_NO_HEADER = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)


class _Connection(HTTPConnection):
    response_class = _Answer
    _answered = 0.0

    def connect(self) -> None:
        """Raises `NewConnectionError` for whatever ends before there is a connection, its TLS and its proxy's tunnel
        included: nothing was asked yet."""
        try:
            super().connect()
        except TimeoutError:
            raise
        except OSError as error:
            raise NewConnectionError(self, f"no connection: {error}") from error
        self.sock.settimeout(self.timeout)

    def _new_conn(self) -> socket.socket:
        # As bytes: for text, Python loads the tables of international names, a megabyte, also for 127.0.0.1.
        host = self.host.strip("[]")
        try:
            named = host.encode("ascii") if host.isascii() else host.encode("idna")
        except UnicodeError:
            raise LocationParseError(f"{host!r} cannot be the name of a host") from None
        try:
            places = socket.getaddrinfo(named, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(host, self, error) from error
        failure: OSError = OSError("the name has no address")
        longest = CONNECT_SECONDS if self.timeout is None else min(CONNECT_SECONDS, self.timeout)
        for family, kind, protocol, _, address in places:
            opened: _Bounded | None = None
            try:
                opened = _Bounded(family, kind, protocol)
                for option in self.socket_options or ():
                    opened.setsockopt(*option)
                opened.settimeout(_bound.left(longest))
                opened.connect(address)
            except OSError as error:
                if opened is not None:
                    opened.close()
                failure = error
            except TooSlow:
                if opened is not None:
                    opened.close()
                raise
            else:
                return opened
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"no connection to {host} within {longest} s") from failure
        raise NewConnectionError(self, f"no connection: {failure}") from failure

    def getresponse(self) -> Any:
        answer = super().getresponse()
        self._answered = time.monotonic()
        return answer

    @property
    def is_connected(self) -> bool:
        """Whether it may serve another request."""
        return time.monotonic() - self._answered < IDLE_SECONDS and super().is_connected


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Transport:
    """Connections to hosts, kept for the next request. Threads may share it. Opens nothing until the first exchange.

    `url` is where most of them go: it says whether TLS and a proxy are needed at all, which cost tens of milliseconds
    to make ready. A loopback address needs neither. Raises `Unusable`."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        # What urllib3 has for connecting is what it sends under, too; connecting has a bound of its own.
        timeout = Timeout(connect=timeout_seconds, read=timeout_seconds)
        options: dict[str, Any] = {"timeout": timeout, "retries": False, "maxsize": KEPT_CONNECTIONS}
        secure = url.startswith("https://")
        proxy = _proxy_of(url) if secure else None
        if secure:
            options["ssl_context"] = _context()
        self._pools = PoolManager(**options) if proxy is None else _through(proxy, options)
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    @contextmanager
    def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[BaseHTTPResponse]:
        """Send one request and yield its answer, whose body is still to be read (`pieces`). Follows nothing.

        Raises what `urllib3.exceptions` has, and `TooSlow` within a bound."""
        answer = self._pools.urlopen(
            method, url, body=body, headers=dict(headers), redirect=False, preload_content=False
        )
        try:
            yield answer
        finally:
            # Of an answer that was read whole the connection has gone back already; else it serves nobody any more.
            answer.close()
            answer.release_conn()

    def close(self) -> None:
        self._pools.clear()


def pieces(answer: BaseHTTPResponse, *, decoded: bool = True) -> Iterator[bytes]:
    """The body as it comes, unpacked where `decoded`. Raises `urllib3.exceptions.HTTPError` where it ends too early."""
    while piece := answer.read1(PIECE_BYTES, decode_content=decoded):
        yield piece


def _context() -> ssl.SSLContext:
    """Certificates by the environment, where it names them (a company's own authority), else those of certifi."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and not folder:
        import certifi

        file = certifi.where()
    try:
        context = ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        raise Unusable(f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}") from None
    context.sslsocket_class = _BoundedTLS
    return context


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for `url`."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    known = getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    host = parts.hostname or ""
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]) or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _through(proxy: str, options: Mapping[str, Any]) -> ProxyManager:
    """Connections through `proxy`, which is never told: it may hold a password."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https"):
            raise Unusable(
                f"the environment names a proxy of the kind {parts.scheme!r}: only http and https can be used"
            )
        headers = None
        if parts.username:
            named = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = {"proxy-authorization": f"Basic {b64encode(named.encode()).decode()}"}
        context = _context() if parts.scheme == "https" else None
        return ProxyManager(proxy, proxy_headers=headers, proxy_ssl_context=context, **options)
    except Unusable:
        raise
    except (ValueError, HTTPError):
        raise Unusable("the environment names a proxy that is no usable address, such as http://host:port") from None
