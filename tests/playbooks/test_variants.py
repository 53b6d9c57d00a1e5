"""Experiments: an arm for ever, spread by weight, a measured outcome, and honest words about the difference."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ops_platform.playbooks import variants
from ops_platform.playbooks.engine import run
from ops_platform.playbooks.measuring import measured
from ops_platform.playbooks.model import Playbook
from tests.conftest import Connect
from tests.playbooks.conftest import Ops
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


def test_few_units_that_agree_prove_nothing() -> None:
    """No spread at all is not certainty: two of each look like a hundred per cent."""
    two = [
        variants.ArmResult("a", 2, 2, Decimal(0), 0.0, yes_no=True),
        variants.ArmResult("b", 2, 2, Decimal(1), 0.0, yes_no=True),
    ]
    (one,) = variants.differences(two)
    assert one.few and not one.told_apart and one.low < one.difference < one.high + 1e-9
    # Newcombe's own example: 56 of 70 against 48 of 80, his method ten: 0.0524 to 0.3339.
    (his,) = variants.differences(
        [
            variants.ArmResult("a", 80, 80, Decimal("0.6"), None, yes_no=True),
            variants.ArmResult("b", 70, 70, Decimal("0.8"), None, yes_no=True),
        ]
    )
    assert (his.low, his.high) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert his.told_apart
    # Wilson's, of nobody in ten: never below nothing, and not nothing.
    low, high = variants.ArmResult("a", 10, 10, Decimal(0), 0.0, yes_no=True).interval or (1.0, 0.0)
    assert low == pytest.approx(0, abs=1e-12) and high == pytest.approx(0.2775, abs=5e-5)


def test_more_arms_need_more_to_be_told_apart() -> None:
    arms = [variants.ArmResult(name, 100, 100, Decimal(mean), 0.1) for name, mean in (("a", "1"), ("b", "1.3"))]
    assert [one.told_apart for one in variants.differences(arms)] == [True]
    more = [*arms, *(variants.ArmResult(name, 100, 100, Decimal(1), 0.1) for name in "cdef")]
    assert [one.told_apart for one in variants.differences(more)] == [False] * 5


def test_the_outcome_of_each_arm_is_told_with_its_uncertainty(ops: Ops, warehouse: Connect, folder: Path) -> None:
    (folder / "demo.yaml").write_text(text_of(STEPS, BY_SUBJECT))
    opened = run(machine(warehouse), plan(STEPS, BY_SUBJECT), key="a", as_of=NOW - timedelta(days=20))
    assert "There is nothing to compare yet" in ops("variants", "demo").output
    with warehouse() as connection:
        for number in range(20):  # of even and odd lengths: outcome_of says 0 or 1
            variants.assign(connection, book(), "x" * (number + 1), opened.id, NOW - timedelta(days=20))
    told = ops("variants", "demo", "--measure").output
    assert "subject_line: came back" in told and "% to " in told, told
    assert "against plain" in told and "too few to tell (at least 30 measured of each)" in told
    made = json.loads(ops("variants", "demo", "--json").output)
    assert [arm["tooFew"] for arm in made["arms"]] == [True, True]
    assert made["arms"][1]["difference"]["toldApart"] is False
    assert sum(arm["measured"] for arm in made["arms"]) == 20


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
