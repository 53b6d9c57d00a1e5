"""What real checks reported, against the quality gates of `work_orders.yaml`.

Belongs here: the reading. Does not belong here: the gates' minimums (`work_orders.yaml`), collecting results (intake).

Only results that a check really reported count, judged as everywhere (`ops_platform.work_orders.gates`): a gate without
one clear figure is not passed, and that is said; of several checks the worst counts."""

from __future__ import annotations

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
select gate, name, sha, source, conclusion, value, reported_at from ops.work_checks
where repository = lower(%(repository)s) and sha = %(sha)s and reported_at <= %(as_of)s
order by gate, reported_at, id
"""


def read(reader: Reader) -> Finding:
    """Each gate with what the newest checked commit reported."""
    from ops_platform.work_orders.gates import Check, judge
    from ops_platform.work_orders.policy import get_work_policy

    params: dict[str, object] = {"repository": reader.order.repository, "as_of": reader.as_of}
    newest = next(iter(reader.rows(_NEWEST, params)), None)
    params["sha"] = sha = newest["sha"] if newest else ""
    checks = [Check(**row) for row in reader.rows(_RESULTS, params)] if newest else []
    facts: list[Fact] = []
    lines: list[Line] = []
    policy = get_work_policy()
    gates, results = policy.gates, judge(checks, sha, policy)
    passed = sum(result.passed for result in results)
    for result in results:
        fact = reader.fact(
            f"gate_{result.gate}", result.label, "percent", result.value, RELATIONS[0], _RESULTS, params,
            direction="up_is_good", limit=result.minimum, limit_label="the gate",
        )  # fmt: skip
        facts.append(fact)
        mine = [check for check in checks if check.gate == result.gate]
        if not mine:
            lines.append(Line("unknown", f"{result.label}: no check reported it, so the gate is not passed"))
        elif result.value is None:
            lines.append(Line("unknown", f"{result.label}: not passed, for", (), quoted(result.reason)))
        else:
            state: State = "ok" if result.passed else "attention"
            lines.append(Line(state, result.label, (fact.id,), quoted(mine[-1].source, 40)))
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
