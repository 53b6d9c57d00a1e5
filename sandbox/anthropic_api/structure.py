"""A value that fits a JSON schema, with sentences where the schema wants text.

Belongs here: walking a schema. Does not belong here: what the sentences say (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.anthropic_api.writer import Reading, Slot, sentence

# Keys that hold the name of a slot, and keys that hold what is written into it.
_NAMING = ("slot", "name", "id", "key")


class Filler:
    """Fills schemas for one prompt, in one mode."""

    def __init__(self, reading: Reading, mode: str, schema: Mapping[str, Any]) -> None:
        self._reading = reading
        self._mode = mode
        self._root = schema
        self._written = 0

    def value(self) -> Any:
        return self._fill(self._root, None, 0)

    def _fill(self, schema: Mapping[str, Any], slot: Slot | None, depth: int) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            names = [slot.name] if slot else []
            return next((name for name in names if name in schema["enum"]), schema["enum"][0])
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                choices = [self._resolved(choice) for choice in schema[key]]
                real = [choice for choice in choices if choice.get("type") != "null"]
                return self._fill((real or choices)[0], slot, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        if kind == "object" or "properties" in schema:
            return self._object(schema, slot, depth)
        if kind == "array":
            return self._array(schema, slot, depth)
        if kind == "string":
            return self._text(slot)
        if kind in ("integer", "number"):
            return 0
        if kind == "boolean":
            return False
        return None

    def _object(self, schema: Mapping[str, Any], slot: Slot | None, depth: int) -> dict[str, Any]:
        if depth > 20:
            return {}
        filled: dict[str, Any] = {}
        for name, part in (schema.get("properties") or {}).items():
            part = self._resolved(part)
            of = self._reading.slot(name) or slot
            if slot is not None and name in _NAMING and part.get("type") == "string" and not part.get("enum"):
                filled[name] = slot.name
            else:
                filled[name] = self._fill(part, of, depth + 1)
        return filled

    def _array(self, schema: Mapping[str, Any], slot: Slot | None, depth: int) -> list[Any]:
        items = self._resolved(schema.get("items") or {"type": "string"})
        names = [key for key in _NAMING if key in (items.get("properties") or {})]
        if names and self._reading.slots and slot is None:
            return [self._fill(items, each, depth + 1) for each in self._reading.slots]
        if items.get("type") == "string" and not items.get("enum") and slot is None:
            return []
        return [self._fill(items, slot, depth + 1)]

    def _text(self, slot: Slot | None) -> str:
        words = sentence(self._reading, slot, self._mode, self._written)
        self._written += 1
        return words

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        seen = 0
        while isinstance(schema, Mapping) and "$ref" in schema and seen < 20:
            target: Any = self._root
            for part in str(schema["$ref"]).lstrip("#/").split("/"):
                target = target.get(part, {}) if isinstance(target, Mapping) else {}
            schema, seen = target, seen + 1
        return schema if isinstance(schema, Mapping) else {}
