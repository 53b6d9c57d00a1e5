"""What real checks reported, against the quality gates of `work_orders.yaml`.

Belongs here: the reading. Does not belong here: the gates' minimums (`work_orders.yaml`), collecting results (intake).

Only results that a check really reported count. A gate without one is unknown: not passed, and said."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ops_platform.work_orders.agents.findings import Finding, Line, quoted

if TYPE_CHECKING:
    from ops_platform.documents.model import State
    from ops_platform.evidence.model import Fact
    from ops_platform.work_orders.agents.findings import Reader

RELATIONS = ("ops.work_checks", "ops.work_gates")
_NEWEST = """
select sha, max(reported_at) as at, count(*) as results from ops.work_checks
where repository = lower(%(repository)s) and reported_at <= %(as_of)s group by sha order by at desc limit 1
"""
_RESULTS = """
select distinct on (gate) gate, name, value, conclusion, source from ops.work_checks
where repository = lower(%(repository)s) and sha = %(sha)s and reported_at <= %(as_of)s
order by gate, reported_at desc, id desc
"""


def read(reader: Reader) -> Finding:
    """Each gate with what the newest checked commit reported."""
    from ops_platform.work_orders.policy import get_work_policy

    params: dict[str, object] = {"repository": reader.order.repository, "as_of": reader.as_of}
    newest = next(iter(reader.rows(_NEWEST, params)), None)
    params["sha"] = newest["sha"] if newest else ""
    results = {row["gate"]: row for row in reader.rows(_RESULTS, params)} if newest else {}
    facts: list[Fact] = []
    lines: list[Line] = []
    passed = 0
    gates = get_work_policy().gates
    for name, gate in gates.items():
        row = results.get(name) or next(
            (row for row in results.values() if any(fnmatchcase(row["name"], each) for each in gate.checks)), None
        )
        value = row["value"] if row else None
        fact = reader.fact(
            f"gate_{name}", gate.label, "percent", value, RELATIONS[0], _RESULTS, params, direction="up_is_good",
            limit=gate.minimum, limit_label="the gate",
        )  # fmt: skip
        facts.append(fact)
        holds = value is not None and value >= gate.minimum and (row or {}).get("conclusion") in (None, "success")
        passed += holds
        state: State = "ok" if holds else "unknown" if value is None else "attention"
        if row is None:
            lines.append(Line(state, f"{gate.label}: no check reported it, so the gate is not passed"))
        elif value is None:
            lines.append(
                Line(state, f"{gate.label}: its check gave no number:", (), quoted(row["conclusion"] or "none"))
            )
        else:
            lines.append(Line(state, gate.label, (fact.id,), quoted(row["source"], 40)))
    facts.append(reader.fact("gates_passed", "Gates passed", "count", passed, RELATIONS[0], _RESULTS, params,
                             direction="up_is_good"))  # fmt: skip
    facts.append(reader.fact("gates_all", "Gates there are", "count", len(gates), "work_orders.yaml"))
    facts.append(reader.fact("check_results", "Check results of the newest commit", "count",
                             newest["results"] if newest else 0, RELATIONS[0], _NEWEST, params))  # fmt: skip
    about = f"commit {newest['sha'][:12]}" if newest else ""
    if about:
        lines.append(Line("info", "Judged on", (), about))
    note = "" if newest else "No check has reported a result for this repository, so no gate can be passed."
    return Finding("Quality gates", tuple(facts), ("gates_passed", "gates_all", "check_results"), tuple(lines), note)
