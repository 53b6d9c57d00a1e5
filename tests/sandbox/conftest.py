"""The sandbox as the tests reach it: over HTTP, in a thread of this process or in a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from sandbox.server import Sandbox, running
from tests.conftest import SCHEMAS

ROOT = Path(__file__).resolve().parents[2]
CLOCK = "2026-11-20T06:00:00-05:00"
# A day of little trade, for tests that need a company but not its size.
EARLY = "2024-12-05T06:00:00-05:00"


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, verify=False, timeout=60)


@dataclass
class Served:
    """A running sandbox and the ways to it."""

    sandbox: Sandbox
    http: httpx.Client
    state: Path

    @property
    def url(self) -> str:
        return self.sandbox.url

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        answer = self.http.request(method, f"/_sandbox{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ledger(self, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/_sandbox/ledger", params=query).json()
        return found

    def fault(self, vendor: str, name: str, **more: Any) -> None:
        self.control("/faults", {"vendor": vendor, "fault": name, **more})


@pytest.fixture(scope="session")
def _session_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    state = tmp_path_factory.mktemp("sandbox")
    with running(seed=7, clock=datetime.fromisoformat(CLOCK), state=state) as sandbox:
        with client(sandbox.url) as http:
            yield Served(sandbox, http, state)


@pytest.fixture
def served(_session_sandbox: Served) -> Iterator[Served]:
    """The generated company on Friday 2026-11-20, shared by all tests; faults and limits are put back."""
    yield _session_sandbox
    _session_sandbox.control("/faults", method="DELETE")
    _session_sandbox.control("/profile", {"profile": "generous"})


@pytest.fixture
def early(tmp_path: Path) -> Iterator[Served]:
    """A small company of one test's own."""
    state = tmp_path / "state"
    with running(seed=7, clock=datetime.fromisoformat(EARLY), state=state, netsuite_key="ec") as sandbox:
        with client(sandbox.url) as http:
            yield Served(sandbox, http, state)


@dataclass
class Process:
    """A sandbox in a process of its own."""

    popen: subprocess.Popen[bytes]
    url: str
    port_file: Path
    state: Path

    def http(self) -> httpx.Client:
        return client(self.url)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start `python -m sandbox` and wait for its port file. Everything started is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*more: str, clock: str = EARLY, state: Path | None = None) -> Process:
        state = state or tmp_path / "state"
        port_file = tmp_path / f"port-{len(started)}"
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--port-file", str(port_file)]
        command += ["--clock", clock, "--state", str(state), "--netsuite-key", "ec", *more]
        popen = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(popen)
        deadline = time.monotonic() + 60
        while not port_file.exists():
            assert popen.poll() is None, popen.stderr.read().decode() if popen.stderr else ""
            assert time.monotonic() < deadline, "the sandbox did not become ready"
            time.sleep(0.02)
        return Process(popen, f"http://127.0.0.1:{int(port_file.read_text())}", port_file, state)

    yield start
    for popen in started:
        with contextlib.suppress(ProcessLookupError):
            popen.kill()
        popen.wait()


def official(vendor: str, name: str) -> Callable[[Any], None]:
    """A check against the vendor's own JSON schema; skips the test where the schemas are not there."""
    path = SCHEMAS / vendor / ("generated" if vendor == "slack" else "") / name
    if not path.exists():
        pytest.skip(f"the vendor's schema {path} is not here (OPS_SCHEMAS says where)")
    import json

    schema = json.loads(path.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)

    def check(document: Any) -> None:
        errors = sorted(validator.iter_errors(document), key=lambda error: list(error.path))
        assert not errors, [f"{list(error.path)}: {error.message}" for error in errors[:5]]

    return check
