"""Which field of a table is which attribute: bound by name or id once, then remembered by id.

Belongs here: binding, what was remembered, when a table has to pause. Does not belong here: reading (`source.py`),
the file (`mapping.py`).

A field that is renamed keeps its id and flows on. One that is gone, or whose cells look different now, pauses its
table with a sentence that says what to do: a column that silently turned empty would be read as news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops_platform.records import JsonObject
from resources.airtable.entities import ACCEPTED, Entity, family, is_computed, type_in_words
from resources.airtable.mapping import FIELD_ID, Entry, folded


class Paused(Exception):
    """The table is not read until a person has decided; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An attribute and its field. `reference` is how `airtable.yaml` calls it."""

    reference: str
    field_id: str
    family: str
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered of a table: read up to `since` (None: never) and by the read before up to `before`, whole at
    `whole`, and its fields."""

    since: str | None = None
    whole: str | None = None
    entry: str = ""
    base_name: str = ""
    table_name: str = ""
    fields: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    before: str | None = None

    def to_json(self) -> JsonObject:
        return {
            "since": self.since,
            "before": self.before,
            "whole": self.whole,
            "entry": self.entry,
            "base": self.base_name,
            "table": self.table_name,
            "fields": {key: list(value) for key, value in sorted(self.fields.items())},
        }

    @classmethod
    def from_json(cls, data: JsonObject) -> Mark:
        fields = {key: (value[0], value[1], value[2]) for key, value in (data.get("fields") or {}).items()}
        return cls(
            data.get("since"), data.get("whole"), data.get("entry", ""), data.get("base", ""), data.get("table", ""),
            fields, data.get("before"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Binding:
    """A table that feeds an entity. `light` is a small field, for listings that only count."""

    entity: str
    base_id: str
    base_name: str
    table_id: str
    table_name: str
    entry: Entry
    fields: Mapping[str, Bound]
    light: str
    missing: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.base_id}/{self.table_id}"

    @property
    def title(self) -> str:
        return f"{self.base_name!r} ({self.base_id}), table {self.table_name!r}"

    def remembered(self) -> dict[str, tuple[str, str, str]]:
        return {name: (bound.reference, bound.field_id, bound.family) for name, bound in self.fields.items()}


def bind(entity: Entity, entry: Entry, base: JsonObject, table: JsonObject, mark: Mark | None) -> Binding:
    """The fields of a table for an entity. Raises `Paused` where one that was read is gone or changed its type, or
    one that is needed was never there."""
    fields = {str(each["id"]): each for each in table["fields"]}
    title = f"base {base['name']!r} ({base['id']}), table {table['name']!r}"
    bound: dict[str, Bound] = {}
    missing: list[str] = []
    problems: list[str] = []
    for name, references in entry.fields.items():
        reference = "|".join(references)
        known = mark.fields.get(name) if mark is not None else None
        if known is not None and known[0] != reference:
            # The file says something else now: that is a person's decision.
            known = None
        if known is not None:
            found = fields.get(known[1])
            if found is None:
                problems.append(_gone(name, known, references, fields))
                continue
            if family(found) != known[2]:
                problems.append(
                    f"its field {found['name']!r} ({found['id']}), read as {name}, held {known[2]} and is "
                    f"{type_in_words(found)} now: change it back, or write its id in airtable.yaml to accept it"
                )
                continue
        else:
            found = _find(references, fields)
            if found is None:
                missing.append(name)
                if entity.attributes[name].required:
                    problems.append(f"it has no field {' or '.join(map(repr, references))}, needed as {name}")
                continue
        kind = entity.attributes[name].kind
        if family(found) not in ACCEPTED[kind]:
            problems.append(
                f"its field {found['name']!r} ({found['id']}) is {type_in_words(found)} and cannot be read as {name} "
                f"({kind}): map another field or change its type"
            )
            continue
        bound[name] = Bound(reference, str(found["id"]), family(found), is_computed(found))
    if problems:
        raise Paused(f"{title} is not read as {entity.name}: {'; '.join(problems)}")
    return Binding(
        entity.name, base["id"], base["name"], table["id"], table["name"], entry, bound, _light(table), tuple(missing)
    )


def _find(references: tuple[str, ...], fields: Mapping[str, JsonObject]) -> JsonObject | None:
    for reference in references:
        if FIELD_ID.fullmatch(reference) and reference in fields:
            return fields[reference]
        for wanted in (str, folded):
            for each in fields.values():
                if wanted(str(each["name"])) == wanted(reference):
                    return each
    return None


def _gone(name: str, known: tuple[str, str, str], references: tuple[str, ...], fields: Mapping[str, JsonObject]) -> str:
    again = _find(references, fields)
    hint = f"; there is a new field {again['name']!r}: write its id {again['id']} to read that one" if again else ""
    return (
        f"the field that was read as {name} ({known[1]}, {known[0]!r} in airtable.yaml) was removed: restore it, map "
        f"another, or give this base an entry of its own without {name}{hint}"
    )


_LIGHT_FAMILIES = ("checkbox", "number", "percent", "date", "moment")


def _light(table: JsonObject) -> str:
    """The field of a table whose cells are the smallest."""
    ranked: list[tuple[int, str]] = []
    for each in table["fields"]:
        kind: Any = family(each)
        rank = _LIGHT_FAMILIES.index(kind) if kind in _LIGHT_FAMILIES else 9
        ranked.append((rank + (5 if is_computed(each) else 0), str(each["id"])))
    best = min(ranked, key=lambda item: item[0], default=(9, ""))
    primary = table.get("primaryFieldId")
    return str(primary) if best[0] >= 9 and primary else best[1]
