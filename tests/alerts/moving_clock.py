"""Runs a company's mornings one after the other, each with the vendors' clock moved on, and tells what stood open.

    python -m tests.alerts.moving_clock SEED HOME '["2025-03-05", …]'

The settings, the clock and the database belong to this process alone. Prints, for each morning (06:00 company time),
the subjects whose incident is open."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.cycle.driver import ask, keep_only

ZONE = ZoneInfo("America/New_York")


def main() -> None:
    from ops_platform.commands import demo
    from ops_platform.settings import reset_settings

    seed, base, days = int(sys.argv[1]), Path(sys.argv[2]), [date.fromisoformat(day) for day in json.loads(sys.argv[3])]
    demo.SEED = seed
    mornings = [datetime(day.year, day.month, day.day, 6, tzinfo=ZONE).isoformat() for day in days]
    scenario = replace(demo.scenario_for(None, base), home=base, clock=mornings[0])
    told = {}
    with demo.sandbox(scenario) as url:
        demo.point_settings_at(url, scenario)
        # What the present alone shows is in these; the rest of the company would only take time.
        keep_only("SHOPIFY_", "NETSUITE_", "AMAZON_", "SLACK_")
        for day, morning in zip(days, mornings, strict=True):
            os.environ["OPS_NOW"] = morning
            ask(url, "POST", "/_sandbox/clock", {"now": morning})
            reset_settings()
            from ops_platform.commands.prepare import prepare
            from ops_platform.commands.runs import run_job
            from ops_platform.database import connect

            prepare()
            outcome = run_job("ops_pulse")
            with connect() as connection:
                rows = connection.execute(
                    "select subject from ops.alert_conditions where state in ('open', 'worsening', 'recovering')"
                ).fetchall()
            told[day.isoformat()] = {
                "succeeded": outcome.succeeded, "failures": outcome.failures, "open": sorted(name for (name,) in rows),
            }  # fmt: skip
            print(day, len(rows), outcome.failures, file=sys.stderr, flush=True)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
