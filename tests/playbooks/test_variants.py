"""Experiments: an arm for ever, spread by weight, a measured outcome, and honest words about the difference."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest

from ops_platform.playbooks import variants
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.measuring import measured
from ops_platform.playbooks.model import Playbook
from tests.conftest import Connect
from tests.playbooks.shop import NOW, call, machine, plan, posted
from tests.playbooks.shop import playbook as text_of
from tests.playbooks.test_files import problems

EXPERIMENT = """\
variables:
  words: {type: text, default: plain}
experiment:
  name: subject_line
  unit: UNIT
  arms:
    plain: {weight: 1}
    warm: {weight: 3, variables: {words: warm}}
  outcome: {tool: outcome_of, field: value, after_days: 14, label: came back}
"""
BY_RUN, BY_SUBJECT = EXPERIMENT.replace("UNIT", "execution"), EXPERIMENT.replace("UNIT", "subject")
STEPS = call("tell", "tell", text="${{ vars.words }} ${{ run.variant }}")


def book(head: str = BY_SUBJECT) -> Playbook:
    return plan(STEPS, head).playbook


def test_units_are_spread_by_weight_and_stay() -> None:
    playbook = book()
    assert playbook.experiment is not None
    found = Counter(variants.arm_of("demo", playbook.experiment, f"customer {n}") for n in range(4000))
    assert 900 < found["plain"] < 1100  # a quarter, within 3.6 standard deviations
    # Fixed for ever: these must not move with a release.
    arms = "".join(variants.arm_of("demo", playbook.experiment, unit)[0] for unit in "abcdefghijklmnop")
    assert arms == "wwwwwpwwppppwwpw"


def test_a_run_has_an_arm_and_its_variables(warehouse: Connect) -> None:
    made = plan(STEPS, BY_RUN)
    arms = {run(machine(warehouse), made, key=f"k{n}", as_of=NOW).arm for n in range(12)}
    assert arms == {"plain", "warm"}
    assert set(posted(warehouse)) == {"plain plain", "warm warm"}
    given = run(machine(warehouse), made, key="k0", as_of=NOW)
    assert given.variables["words"] == given.arm


def test_what_was_assigned_stays_when_weights_change(warehouse: Connect) -> None:
    playbook = book()
    opened = run(machine(warehouse), plan(STEPS, BY_SUBJECT), key="a", as_of=NOW)
    with warehouse() as connection:
        before = {u: variants.assign(connection, playbook, u, opened.id, NOW).name for u in map(str, range(40))}
        only = book(BY_SUBJECT.replace("plain: {weight: 1}", "plain: {weight: 0}"))
        after = {u: variants.assign(connection, only, u, opened.id, NOW).name for u in before}
        assert after == before and set(before.values()) == {"plain", "warm"}
        assert variants.assign(connection, only, "new", opened.id, NOW).name == "warm"


def test_outcomes_are_measured_when_due_and_unknown_stays_unknown(warehouse: Connect) -> None:
    playbook = book()
    opened = run(machine(warehouse), plan(STEPS, BY_SUBJECT), key="a", as_of=NOW)
    answers = {"u1": Decimal(1), "u2": Decimal(0), "u3": None}
    with warehouse() as connection:
        for unit in answers:
            variants.assign(connection, playbook, unit, opened.id, NOW)
        asked: list[str] = []

        def ask(unit: str, at: object) -> Decimal | None:
            asked.append(unit)
            return answers[unit]

        assert variants.measure_due(connection, playbook, ask, NOW + timedelta(days=13)) == 0
        assert variants.measure_due(connection, playbook, ask, NOW + timedelta(days=14)) == 2
        assert variants.measure_due(connection, playbook, ask, NOW + timedelta(days=15)) == 0
        assert Counter(asked) == {"u1": 1, "u2": 1, "u3": 2}  # what is unknown is asked again
        assert sum(arm.measured for arm in variants.results(connection, playbook)) == 2


def test_the_tool_of_the_file_is_asked_and_cannot_write(warehouse: Connect) -> None:
    made, the = plan(STEPS, BY_SUBJECT), machine(warehouse)
    opened = run(the, made, key="a", as_of=NOW)
    with warehouse() as connection:
        for unit in ("abc", "ab", "unknown?"):
            variants.assign(connection, made.playbook, unit, opened.id, NOW)
    assert measured(the, made, NOW + timedelta(days=14)) == 2
    with warehouse() as connection:
        rows = connection.execute("select unit, outcome from ops.playbook_assignments order by unit").fetchall()
    assert rows == [("ab", Decimal(0)), ("abc", Decimal(1)), ("unknown?", None)]


def test_arms_are_told_apart_only_when_they_can_be() -> None:
    few = [
        variants.ArmResult("a", 10, 10, Decimal("0.3"), 0.153), variants.ArmResult("b", 10, 10, Decimal("0.5"), 0.167),
    ]  # fmt: skip
    many = [
        variants.ArmResult("a", 1000, 1000, Decimal("0.3"), 0.0145),
        variants.ArmResult("b", 1000, 1000, Decimal("0.5"), 0.0158),
    ]  # fmt: skip
    assert [one.told_apart for one in variants.differences(few)] == [False]
    (clear,) = variants.differences(many)
    assert clear.told_apart and clear.difference == pytest.approx(0.2) and clear.low == pytest.approx(0.158, abs=1e-3)
    assert variants.differences([variants.ArmResult("a", 0, 0, None, None), *many]) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("words: warm", "wards: warm", "there is no variable 'wards'"),
        ("words: warm", "words: 3", "not a text"),
        ("tool: outcome_of", "tool: nothing", "there is no tool 'nothing'"),
        ("tool: outcome_of", "tool: tell", "measuring must change nothing"),
        ("field: value", "field: worth", "returns no 'worth'"),
        ("weight: 3", "weight: 0", None),
        ("{weight: 1}", "{weight: 0}", None),
    ],
)
def test_an_experiment_is_checked(before: str, after: str, said: str | None) -> None:
    head = BY_SUBJECT.replace(before, after)
    if said is None:
        assert plan(STEPS, head).playbook.experiment is not None
    else:
        assert any(said in line for line in problems(text_of(STEPS, head)))
