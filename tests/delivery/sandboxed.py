"""A sandbox process for the tests of delivery and writing: the vendors' side, with its own ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The shop does not matter here; one order starts fastest.
ORDERS = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
"""


@dataclass(frozen=True)
class Sandbox:
    url: str

    def control(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/_sandbox/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def fault(self, vendor: str, name: str, path: str, times: int = 1, **options: Any) -> None:
        body = {"vendor": vendor, "match": {"path_contains": path}, "fault": name, "times": times, **options}
        self.control("POST", "faults", body)

    def calm(self) -> None:
        self.control("DELETE", "faults")

    def posted(self) -> list[dict[str, Any]]:
        """What Slack's side shows, from its ledger."""
        return [entry["detail"] for entry in self.control("GET", "ledger?vendor=slack&kind=message_posted")]

    def outbox_ids(self) -> list[str]:
        return [message["metadata"]["event_payload"]["outbox_id"] for message in self.posted() if "metadata" in message]


@contextmanager
def running_sandbox(base: Path, profile: str = "generous", *, company: bool = False) -> Iterator[Sandbox]:
    """A shop with one order, or a whole company."""
    orders, port_file = base / "orders.csv", base / "port"
    arguments = {
        "--port": "0", "--port-file": str(port_file), "--clock": "2026-11-20T06:00:00-05:00",
        "--state": str(base / "state"), "--profile": profile, "--netsuite-key": "ec",
    }  # fmt: skip
    if not company:
        orders.write_text(ORDERS, encoding="utf-8")
        arguments["--orders"] = str(orders)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", *(part for pair in arguments.items() for part in pair)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().strip()):
            assert process.poll() is None, (process.stdout.read() if process.stdout else b"").decode()
            assert time.monotonic() < until
            time.sleep(0.05)
        yield Sandbox(f"http://127.0.0.1:{port_file.read_text().strip()}")
    finally:
        process.terminate()
        process.wait(20)
