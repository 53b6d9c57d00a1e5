"""Files that are right, and everything that can be wrong with one: each mistake with its line and column."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_platform.playbooks.catalogue import catalogue
from ops_platform.playbooks.checks import plan_of
from ops_platform.playbooks.expressions import ExpressionError, Scope, fill
from ops_platform.playbooks.model import Playbook, Variable
from ops_platform.playbooks.source import InvalidPlaybookError, Problem
from ops_platform.playbooks.variables import from_text, problem_of
from ops_platform.settings import PROJECT_ROOT
from tests.playbooks.shop import house, playbook
from tests.sizes import examples

GOOD = """\
id: demo
name: A demo
version: 1
owner: operations_lead
triggers: {schedule: "0 9 * * 1-5"}
variables:
  days: {type: integer, default: 7}
steps:
  - id: look
    type: tool_call
    tool: look
    input: {count: "${{ vars.days }}"}
  - id: any
    type: condition
    if: steps.look.result.customers.size() > 0
  - id: tell
    type: tool_call
    tool: tell
    when: any
    input:
      text: "${{ run.date }}: ${{ steps.look.result.customers.size() }}"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidPlaybookError) as caught:
        plan_of(text, "demo.yaml", house())
    return [str(problem) for problem in caught.value.problems]


def test_the_file_these_tests_break_is_right() -> None:
    assert plan_of(GOOD, "demo.yaml", house()).order == ("look", "any", "tell")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("vars.days }", "vars.day }", "line 12, column 29: look.input: there is no vars.day; did you mean vars.days"),
        (
            "customers.size() > 0",
            "customer.size() > 0",
            "line 15, column 26: any.if: there is no steps.look.result.customer",
        ),
        ("run.date", "run.dat", "there is no run.dat; did you mean run.date"),
        ("steps.look.result.customers.size() }}", "steps.lok.result.customers }}", "there is no steps.lok.result"),
        ("tool: look", "tool: lok", "line 11, column 11: look: there is no tool 'lok'"),
        ("when: any", "when: look", "line 19, column 11: tell: when names 'look', which is no condition"),
        ("when: any", "when: nobody", "line 19, column 11: tell: when names 'nobody', which is no step"),
        ("when: any", "when: any\n    unless: any", "it would never run"),
        ("when: any", "needs: tell", "line 19, column 12: tell: needs names the step itself"),
        ("type: condition", "type: conditon", "line 13, column 5: steps.2: the type of a step is one of"),
        ("if: steps", "iff: steps", "'iff' is not known here"),
        ("version: 1", "version: one", "line 3, column 10: version:"),
        ("version: 1\n", "", "'version' is missing"),
        ("version: 1", "version: 1\nversion: 2", "line 4, column 1: 'version' stands here twice"),
        ("id: tell", "id: look", "two steps have this id"),
        ("id: tell", "id: start", "start is the name of a node"),
        ("id: tell", "id: Tell Me", "small letters, digits and underscores"),
        ("count:", "cuont:", "look takes no 'cuont'; it takes count"),
        ("tool: tell", "tool: tell\n    retry: {attempts: 99}", "less than or equal to 5"),
        ('"0 9 * * 1-5"', '"0 25 * * 1-5"', "line 5, column 22: schedule: '25'"),
        ('"0 9 * * 1-5"', "every morning", "not a five-field cron"),
        ("default: 7", "default: seven", "variables.days: 'seven' is not of the type integer"),
        ("{type: integer, default: 7}", "{type: integer}", "needs a default: nobody is there to give it"),
        ("steps.look.result.customers.size() > 0", "steps.look.result.customers", "a condition is true or false"),
        ("customers.size() > 0", "customers.size() >", "any.if: Syntax error"),
        ("customers.size() > 0", "customers.size() > 'a'", "no matching overload"),
        ("${{ run.date }}", "${{ run.date", "a slot begins with ${{ and ends with }}"),
        ("${{ run.date }}", "run.date }}", "one of them has no partner"),
        ("steps.look.result.customers.size() > 0", "steps.any.result.holds", "it names its own result"),
        (
            "steps.look.result.customers.size() > 0",
            "steps.look.result.customers.exists(a, steps.look.result.customers.exists(b, a == b))",
            "inside another is not allowed",
        ),
        ("steps.look.result.customers.size() > 0", "true" + " || true" * 100, "at most 500 characters"),
        ("    when: any\n", "    when: any\n    after: look\n", "which may not have run: say needs"),
        (
            "default: 7",
            "default: 0x" + "F" * 5000,
            "line 7, column 34: variables.days.default: cannot be read: a number",
        ),
        ("default: 7", "default: " + "9" * 5000, "line 7, column 34: variables.days.default: cannot be read"),
        ("version: 1", "version: 0b" + "1" * 70, "line 3, column 10: version: cannot be read: a number is finite"),
        ("version: 1", "version: 3000000000", "less than or equal to 2147483647"),
        ("default: 7", "default: 7, minimum: .nan", "variables.days.minimum: cannot be read: a number is finite"),
        ("integer, default: 7", "number, default: .inf", "variables.days.default: cannot be read: a number is finite"),
        ("default: 7", f"default: 7, choices: {list(range(300))}", "at most 200 items"),
        ("A demo", '"A\\0demo"', "line 2, column 7: name: there is a character that cannot stand in a text: U+0000"),
        ("A demo", '"A\\e[31mdemo"', "cannot stand in a text: U+001B"),
        ("A demo", '"A\\uD800demo"', "cannot stand in a text: U+D800"),
        ("A demo", '"A\\u202edemo"', "cannot stand in a text: U+202E"),
        ("count:", '"co\\0unt":', "cannot stand in a text: U+0000"),
        ("customers.size() > 0", "customers.size() > 0 // all", "an expression has no comments"),
        (
            "steps.look.result.customers.size() > 0",
            "true && ['a']" + ".map(x, x + x)" * 20 + ".size() > 0",
            "could make a text 1,048,576 times as long",
        ),
        (
            "steps.look.result.customers.size() > 0",
            r"r'\' == 'x' || [1].exists(a, [1].exists(b, a == b))",
            "inside another is not allowed",
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_is(before: str, after: str, said: str) -> None:
    assert before in GOOD
    found = problems(GOOD.replace(before, after, 1))
    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    "text",
    [
        "", "- a", "id: [", "\x00", "a: &x 1\nb: *x", "id: !!python/object/apply:os.system [ls]", "? [a]\n: b",
        "{" * 5000,
        "id: demo\n\tname: x", "id: 2026-99-99", "\ud7ff", "id: demo\n---\nid: demo", "x" * 300_000,
    ],
)  # fmt: skip
def test_what_is_no_playbook_is_refused_with_a_place(text: str) -> None:
    assert all(line.startswith("line ") for line in problems(text))


def test_words_are_words() -> None:
    head = """variables:
  answer: {type: text, default: no, choices: [no, yes, off]}
  at: {type: text, default: 22:30}
  day: {type: text, default: 2026-11-20}
  really: {type: boolean, default: true}
"""
    text = GOOD.replace("variables:\n", head, 1)
    found = plan_of(text, "demo.yaml", house()).playbook.variables
    assert [found[name].default for name in ("answer", "at", "day", "really")] == ["no", "22:30", "2026-11-20", True]


def test_a_circle_is_named() -> None:
    steps = (
        "  - {id: a, type: tool_call, tool: look, needs: c}\n  - {id: b, type: tool_call, tool: look, needs: a}\n"
        "  - {id: c, type: tool_call, tool: look, needs: b}\n"
    )
    assert "the steps go round in a circle: a waits for c waits for b waits for a" in problems(playbook(steps))[0]


def test_everything_wrong_is_said_at_once() -> None:
    text = GOOD.replace("vars.days", "vars.d").replace("when: any", "when: nobody").replace("tool: look", "tool: lok")
    assert len(problems(text)) >= 3


def test_so_many_mistakes_are_told_in_part() -> None:
    text = GOOD + "".join(f"x{number}: 1\n" for number in range(2000))
    with pytest.raises(InvalidPlaybookError) as caught:
        plan_of(text, "demo.yaml", house())
    assert len(caught.value.problems) == 50 and str(caught.value).endswith("and 1,950 more")


@settings(max_examples=examples(150), deadline=2000)
@given(st.text(max_size=40), st.integers(min_value=0, max_value=len(GOOD)), st.integers(min_value=0, max_value=30))
def test_no_text_breaks_the_reader(inserted: str, place: int, cut: int) -> None:
    text = GOOD[:place] + inserted + GOOD[place + cut :]
    found: list[Problem] = []
    try:
        plan_of(text, "demo.yaml", house())
    except InvalidPlaybookError as error:
        found = error.problems
    assert all(problem.line >= 1 and problem.message for problem in found)


def test_a_broken_file_stops_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "broken.yaml").write_text("id: [")
    (tmp_path / "twin.yaml").write_text(GOOD)
    (tmp_path / "latin.yaml").write_bytes(b"id: \xe9")
    found = catalogue(house(), tmp_path)
    assert list(found.plans) == ["demo"]
    assert set(found.broken) == {"broken.yaml", "twin.yaml", "latin.yaml"}


def test_what_only_looks_like_a_file_stops_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(10 * 2**30)  # ten gigabytes of nothing, which take no room
    found = catalogue(house(), tmp_path)
    assert list(found.plans) == ["demo"]
    assert set(found.broken) == {"folder.yaml", "gone.yaml", "pipe.yaml", "huge.yaml"}


@pytest.mark.parametrize("value", [10**400, -(10**400), math.nan, math.inf, "x" * 3000, [10**400], [[1]]])
def test_values_that_nobody_can_use_are_refused_in_words(value: Any) -> None:
    for kind in ("text", "integer", "number", "boolean", "list"):
        assert problem_of(Variable(type=kind), value)
    assert problem_of(Variable(type="integer"), 10**5000)  # no text can be made of this one
    for typed in ("9" * 5000, "2026-99-99", "[" * 5000, "!!python/name:os.system"):
        playbook_ = plan_of(GOOD, "demo.yaml", house()).playbook
        (made,) = from_text(playbook_, {"days": typed}).values()
        assert problem_of(playbook_.variables["days"], made)


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads((PROJECT_ROOT / "docs" / "schema" / "playbook.schema.json").read_text())
    made = json.loads(json.dumps(Playbook.model_json_schema(by_alias=True)))
    assert {key: value for key, value in published.items() if key not in ("$schema", "title")} == {
        key: value for key, value in made.items() if key != "title"
    }


def test_shipped_playbooks_fit_the_published_schema() -> None:
    schema = json.loads((PROJECT_ROOT / "docs" / "schema" / "playbook.schema.json").read_text())
    checker = jsonschema.Draft202012Validator(schema)
    files = sorted((PROJECT_ROOT / "playbooks").glob("*.yaml"))
    assert files
    for file in files:
        assert list(checker.iter_errors(yaml.safe_load(file.read_text()))) == [], file
    assert list(checker.iter_errors({**yaml.safe_load(GOOD), "stepz": []}))


def test_the_playbook_of_the_documentation_is_right() -> None:
    from jobs.toolbox import house as companys

    text = (PROJECT_ROOT / "docs" / "playbooks.md").read_text().split("```yaml\n", 1)[1].split("```", 1)[0]
    assert plan_of(text, "quarter_end.yaml", companys()).order == ("revenue", "falling", "tell")


# Expressions ------------------------------------------------------------------------------------------------


def test_unknown_is_said_in_a_text() -> None:
    scope = Scope({"a": "any", "b": "any", "l": "list"})
    values = {"a": None, "b": 1234.5, "l": ["x", "y"]}
    assert fill("${{ a }} of ${{ b }}: ${{ l }}", scope, values) == "unknown of 1,234.5: x, y"
    assert fill("${{ l }}", scope, values) == ["x", "y"]
    with pytest.raises(ExpressionError, match="no field 'c'"):
        scope.evaluate("b.c", {"b": {"d": 1}})


@pytest.mark.parametrize(
    "expression",
    ["1 / 0", "1 % 0", "9223372036854775807 + 1", "[1][5]", "{'a': 1}['b']", "'a' + 1 == 2", "1.0 / 0.0", "int('x')"],
)
def test_what_has_no_value_is_an_error_and_not_a_false(expression: str) -> None:
    with pytest.raises(ExpressionError):
        Scope({}).evaluate(expression, {})


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')", "open('/etc/passwd')", "a.__class__", "lambda: 1", "a := 1", "while true", "import os",
        "a.b(c)", "env.HOME", "steps", "`id`", "$(id)",
    ],
)  # fmt: skip
def test_there_is_nothing_to_call(expression: str) -> None:
    with pytest.raises(ExpressionError):
        Scope({"vars.a": "int"}).compile(expression)


def test_no_expression_takes_long() -> None:
    scope = Scope({"l": "list", "s": "text"})
    before = time.process_time()
    scope.evaluate("l.filter(x, x > 5).map(x, x * 2).exists(x, x == 7)", {"l": list(range(2000))})
    with pytest.raises(ExpressionError, match="20,000 items"):
        scope.evaluate("l.exists(x, x == 7)", {"l": list(range(20_000))})
    assert scope.evaluate("l.size()", {"l": list(range(20_000))}) == 20_000
    scope.evaluate("s.matches('(a+)+$')", {"s": "a" * 5000 + "b"})
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("expression", "values", "said"),
    [
        # A regular expression of nine hundred states over a megabyte would hold the whole process for twenty seconds.
        ("s.matches('((a?){1,30}){1,30}b')", {"s": "a" * 900_000}, "at most 50,000"),
        ("l.exists(x, s.matches(x))", {"l": ["a"] * 2000, "s": "a" * 1000}, "at most 50,000"),
        ("l.map(x, s + s).size()", {"l": ["a"] * 2000, "s": "a" * 100_000}, "too many"),
        ("l.all(x, l == l)", {"l": [{"name": "somebody"}] * 2000}, "too many"),
        ("l.map(x, x + x + x + x + x)", {"l": ["a" * 5000] * 1000}, "too many"),
    ],
)
def test_what_would_take_long_with_these_values_is_not_begun(
    expression: str, values: dict[str, Any], said: str
) -> None:
    before = time.process_time()
    with pytest.raises(ExpressionError, match=said):
        Scope({"l": "list", "s": "text"}).evaluate(expression, values)
    assert time.process_time() - before < 1


def test_what_people_write_is_within_the_bounds() -> None:
    scope = Scope({"l": "list", "s": "text"})
    people = [{"name": f"Customer {number}", "days": number} for number in range(1000)]
    told = scope.evaluate("l.filter(c, c.days > 7).map(c, c.name + ' (' + string(c.days) + ')')", {"l": people})
    assert len(told) == 992 and told[0] == "Customer 8 (8)"
    assert scope.evaluate("l.exists(c, c.name.matches('^Customer 7$')) && s == '//'", {"l": people, "s": "//"}) is True
