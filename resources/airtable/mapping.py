"""`airtable.yaml`: which tables of which bases feed which entity, by which fields.

Belongs here: the file's shape, its checks (each names the line), which entry fits a base and a table. Does not belong
here: what a field is now (`bindings.py`), entities (`entities.py`).

    ignore: ["Archive *", appXXXXXXXXXXXXXX]
    entities:
      projects:
        - bases: ["P?? *"]          # names with * and ?, or ids
          table: Projects           # a name or an id
          currency: USD             # of the money in it, unless a field says it
          fields:
            name: Project           # a name or an id; several where bases differ
            due_on: [Due date, Deadline]

The first entry of an entity that fits a table is the one that counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ops_platform.failures import ConfigurationError
from resources.airtable.entities import ENTITIES
from resources.record_checks import CURRENCIES

BASE_ID = re.compile(r"app[A-Za-z0-9]{14}")
TABLE_ID = re.compile(r"tbl[A-Za-z0-9]{14}")
FIELD_ID = re.compile(r"fld[A-Za-z0-9]{14}")


def folded(name: str) -> str:
    """A name as it is compared: no difference of case or of white space."""
    return " ".join(name.split()).casefold()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """One table, in one base or in many alike, that feeds an entity."""

    bases: tuple[str, ...] = Field(min_length=1)
    table: str = Field(min_length=1)
    currency: str | None = None
    fields: dict[str, tuple[str, ...]]

    @field_validator("bases", mode="before")
    @classmethod
    def _one_base(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, value: str | None) -> str | None:
        if value is not None and value not in CURRENCIES:
            raise ValueError(f"{value!r} is not an ISO 4217 code in use")
        return value

    @field_validator("fields", mode="before")
    @classmethod
    def _one_field(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: [each] if isinstance(each, str) else each for key, each in value.items()}

    def covers_base(self, identity: str, name: str) -> bool:
        return any(is_called(pattern, identity, name) for pattern in self.bases)

    def covers_table(self, identity: str, name: str) -> bool:
        return self.table == identity or folded(self.table) == folded(name)

    @property
    def signature(self) -> str:
        """What tells entries apart when the file changes: the tables they speak of."""
        return f"{'|'.join(self.bases)}>{self.table}"

    def names_base(self, identity: str, name: str) -> bool:
        """Whether the base is named as such, not met by a pattern: then it must have the table."""
        return any(pattern == identity or folded(pattern) == folded(name) for pattern in self.bases)


class TableMapping(_Strict):
    """The whole file."""

    ignore: tuple[str, ...] = ()
    entities: dict[str, tuple[Entry, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_entities(self) -> TableMapping:
        # Told here and not by a type, so that the message lists the choice; the line is found by the path in it.
        for name, entries in self.entities.items():
            entity = ENTITIES.get(name)
            if entity is None:
                raise Wrong(("entities", name), f"there is no such entity: choose among {', '.join(ENTITIES)}")
            for place, entry in enumerate(entries):
                where: tuple[str | int, ...] = ("entities", name, place)
                for key, references in entry.fields.items():
                    if key not in entity.attributes:
                        known = ", ".join(entity.attributes)
                        raise Wrong((*where, "fields", key), f"{name} has no such field: choose among {known}")
                    if not references or not all(each.strip() for each in references):
                        raise Wrong((*where, "fields", key), "names no field of the table")
                missing = [k for k, a in entity.attributes.items() if a.required and k not in entry.fields]
                if missing:
                    raise Wrong((*where, "fields"), f"{name} needs {', '.join(missing)} as well")
                if entity.has_money and entry.currency is None and "currency" not in entry.fields:
                    raise Wrong(where, "says no currency: add `currency: USD` (or a field for it)")
        return self

    def is_ignored(self, identity: str, name: str) -> bool:
        return any(is_called(pattern, identity, name) for pattern in self.ignore)

    def entry_for(self, entity: str, base: Mapping[str, Any], table: Mapping[str, Any]) -> Entry | None:
        """The first entry of the entity that fits a table of a base."""
        for entry in self.entities.get(entity, ()):
            if entry.covers_base(base["id"], base["name"]) and entry.covers_table(table["id"], table["name"]):
                return entry
        return None


class Wrong(ValueError):
    """A sentence about one place of the file."""

    def __init__(self, path: Sequence[str | int], sentence: str) -> None:
        super().__init__(sentence)
        self.path = tuple(path)


def is_called(pattern: str, identity: str, name: str) -> bool:
    """Whether a base is meant: by its id, its name, or a pattern of names with * and ?."""
    # The name itself first: a bracket in it would be read as a pattern.
    return pattern == identity or folded(pattern) == folded(name) or fnmatchcase(folded(name), folded(pattern))


def load_mapping(path: Path) -> TableMapping:
    """Read `path`. Raises `ConfigurationError` naming file, line, place and what is wrong there."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(
            f"airtable: {path} does not exist: restore it or set OPS_AIRTABLE_FILE; docs/connect/airtable.md"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"airtable: {path} cannot be read: {error}") from None
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"airtable: {path} is not YAML: {error}") from None
    doubled = _doubled(tree)
    if doubled is not None:
        key, line = doubled
        raise ConfigurationError(f"airtable: {path}, line {line}: {key} is there twice")
    try:
        return TableMapping.model_validate(raw if raw is not None else {})
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False, include_input=False):
            cause = problem.get("ctx", {}).get("error")
            place = cause.path if isinstance(cause, Wrong) else problem["loc"]
            said = str(cause) if isinstance(cause, Wrong) else _in_words(problem)
            problems.append(f"line {_line(tree, place)}, {_written(place)}: {said}")
        raise ConfigurationError(f"airtable: {path}, {'; '.join(problems)}") from None


def _in_words(problem: Any) -> str:
    return "there is no such key" if problem["type"] == "extra_forbidden" else str(problem["msg"])


def _written(place: Sequence[str | int]) -> str:
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def _line(node: Any, place: Sequence[str | int]) -> int:
    """The line of the deepest node on the way to `place`, from 1."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in place:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            return line
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _doubled(node: Any) -> tuple[str, int] | None:
    """A key that a mapping has twice (YAML would let the last win), with its line."""
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                return str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            inner = _doubled(value)
            if inner is not None:
                return inner
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            inner = _doubled(each)
            if inner is not None:
                return inner
    return None
