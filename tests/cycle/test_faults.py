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

import psycopg
import pytest

from ops_platform.database.server import release_server, running_server
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


def last_build(home: Path) -> tuple[str, int, list[str]]:
    """How dbt's last build ended, how many models it built, and which it was to build."""
    try:
        with psycopg.connect(running_server(home).url("warehouse")) as connection:
            found = connection.execute(
                "select status, models, of_models from ops.warehouse_builds order by id desc limit 1"
            ).fetchone()
    finally:
        release_server(home)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_day_of_troubles_still_has_its_pulse(tmp_path: Path) -> None:
    next_day = "2026-11-21T06:00:00-05:00"
    third_day = "2026-11-22T06:00:00-05:00"
    fourth_day = "2026-11-23T06:00:00-05:00"
    healthy, shop_down, all_bad, no_key, part = drive(
        tmp_path,
        {},
        # The shop is down the next morning: yesterday is unknown, and Friday's number is not shown as Saturday's.
        {"now": next_day, "faults": [always("shopify", "http_503")]},
        # The model writes nonsense, and Slack drops the connection after it took the message.
        {
            "now": third_day,
            "faults": [
                {"vendor": "anthropic", "fault": "sloppy", "match": {}, "times": 100},
                {
                    "vendor": "slack",
                    "fault": "accept_then_drop",
                    "match": {"path_contains": "chat.postMessage"},
                    "times": 1,
                },
            ],
        },
        # No key at all: the same path, the rules write.
        {"now": fourth_day, "environment": {"ANTHROPIC_API_KEY": ""}},
        # A job that stands on a part of the warehouse builds that part.
        {"now": "2026-11-23T11:00:00-05:00", "job": "late_orders"},
    )
    assert healthy["succeeded"]
    assert healthy["state"] == "sent"
    assert shop_down["state"] == "sent"
    assert "unknown since" in shop_down["text"]
    assert any(check.startswith("raw/shopify/orders") for check in shop_down["failed_checks"])
    yesterday = re.search(r"\$[\d,.]+[KM]?", healthy["text"])
    assert yesterday is not None
    assert yesterday.group() not in shop_down["text"]
    assert (all_bad["state"], all_bad["writer"]) == ("sent", "rules")
    assert (no_key["state"], no_key["writer"]) == ("sent", "rules")
    assert messages(tmp_path) >= 4
    assert (part["succeeded"], part["failures"]) == (True, [])
    status, models, named = last_build(tmp_path)
    assert status == "succeeded" and "fct_late_orders" in named
    # dbt built what was asked for and no more.
    assert models == len(named) < 100
