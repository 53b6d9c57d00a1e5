"""What lies below a request: TLS, proxies, connections that are kept or not, and the bound on the whole."""

from __future__ import annotations

import base64
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from resources import http_transport
from resources.http import HttpClient, RetryPolicy
from resources.http_transport import Transport
from resources.retry import Unreachable

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"a": "ok"}'
ONCE = RetryPolicy(tries=1)
Handler = Callable[[socket.socket], None]


@contextmanager
def listening(handler: Handler) -> Iterator[int]:
    """A host that hands every connection to `handler`, in a thread of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(accepted: socket.socket) -> None:
            with accepted, suppress(OSError):
                handler(accepted)

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=one, args=(accepted,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def asked(connection: socket.socket) -> bytes:
    """One request's head; empty when the other side has gone."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (read := connection.recv(65536)):
            return b""
        head += read
    return head


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an authority that nobody knows, for 127.0.0.1; the key stands in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a vendor")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "vendor.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def secured(certificate: Path, handler: Handler) -> Handler:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def over_tls(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            handler(secure)

    return over_tls


def answering(connection: socket.socket) -> None:
    while asked(connection):
        connection.sendall(ANSWER)


def dripping(connection: socket.socket) -> None:
    asked(connection)
    for byte in b"HTTP/1.1 200 OK\r\nX-Much: " + b"x" * 10_000:
        time.sleep(0.02)
        connection.sendall(bytes([byte]))


# -- TLS ------------------------------------------------------------------------------------------------------


def test_a_certificate_must_be_known(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(secured(certificate, answering)) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(PermanentFailure, match=r"certificate of 127\.0\.0\.1.* is not trusted"):
            HttpClient("acme", url).call("GET", "/x")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert HttpClient("acme", url).call("GET", "/x").data == {"a": "ok"}
        # The name must be that of the certificate, too.
        with pytest.raises(PermanentFailure, match="not trusted"):
            HttpClient("acme", f"https://localhost:{port}").call("GET", "/x")


def test_certificates_that_cannot_be_read_are_a_setting_to_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authority.pem")
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        HttpClient("acme", "https://127.0.0.1:9").call("GET", "/x")


def test_what_drips_over_tls_is_not_waited_for_without_end(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with listening(secured(certificate, dripping)) as port:
        client = HttpClient("acme", f"https://127.0.0.1:{port}", timeout_seconds=0.2, retry=ONCE)
        began = time.monotonic()
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.call("GET", "/x")
        assert time.monotonic() - began < 5


def test_tls_that_fails_is_nobody_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was asked yet, so that whoever writes may do so again."""
    for handler in (lambda connection: None, lambda connection: connection.sendall(ANSWER)):
        with listening(handler) as port, pytest.raises(Unreachable, match="cannot reach"):
            HttpClient("acme", f"https://127.0.0.1:{port}", retry=ONCE).call("POST", "/x", json_body={})


def test_a_host_that_does_not_finish_its_handshake_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def silent(connection: socket.socket) -> None:
        over.wait(30)

    with listening(silent) as port:
        client = HttpClient("acme", f"https://127.0.0.1:{port}", timeout_seconds=0.2, retry=ONCE)
        began = time.monotonic()
        with pytest.raises(TransientFailure, match="did not answer in time"):
            client.call("GET", "/x")
        assert time.monotonic() - began < 5
        over.set()


# -- proxies --------------------------------------------------------------------------------------------------


@contextmanager
def proxy(heads: list[bytes], refuse: bool = False, certificate: Path | None = None) -> Iterator[int]:
    """One that makes tunnels, as companies have it; notes what it was asked."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while read := source.recv(65536):
                target.sendall(read)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def tunnel(connection: socket.socket) -> None:
        head = asked(connection)
        heads.append(head)
        if refuse:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        with socket.create_connection((host, int(port))) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join(5)

    with listening(tunnel if certificate is None else secured(certificate, tunnel)) as port:
        yield port


def test_a_companys_proxy_is_used_as_the_environment_says(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heads: list[bytes] = []
    with listening(secured(certificate, answering)) as port, proxy(heads) as at:
        url = f"https://127.0.0.1:{port}"
        monkeypatch.setenv("HTTPS_PROXY", f"http://dana:p%40%C4%85@127.0.0.1:{at}")
        assert HttpClient("acme", url).call("GET", "/x", headers={"Authorization": "Bearer abc"}).data == {"a": "ok"}
        (head,) = heads
        assert head.startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.".encode())
        assert base64.b64encode("dana:p@ą".encode()) in head
        assert b"Bearer" not in head  # what is the vendor's goes through the tunnel
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert HttpClient("acme", url).call("GET", "/x").data == {"a": "ok"}
        assert len(heads) == 1
    # A loopback address without TLS is the sandbox: no proxy stands between.
    monkeypatch.delenv("NO_PROXY")
    with listening(answering) as port:
        assert HttpClient("acme", f"http://127.0.0.1:{port}").call("GET", "/x").data == {"a": "ok"}


def test_a_proxy_that_refuses_is_not_there_or_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy([], refuse=True) as at:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{at}")
        with pytest.raises(Unreachable, match="407"):
            HttpClient("acme", "https://vendor.example", retry=ONCE).call("GET", "/x")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(TransientFailure, match=r"cannot reach vendor\.example: .*refused"):
        HttpClient("acme", "https://vendor.example", retry=ONCE).call("GET", "/x")
    for wrong in ("socks5://127.0.0.1:9", "http://[::1", "http://dana:secret-word@127.0.0.1:99x"):
        monkeypatch.setenv("HTTPS_PROXY", wrong)
        with pytest.raises(ConfigurationError, match="the environment names a proxy") as failure:
            HttpClient("acme", "https://vendor.example").call("GET", "/x")
        assert "secret-word" not in str(failure.value)


def test_what_a_vendor_was_asked_through_a_proxy_was_asked(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what surely did not arrive may be called unreachable: the rest must not simply be sent again."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    arrived: list[bytes] = []

    def taken(connection: socket.socket) -> None:
        arrived.append(asked(connection))

    with listening(secured(certificate, taken)) as port, proxy([]) as at:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{at}")
        with pytest.raises(TransientFailure, match="broke") as failure:
            HttpClient("acme", f"https://127.0.0.1:{port}", retry=ONCE).call("POST", "/orders", json_body={})
        assert not isinstance(failure.value, Unreachable)
    assert len(arrived) == 1 and arrived[0].startswith(b"POST /orders")


def test_over_a_proxy_with_tls_the_whole_is_bounded_too(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    heads: list[bytes] = []
    with listening(secured(certificate, dripping)) as port, proxy(heads, certificate=certificate) as at:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{at}")
        client = HttpClient("acme", f"https://127.0.0.1:{port}", timeout_seconds=0.3, retry=ONCE)
        began = time.monotonic()
        with pytest.raises(TransientFailure, match="came too slowly"):
            client.call("GET", "/x")
        assert time.monotonic() - began < 5
    assert len(heads) == 1


# -- connections ----------------------------------------------------------------------------------------------


def test_a_connection_is_kept_unless_it_lay_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def noting(connection: socket.socket) -> None:
        made.append(connection.getpeername()[1])
        answering(connection)

    with listening(noting) as port:
        client = HttpClient("acme", f"http://127.0.0.1:{port}")
        for _ in range(3):
            client.call("GET", "/x")
        assert len(made) == 1
        monkeypatch.setattr(http_transport, "IDLE_SECONDS", 0.0)
        client.call("GET", "/x")
        assert len(made) == 2
        client.close()
        client.call("GET", "/x")
        assert len(made) == 3


def test_an_answer_that_was_not_read_to_its_end_is_no_part_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def long(connection: socket.socket) -> None:
        while head := asked(connection):
            much = b"/long" in head
            body = b"[" + b"1," * 5000 + b"1]" if much else b'{"a": "ok"}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with listening(long) as port:
        client = HttpClient("acme", f"http://127.0.0.1:{port}", largest_body=1000)
        with pytest.raises(PermanentFailure, match="larger than"):
            client.call("GET", "/long")
        assert client.call("GET", "/short").data == {"a": "ok"}


@pytest.mark.parametrize("cut", [b'5\r\n{"a":', b'5\r\n{"a":\r\n', b"zz\r\n"])
def test_chunks_that_break_off_are_never_taken_for_whole(cut: bytes) -> None:
    def broken(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + cut)

    with listening(broken) as port, pytest.raises(TransientFailure, match="broke"):
        HttpClient("acme", f"http://127.0.0.1:{port}", retry=ONCE).call("GET", "/x")


def test_a_hint_is_not_taken_for_the_answer() -> None:
    """Nor is the answer that follows it, later, for that of the next request."""

    def hinting(connection: socket.socket) -> None:
        while head := asked(connection):
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
            time.sleep(0.05)
            body = b'{"path": "%b"}' % head.split()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with listening(hinting) as port:
        client = HttpClient("acme", f"http://127.0.0.1:{port}")
        for path in ("/alice", "/bob", "/carol"):
            assert client.call("GET", path).data == {"path": path}


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 20\r\n\r\n{}",  # the length is not seen any more
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}",
        b"\x00\x01\x02",
    ],
)
def test_an_answer_that_is_none_is_a_broken_connection(head: bytes) -> None:
    def wrong(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(head)

    with listening(wrong) as port, pytest.raises(TransientFailure, match="broke"):
        HttpClient("acme", f"http://127.0.0.1:{port}", retry=ONCE).call("GET", "/x")


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", ""])
def test_a_length_that_is_none_escapes_nobody(length: str) -> None:
    def odd(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b'\r\n\r\n{"a": "ok"}')

    with listening(odd) as port, suppress(PermanentFailure, TransientFailure):
        assert HttpClient("acme", f"http://127.0.0.1:{port}", retry=ONCE).call("GET", "/x").data == {"a": "ok"}


@pytest.mark.parametrize("target", ["http://127.0.0.1:99x/", "http://["])
def test_a_redirect_to_what_is_no_address_is_refused(target: str) -> None:
    def away(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())

    with listening(away) as port, pytest.raises(PermanentFailure, match="redirected"):
        HttpClient("acme", f"http://127.0.0.1:{port}").call("GET", "/x")


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = socket.getaddrinfo

    def first_another(*given: object, **named: object) -> list[object]:
        return [(socket.AF_APPLETALK, socket.SOCK_STREAM, 0, "", ("::1", 9, 0, 0)), *found(*given, **named)]  # type: ignore[arg-type]

    with listening(answering) as port:
        monkeypatch.setattr(socket, "getaddrinfo", first_another)
        assert HttpClient("acme", f"http://127.0.0.1:{port}", retry=ONCE).call("GET", "/x").data == {"a": "ok"}


def test_threads_share_a_client() -> None:
    def echo(connection: socket.socket) -> None:
        while head := asked(connection):
            body = b'{"path": "%b"}' % head.split()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with listening(echo) as port, ThreadPoolExecutor(12) as threads:
        client = HttpClient("acme", f"http://127.0.0.1:{port}")
        paths = [f"/{number}" for number in range(300)]
        assert [each.data["path"] for each in threads.map(lambda path: client.call("GET", path), paths)] == paths


def test_a_large_file_may_take_longer_than_one_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout is for a piece, and not that for connecting: a slow line must not break a file off on its way."""
    monkeypatch.setattr(http_transport, "CONNECT_SECONDS", 0.1)
    content = bytes(12 * 1024 * 1024)
    came: list[int] = []

    def slowly(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        size = reads = 0
        time.sleep(0.3)
        while size < len(content):
            size += len(connection.recv(64 * 1024))
            reads += 1
            if reads < 100:
                time.sleep(0.01)
        came.append(size)
        connection.sendall(ANSWER)

    with listening(slowly) as port:
        url = f"http://127.0.0.1:{port}"
        transport = Transport(url, timeout_seconds=0.5)
        began = time.monotonic()
        with transport.exchange("POST", url, {}, content) as answer:
            assert answer.status == 200
        took = time.monotonic() - began
        transport.close()
    assert came and came[0] >= len(content)
    assert took > 0.9
