"""The values a run is started with: what the file declares, what the starter gives, what the experiment changes.

Belongs here: types and bounds of variables. Does not belong here: naming them (`expressions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops_platform.failures import DataFailure
from ops_platform.playbooks.model import Playbook, Variable

TEXT_MOST = 2000
LIST_MOST = 200
#: Of either sign; what is no number is not less than it.
MOST = 1e300


def problem_of(variable: Variable, value: Any) -> str | None:
    """What is wrong with `value` for this variable, in words; None where nothing is."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST
    fits = {
        "text": isinstance(value, str) and len(value) <= TEXT_MOST,
        "integer": number and isinstance(value, int) and abs(value) < 2**53,
        "number": number,
        "boolean": isinstance(value, bool),
        "list": isinstance(value, list) and len(value) <= LIST_MOST and all(_simple(item) for item in value),
    }[variable.type]
    if not fits:
        what = {"text": f"a text of at most {TEXT_MOST} characters", "list": f"a list of at most {LIST_MOST} values"}
        return f"{_short(value)} is not {what.get(variable.type, 'of the type ' + variable.type)}"
    if variable.minimum is not None and number and value < variable.minimum:
        return f"{value} is less than {variable.minimum:g}"
    if variable.maximum is not None and number and value > variable.maximum:
        return f"{value} is more than {variable.maximum:g}"
    if variable.choices and value not in variable.choices:
        return f"{_short(value)} is none of {', '.join(map(str, variable.choices))}"
    return None


def resolve(playbook: Playbook, given: Mapping[str, Any], arm: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every variable's value: the file's, over it the experiment's, over it what the starter gave.

    Raises `DataFailure` naming every value that is unknown, missing or does not fit."""
    problems = [f"there is no variable {name!r}" for name in sorted(set(given) - set(playbook.variables))]
    values = {}
    for name, variable in playbook.variables.items():
        value = given.get(name, (arm or {}).get(name, variable.default))
        if value is None:
            problems.append(f"the variable {name!r} must be given")
            continue
        wrong = problem_of(variable, value)
        if wrong:
            problems.append(f"{name}: {wrong}")
        values[name] = value
    if problems:
        raise DataFailure("; ".join(problems))
    return values


def from_text(playbook: Playbook, pairs: Mapping[str, str]) -> dict[str, Any]:
    """Values as they are typed at a terminal or in an address, in their variables' types. Raises `DataFailure`."""
    import yaml

    made: dict[str, Any] = {}
    for name, text in pairs.items():
        variable = playbook.variables.get(name)
        if variable is None:
            raise DataFailure(f"there is no variable {name!r}")
        if variable.type == "text":
            made[name] = text
        elif variable.type == "list":
            made[name] = [item.strip() for item in text.split(",") if item.strip()]
        else:
            try:
                made[name] = yaml.safe_load(text)
            except (yaml.YAMLError, ValueError, RecursionError):
                made[name] = text
    return made


def _simple(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= TEXT_MOST
    return isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= MOST)


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number that is too large"
    return text if len(text) <= 60 else text[:57] + "…"
