"""The text of a playbook: YAML read strictly, every mistake with its line and column.

Belongs here: text → playbook, text → problems of shape. Does not belong here: whether names agree (`checks.py`), where
the files are (`catalogue.py`).

Stricter than YAML: a key twice is an error (YAML keeps the last, silently), and anchors and aliases are not read: they
let a small text become a large one, and nobody who is not a programmer reads them.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from ops_platform.failures import ConfigurationError
from ops_platform.playbooks.model import Playbook

MOST_BYTES = 200_000
# YAML's reader takes the square of the depth.
MOST_DEPTH = 60
MOST_PROBLEMS = 50
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, and where: line and column count from 1."""

    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.where + ': ' if self.where else ''}{self.message}"


class InvalidPlaybookError(ConfigurationError):
    """A playbook that is not accepted; the text names everything that is wrong with it."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        told = sorted(problems)
        self.problems = told[:MOST_PROBLEMS]
        more = f"; and {len(told) - MOST_PROBLEMS:,} more" if len(told) > MOST_PROBLEMS else ""
        super().__init__(f"{name}: " + "; ".join(str(problem) for problem in self.problems) + more)


@dataclass(frozen=True, slots=True)
class _Marks:
    """Where each part of a text stands."""

    text: str
    marks: dict[Path, tuple[int, int]]

    def at(self, path: Path, where: str, message: str, shift: int = 0) -> Problem:
        """A problem at `path`, or at the nearest part of the file that has it; `shift` characters into a text."""
        while path not in self.marks and path:
            path = path[:-1]
        line, column = self.marks.get(path, (1, 1))
        if shift:
            written = self.text.splitlines()[line - 1][column - 1 :]
            # In a text of several lines the place within it is not a column of the file.
            shift = 0 if written[:1] in ("|", ">") else shift + (written[:1] in ("'", '"'))
        return Problem(line, column + shift, where, message)


@dataclass(frozen=True, slots=True)
class Source(_Marks):
    """A playbook with its text; `name` is what people know the text by."""

    name: str
    playbook: Playbook

    @property
    def content_hash(self) -> str:
        """Of the text, its line ends apart: what ran is what stood there."""
        return content_hash(self.text)


def content_hash(text: str) -> str:
    return hashlib.sha256("\n".join(text.splitlines()).encode()).hexdigest()


def read(text: str, name: str) -> Source:
    """The playbook of this text. Raises `InvalidPlaybookError` with everything that is wrong with its shape."""
    raw, marks = _parse(text, name)
    try:
        return Source(text, marks, name, Playbook.model_validate(raw))
    except ValidationError as error:
        place = _Marks(text, marks)
        raise InvalidPlaybookError(name, [_problem(place, one) for one in error.errors(include_url=False)]) from None


def _parse(text: str, name: str) -> tuple[Any, dict[Path, tuple[int, int]]]:
    if len(text.encode()) > MOST_BYTES:
        raise InvalidPlaybookError(name, [Problem(1, 1, "", f"a playbook has at most {MOST_BYTES:,} bytes")])
    if _deepest(text) > MOST_DEPTH:
        raise InvalidPlaybookError(name, [Problem(1, 1, "", "it is nested too deeply")])
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                mark = event.start_mark
                line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
                said = "anchors and aliases are not read: write it out"
                raise InvalidPlaybookError(name, [Problem(line, column, "", said)])
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line, column = (at.line + 1, at.column + 1) if at else (1, 1)
        raise InvalidPlaybookError(name, [Problem(line, column, "", f"this is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidPlaybookError(name, [Problem(1, 1, "", f"this is not YAML: {said}")]) from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidPlaybookError(name, [Problem(1, 1, "", "a playbook is a mapping that begins with `id:`")])
    marks: dict[Path, tuple[int, int]] = {}
    problems: list[Problem] = []
    try:
        value = _value(root, (), marks, problems)
    except RecursionError:
        raise InvalidPlaybookError(name, [Problem(1, 1, "", "it is nested too deeply")]) from None
    if problems:
        raise InvalidPlaybookError(name, problems)
    return value, marks


def _deepest(text: str) -> int:
    """How deep brackets stand within each other at most; those in texts count, too, and are closed there."""
    depth = deepest = 0
    for letter in text:
        if letter in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "}]" and depth:
            depth -= 1
    return deepest


def _value(node: yaml.Node, path: Path, marks: dict[Path, tuple[int, int]], problems: list[Problem]) -> Any:
    marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            # A key is what is written: `on` and `2` are names here, not a truth value and a number.
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node.value)[:80]
            strange = _strange(key)
            if strange:
                mark = key_node.start_mark
                problems.append(Problem(mark.line + 1, mark.column + 1, _where(path), strange))
                continue
            if key in made:
                mark = key_node.start_mark
                problems.append(Problem(mark.line + 1, mark.column + 1, _where(path), f"{key!r} stands here twice"))
            made[key] = _value(value_node, (*path, key), marks, problems)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, place), marks, problems) for place, item in enumerate(node.value)]
    strange = _strange(node.value)
    if strange:
        problems.append(Problem(*marks[path], _where(path), strange))
        return None
    if isinstance(node, yaml.ScalarNode) and node.style is None and _is_a_word(node):
        return node.value
    constructor = yaml.SafeLoader("")
    try:
        made = constructor.construct_object(node)
        if isinstance(made, int | float) and not (math.isfinite(made) if isinstance(made, float) else _fits(made)):
            raise ValueError("a number is finite and has at most 64 bits")
        return made
    except (yaml.YAMLError, ValueError) as error:
        line, column = marks[path]
        said = getattr(error, "problem", None) or str(error)
        problems.append(Problem(line, column, _where(path), f"cannot be read: {said}"))
        return None
    finally:
        constructor.dispose()


def _fits(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _strange(text: str) -> str:
    """What is wrong with the characters of a text; nothing where all can be shown and kept. A text that turns the
    reading order round shows a reader something else than it says."""
    found = _STRANGE.search(text)
    return f"there is a character that cannot stand in a text: U+{ord(found[0]):04X}" if found else ""


_STRANGE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def _is_a_word(node: yaml.Node) -> bool:
    """What YAML's first version makes of a word and nobody means: `no` and `off` as truth values, `22:30` as a number,
    a day as an object of dates. As in YAML 1.2 they are texts here; `true` and `false` are truth values."""
    kind = node.tag.rsplit(":", 1)[-1]
    return (
        (kind == "bool" and node.value.lower() not in ("true", "false"))
        or (kind in ("int", "float") and ":" in node.value)
        or kind == "timestamp"
    )


def _problem(source: _Marks, error: Any) -> Problem:
    """pydantic's problem in the file's own terms: its path names types of steps, which the file does not."""
    path: Path = ()
    for part in error["loc"]:
        if (*path, part) in source.marks:
            path = (*path, part)
        elif isinstance(part, str) and part in _STEP_TYPES:
            continue
        else:
            path = (*path, part)
    message = _WORDS.get(error["type"], error["msg"])
    if error["type"] == "missing":
        return source.at(path[:-1], _where(path[:-1]), f"{path[-1]!r} is missing")
    if error["type"] == "extra_forbidden":
        return source.at(path, _where(path[:-1]), f"{path[-1]!r} is not known here")
    return source.at(path, _where(path), message.removeprefix("Value error, "))


_STEP_TYPES = {"tool_call", "delegate", "synthesize", "notify", "create_thread", "condition"}
_WORDS = {
    "string_pattern_mismatch": "small letters, digits and underscores, please, a letter first",
    "union_tag_invalid": f"the type of a step is one of {', '.join(sorted(_STEP_TYPES))}",
    "union_tag_not_found": f"a step needs a `type`: one of {', '.join(sorted(_STEP_TYPES))}",
}


def _where(path: Path) -> str:
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in path)
