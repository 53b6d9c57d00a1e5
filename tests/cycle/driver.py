"""Runs cycles in a process of its own, with faults planted on the vendors' side.

    python -m tests.cycle.driver HOME '[{"faults": […], "now": "…"}, …]'

Each step plants its faults, runs its job (the pulse, where it names none) as its schedule would, and reports. The
settings, the clock and the database belong to this process alone."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener


def ask(url: str, method: str, path: str, body: object | None = None) -> object:
    request = Request(
        url + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def keep_only(*vendors: str) -> None:
    """Connect these vendors and no other: what is looked at here needs no more, and a day is sooner over."""
    from ops_platform.commands.demo import VENDOR_PREFIXES

    for name in os.environ:
        if name.startswith(VENDOR_PREFIXES) and not name.startswith(vendors):
            os.environ[name] = ""


def main() -> None:
    from ops_platform.commands.demo import point_settings_at, sandbox, scenario_for
    from ops_platform.settings import reset_settings

    base, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
    scenario = replace(scenario_for(None, base), home=base)
    reports = []
    with sandbox(scenario) as url:
        point_settings_at(url, scenario)
        keep_only("SHOPIFY_", "NETSUITE_", "SLACK_", "ANTHROPIC_")
        for step in steps:
            ask(url, "DELETE", "/_sandbox/faults")
            for fault in step.get("faults", []):
                ask(url, "POST", "/_sandbox/faults", fault)
            for mutation in step.get("mutations", []):
                ask(url, "POST", "/_sandbox/mutate", mutation)
            os.environ.update(step.get("environment", {}))
            if "now" in step:
                os.environ["OPS_NOW"] = step["now"]
                ask(url, "POST", "/_sandbox/clock", {"now": step["now"]})
            reset_settings()
            from ops_platform.commands.prepare import prepare
            from ops_platform.commands.pulse import delivered_pulse, render_terminal
            from ops_platform.commands.runs import run_job

            prepare()
            outcome = run_job(step.get("job", "ops_pulse"))
            pulse = delivered_pulse()
            reports.append(
                {
                    "succeeded": outcome.succeeded,
                    "failures": outcome.failures,
                    "failed_checks": outcome.failed_checks,
                    "state": pulse.state if pulse else None,
                    "writer": pulse.writer if pulse else None,
                    "text": render_terminal(pulse.document) if pulse else "",
                }
            )
    print(json.dumps(reports))


if __name__ == "__main__":
    main()
