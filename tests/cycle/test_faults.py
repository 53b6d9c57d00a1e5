"""What the executive reads when a vendor is down or the model misbehaves: a pulse, and never a wrong number."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cycle.conftest import ROOT


def drive(home: Path, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OPS_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.cycle.driver", str(home), json.dumps(steps)], cwd=ROOT,
        env={**clean, "OPS_HOME": str(home)}, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    reports: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return reports


def always(vendor: str, fault: str, **match: str) -> dict[str, Any]:
    return {"vendor": vendor, "match": match, "fault": fault, "times": 100_000}


def messages(home: Path) -> int:
    with sqlite3.connect(home / "sandbox" / "ledger.sqlite") as connection:
        (count,) = connection.execute("select count(*) from effects where kind = 'message_posted'").fetchone()
    return int(count)


def test_a_day_of_troubles_still_has_its_pulse(tmp_path: Path) -> None:
    next_day = "2026-11-21T06:00:00-05:00"
    third_day = "2026-11-22T06:00:00-05:00"
    healthy, shop_down, all_bad = drive(
        tmp_path,
        {},
        # The shop is down the next morning: yesterday is unknown, and Friday's number is not shown as Saturday's.
        {"now": next_day, "faults": [always("shopify", "http_503")]},
        # The model writes nonsense, and Slack drops the connection after it took the message.
        {
            "now": third_day,
            "faults": [
                {"vendor": "anthropic", "fault": "sloppy", "match": {"point": "anthropic.mode"}, "times": 100},
                {
                    "vendor": "slack",
                    "fault": "accept_then_drop",
                    "match": {"path_contains": "chat.postMessage"},
                    "times": 1,
                },
            ],
        },
    )
    assert healthy["succeeded"]
    assert healthy["state"] == "sent"
    assert shop_down["state"] == "sent"
    assert "unknown since" in shop_down["text"]
    assert any(check.startswith("raw/shopify/orders") for check in shop_down["failed_checks"])
    yesterday = re.search(r"\$[\d,.]+[KM]?", healthy["text"])
    assert yesterday is not None
    assert yesterday.group() not in shop_down["text"]
    assert all_bad["state"] == "sent"
    assert messages(tmp_path) == 3


@pytest.mark.parametrize("writer", ["rules"])
def test_without_a_model_key_the_rules_write(tmp_path: Path, writer: str) -> None:
    (report,) = drive(tmp_path, {"environment": {"ANTHROPIC_API_KEY": ""}})
    assert report["writer"] == writer
    assert report["state"] == "sent"
    assert messages(tmp_path) == 1
