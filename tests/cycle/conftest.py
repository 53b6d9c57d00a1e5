"""One whole cycle, run once for the tests that look at what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops_platform.database.server import release_server, running_server

ROOT = Path(__file__).resolve().parents[2]
OPS = Path(sys.executable).parent / "ops"


@dataclass(frozen=True)
class Cycle:
    """A demo home after its cycles: what the command printed, and the way to its database."""

    home: Path
    base: Path
    first: dict[str, Any]
    second: dict[str, Any]

    def rows(self, query: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(running_server(self.home).url("warehouse")) as connection:
            return connection.execute(query.encode(), parameters).fetchall()


def run_demo(base: Path, *arguments: str) -> dict[str, Any]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    done = subprocess.run(
        [str(OPS), "demo", "--json", *arguments], env={**clean, "OPS_HOME": str(base)}, capture_output=True, text=True,
        check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="session")
def cycle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cycle]:
    """The generated company's cycle, run twice: the second time for the pulse alone."""
    base = tmp_path_factory.mktemp("demo")
    first = run_demo(base)
    second = run_demo(base, "--pulse-only")
    yield Cycle(base / "demo", base, first, second)
    release_server(base / "demo")
