"""The shape of a stream's payloads: learned from what is seen, compared with what was seen before.

Belongs here: field paths, their JSON types and how often they are there; what counts as added, retyped or removed;
which of it pauses the stream; accepting a change. Does not belong here: checks of one record
(`resources/record_checks.py`), how a sync goes on (`sync.py`).

A field that is **added** is kept (the payload lands whole) and told once. A field that is **retyped** or **removed**
pauses its stream when it is declared by the stream or read by a staging model; otherwise it is noted. Null is no
type of its own: a field may become null or stop being null. Absent sometimes is optional. Removed means: it was in
every record that was looked at before, and is in none of this sync, for long enough that chance is no explanation.
A change that the vendor client's own checks refuse first shows as a page of refused records; that pauses, too.

What it costs does not grow with the number of records: the top level of each record is compared as two tuples with
those met before in this sync, and only an unknown one, the first records and a small share of the rest are looked
into.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.ingestion.contract import Field, Stream

if TYPE_CHECKING:
    import psycopg

    from ops_platform.records import JsonObject, Record, Rejected

LOOKED_INTO_FIRST = 256
LOOKED_INTO_ONE_IN = 64
SIGNATURES_KEPT = 4_096
DEEPEST = 12
# An object with very many keys, or with many that hardly ever come back, has data in its keys (ids, dates).
FEW_FIELDS = 60
FIELDS_OF_AN_OBJECT = 400
SHARE_OF_A_FIELD = 0.1
ELEMENTS_LOOKED_INTO = 8
NOTES_KEPT = 25
# A field that was in N records of N is missing by chance from the next k with a probability of about (3/N)^k.
REMOVED_AFTER_RECORDS = 3
REMOVED_CHANCE = 0.1
# A page refused whole, or most of a long one, where records used to be good: the vendor changed, not the records.
REFUSED_WHOLE_PAGE = 3
REFUSED_MOST = 20

_NAMES: dict[type, str] = {
    str: "string", int: "number", float: "number", Decimal: "number", bool: "boolean", type(None): "null",
    dict: "object", list: "array", tuple: "array",
}  # fmt: skip


class SchemaDrift(DataFailure):
    """A field that something stands on changed its type or is gone: the stream waits for a person."""

    def __init__(self, message: str, changes: list[Change]) -> None:
        super().__init__(message)
        self.changes = changes


@dataclass(frozen=True, slots=True)
class Change:
    """One change of shape. `change` is added, retyped, removed or refused (`path` is then the reason records are
    refused for); `models` read the field."""

    path: str
    change: str
    before: str
    after: str
    models: tuple[str, ...] = ()
    pauses: bool = False

    def __str__(self) -> str:
        if self.change == "added":
            return f"{self.path} is new ({self.after})"
        if self.change == "refused":
            return f"records are refused as {self.path} where they used to be good: {self.after}"
        if self.change == "retyped":
            return f"{self.path} was {self.before} and is now {self.after}"
        return f"{self.path} ({self.before}) is gone from every record"


class _Node:
    """A field, or the elements of a list. `last` is the number of the parent's object in which it was last there:
    `last == present` says that it was in each of them up to then."""

    __slots__ = (
        "accepted", "elements", "fields", "filled", "fresh", "kinds", "last", "objects", "objects_before", "optional",
        "present", "types",
    )  # fmt: skip

    def __init__(self, fresh: bool = True) -> None:
        self.types: set[str] = set()
        self.kinds: set[type] = set()
        self.present = 0
        self.last = 0
        self.filled = 0
        self.objects = 0
        self.objects_before = 0
        self.fields: dict[str, _Node] = {}
        self.elements: _Node | None = None
        self.optional = False
        self.accepted: set[str] = set()
        self.fresh = fresh

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> _Node:
        node = cls(fresh=False)
        node.types = set(data.get("types", ()))
        node.accepted = set(data.get("accepted", ()))
        node.optional = bool(data.get("optional", False))
        node.present = int(data.get("present", 0))
        node.last = int(data.get("last", 0))
        node.filled = int(data.get("filled", 0))
        node.objects = node.objects_before = int(data.get("objects", 0))
        node.fields = {key: cls.from_json(value) for key, value in data.get("fields", {}).items()}
        if "elements" in data:
            node.elements = cls.from_json(data["elements"])
        return node

    def to_json(self) -> JsonObject:
        data: JsonObject = {"types": sorted(self.types), "present": self.present, "last": self.last}
        data |= {"filled": self.filled, "objects": self.objects}
        if self.optional:
            data["optional"] = True
        if self.accepted:
            data["accepted"] = sorted(self.accepted)
        if self.fields:
            data["fields"] = {key: node.to_json() for key, node in sorted(self.fields.items())}
        if self.elements is not None:
            data["elements"] = self.elements.to_json()
        return data


@dataclass(slots=True)
class _Declared:
    """The declared fields as a tree beside the learned one."""

    expected: Field | None = None
    below: dict[str, _Declared] = field(default_factory=dict)


Readers = Callable[[str], list[str]]


class Shape:
    """What the payloads of one stream look like. `readers` names the models that read a path."""

    def __init__(
        self, stream: Stream, known: JsonObject | None = None, records: int = 0, readers: Readers | None = None
    ) -> None:
        self.stream = stream
        self.records = records
        self.changes: list[Change] = []
        self._root = _Node.from_json(known) if known else _Node()
        self._readers = readers or (lambda path: [])
        self._declared = _Declared()
        for path, declared in stream.fields.items():
            at = self._declared
            for key in _keys(path):
                at = at.below.setdefault(key, _Declared())
            at.expected = declared
        self._signatures: set[tuple[tuple[str, ...], tuple[type, ...]]] = set()
        self.met = 0
        self._path: list[str] = []
        self._told: set[tuple[str, str, str]] = set()

    # -- looking ------------------------------------------------------------------------------------------

    def see(self, records: Iterable[Record]) -> None:
        """Look at records: each one's top level, and into a bounded number of them."""
        signatures, met = self._signatures, self.met
        for record in records:
            payload = record.payload
            met += 1
            if met > LOOKED_INTO_FIRST and met % LOOKED_INTO_ONE_IN:
                signature = (tuple(payload), tuple(map(type, payload.values())))
                if signature in signatures or len(signatures) >= SIGNATURES_KEPT:
                    continue
                signatures.add(signature)
            self._object(self._root, payload, self._declared, 0)
            self.records += 1
        self.met = met

    def _object(self, node: _Node, value: JsonObject, declared: _Declared | None, depth: int) -> None:
        node.objects += 1
        count = node.objects
        fields = node.fields
        for key, item in value.items():
            child = fields.get(key)
            if child is None:
                if len(fields) >= FEW_FIELDS and _holds_data(node):
                    continue
                child = fields[key] = _Node()
                if not node.fresh and node.objects_before:
                    self._note(key, "added", "", _NAMES.get(type(item), "string"))
            child.present += 1
            child.last = count
            kind = type(item)
            if item is not None:
                child.filled = count
            below = declared.below.get(key) if declared is not None else None
            if kind not in child.kinds:
                self._kind(child, kind, key, below)
            if depth < DEEPEST:
                if kind is dict:
                    if item:
                        self._path.append(key)
                        self._object(child, item, below, depth + 1)
                        self._path.pop()
                elif kind is list and item:
                    self._list(child, item, key, below, depth)

    def _list(self, node: _Node, items: list[Any], key: str, declared: _Declared | None, depth: int) -> None:
        elements = node.elements
        if elements is None:
            elements = node.elements = _Node(fresh=node.fresh)
        below = declared.below.get("[]") if declared is not None else None
        half = ELEMENTS_LOOKED_INTO // 2
        shown = items if len(items) <= ELEMENTS_LOOKED_INTO else items[:half] + items[-half:]
        self._path.append(key)
        for item in shown:
            kind = type(item)
            if kind not in elements.kinds:
                self._kind(elements, kind, "[]", below)
            if kind is dict:
                self._path.append("[]")
                self._object(elements, item, below, depth + 1)
                self._path.pop()
        self._path.pop()

    def _kind(self, node: _Node, kind: type, key: str, declared: _Declared | None) -> None:
        """A Python type met here for the first time in this sync."""
        node.kinds.add(kind)
        name = _NAMES.get(kind, "string")
        if name == "null":
            node.types.add(name)
            return
        wanted = declared.expected if declared is not None else None
        expected = set(wanted.names) if wanted is not None else None
        known = node.types - {"null"}
        if expected is not None:
            if name not in expected and name not in node.accepted:
                self._note(key, "retyped", "|".join(sorted(expected)), name)
        elif known and name not in known and not node.fresh:
            self._note(key, "retyped", "|".join(sorted(node.types)), name)
        node.types.add(name)

    def _note(self, key: str, change: str, before: str, after: str) -> None:
        path = _text([*self._path, key])
        if (path, change, after) in self._told:
            return
        self._told.add((path, change, after))
        models = tuple(self._readers(path)) if change != "added" else ()
        pauses = change != "added" and (bool(models) or path in self.stream.fields)
        self.changes.append(Change(path, change, before, after, models, pauses))

    def see_refused(self, records: int, refused: Sequence[Rejected]) -> None:
        """Look at a page by how much of it was refused: `records` good ones beside `refused`."""
        if not refused or not self._root.objects_before:
            return
        whole = records == 0 and len(refused) >= REFUSED_WHOLE_PAGE
        if not whole and (len(refused) < REFUSED_MOST or len(refused) <= records):
            return
        reason, count = Counter(item.reason for item in refused).most_common(1)[0]
        if 2 * count <= len(refused) or f"refused {reason}" in self._root.accepted:
            return
        detail = next(item.detail for item in refused if item.reason == reason)
        after = f"{count} of {records + len(refused)} records of a page, such as: {detail[:300]}"
        if (reason, "refused", "") not in self._told:
            self._told.add((reason, "refused", ""))
            self.changes.append(Change(reason, "refused", "accepted", after, (), pauses=True))

    # -- judging --------------------------------------------------------------------------------------------

    @property
    def pausing(self) -> list[Change]:
        """The changes that something stands on."""
        return [change for change in self.changes if change.pauses]

    def finish(self, *, whole: bool) -> None:
        """Find what is gone, after the last page. `whole`: all of the entity was read, not only what changed."""
        self._gone(self._root, [], self._declared, whole)

    def _gone(self, node: _Node, path: list[str], declared: _Declared | None, whole: bool) -> None:
        looked_at = node.objects - node.objects_before
        if looked_at:
            for key, child in node.fields.items():
                below = declared.below.get(key) if declared is not None else None
                wanted = below.expected if below is not None else None
                if self._is_gone(node, child, wanted, whole):
                    self._path = path
                    self._note(key, "removed", "|".join(sorted(child.types)) or "never seen", "")
                    # Where it pauses, this is not kept; where it does not, it has been told.
                    child.optional = True
                elif node.objects_before < child.last < node.objects:
                    # There and absent within one sync: absent sometimes.
                    child.optional = True
            for key, below in declared.below.items() if declared is not None else ():
                wanted = below.expected
                if wanted is None or not wanted.required or key == "[]" or key in node.fields:
                    continue
                if whole or looked_at >= REMOVED_AFTER_RECORDS:
                    self._path = path
                    self._note(key, "removed", wanted.types, "")
        for key, child in node.fields.items():
            below = declared.below.get(key) if declared is not None else None
            self._gone(child, [*path, key], below, whole)
            if child.elements is not None:
                inner = below.below.get("[]") if below is not None else None
                self._gone(child.elements, [*path, key, "[]"], inner, whole)

    @staticmethod
    def _is_gone(parent: _Node, child: _Node, declared: Field | None, whole: bool) -> bool:
        if child.optional or child.fresh or (declared is not None and not declared.required):
            return False
        must_be_filled = declared is not None and "null" not in declared.names
        last = child.filled if must_be_filled else child.last
        if last > parent.objects_before:
            return False
        missing = parent.objects - last
        if declared is not None:
            return whole or missing >= REMOVED_AFTER_RECORDS
        if child.last != child.present or not child.present:
            return False
        if whole:
            return True
        return missing >= REMOVED_AFTER_RECORDS and (3 / child.present) ** missing <= REMOVED_CHANCE

    def raise_if_paused(self) -> None:
        """Raise `SchemaDrift` when a change pauses the stream."""
        pausing = self.pausing
        if not pausing:
            return
        stream = self.stream
        shown = "; ".join(_told(change) for change in pausing[:4])
        more = f"; and {len(pausing) - 4} more" if len(pausing) > 4 else ""
        raise SchemaDrift(
            f"paused: {stream.vendor}.{stream.name} changed its shape: {shown}{more}. Nothing was landed and the "
            f"cursor stays. If the change is right, adapt what reads it and run `ops schema accept {stream.vendor} "
            f"{stream.name}`; if it is the vendor's mistake, the stream goes on by itself once the field is back",
            pausing,
        )

    # -- keeping --------------------------------------------------------------------------------------------

    def to_json(self) -> JsonObject:
        return self._root.to_json()

    def paths(self) -> Iterator[tuple[str, str, bool]]:
        """(path, types, in every record) of every field, in order."""
        yield from _listed(self._root, [])


def _holds_data(node: _Node) -> bool:
    """Whether the keys of an object are data rather than the names of fields."""
    if len(node.fields) >= FIELDS_OF_AN_OBJECT:
        return True
    shown = sum(child.present for child in node.fields.values())
    return shown < SHARE_OF_A_FIELD * len(node.fields) * node.objects


def _listed(node: _Node, path: list[str]) -> Iterator[tuple[str, str, bool]]:
    for key, child in sorted(node.fields.items()):
        here = [*path, key]
        always = child.present == node.objects and not child.optional
        yield _text(here), "|".join(sorted(child.types)), always
        yield from _listed(child, here)
        if child.elements is not None:
            yield from _listed(child.elements, [*here, "[]"])


def _told(change: Change) -> str:
    if change.change == "refused":
        return str(change)
    return f"{change}{', read by ' + ', '.join(change.models[:3]) if change.models else ', declared by the stream'}"


def _keys(path: str) -> list[str]:
    """`lineItems[].sku` → lineItems, [], sku."""
    keys: list[str] = []
    for part in path.split("."):
        name = part
        lists = 0
        while name.endswith("[]"):
            name, lists = name[:-2], lists + 1
        keys += [name, *["[]"] * lists] if name else ["[]"] * lists
    return keys


def _text(keys: Iterable[str]) -> str:
    text = ""
    for key in keys:
        text += "[]" if key == "[]" else f".{key}" if text else key
    return text


# -- the tables -------------------------------------------------------------------------------------------


def load_shape(connection: psycopg.Connection[Any], stream: Stream, extra_reads: Iterable[str] = ()) -> Shape:
    """The shape as the last good sync left it. `extra_reads` are fields the loader itself stands on."""
    row = connection.execute(
        "select fields, records from ops.stream_shapes where vendor = %s and stream = %s", (stream.vendor, stream.name)
    ).fetchone()
    needed = set(extra_reads)

    def readers(path: str) -> list[str]:
        from ops_platform.warehouse.lineage import lineage

        models = lineage().field_readers(stream.vendor, stream.name, path)
        return [*models, "the loader"] if path in needed else models

    return Shape(stream, row[0] if row else None, row[1] if row else 0, readers)


def keep_shape(connection: psycopg.Connection[Any], shape: Shape, sync_id: int, now: datetime) -> None:
    """Remember the shape, and what it noted, in the caller's transaction: only what landed teaches. Changes that
    paused the stream and are no longer there are withdrawn."""
    stream = shape.stream
    if shape.met:
        connection.execute(
            "insert into ops.stream_shapes (vendor, stream, fields, records, updated_at) values (%s, %s, %s, %s, %s)"
            " on conflict (vendor, stream) do update set fields = excluded.fields, records = excluded.records,"
            " updated_at = excluded.updated_at",
            (stream.vendor, stream.name, json.dumps(shape.to_json()), shape.records, now),
        )
        connection.execute(
            "update ops.schema_changes set state = 'withdrawn', settled_at = %s, settled_by = 'the vendor'"
            " where vendor = %s and stream = %s and state = 'open'",
            (now, stream.vendor, stream.name),
        )
    _write(connection, stream, shape.changes[:NOTES_KEPT], "noted", sync_id, now)


def keep_pause(
    connection: psycopg.Connection[Any], stream: Stream, changes: Iterable[Change], sync_id: int, now: datetime
) -> None:
    """Record why the stream waits; the same change seen again only moves its `last_seen_at`."""
    _write(connection, stream, changes, "open", sync_id, now)


def _write(
    connection: psycopg.Connection[Any],
    stream: Stream,
    changes: Iterable[Change],
    state: str,
    sync_id: int,
    now: datetime,
) -> None:
    for change in changes:
        connection.execute(
            "insert into ops.schema_changes (vendor, stream, path, change, before, after, pauses, state, models,"
            " sync_id, first_seen_at, last_seen_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
            " on conflict (vendor, stream, path, change) where state = 'open' do update set after = excluded.after,"
            " models = excluded.models, last_seen_at = excluded.last_seen_at, sync_id = excluded.sync_id",
            (
                stream.vendor, stream.name, change.path.replace("\x00", ""), change.change, change.before,
                change.after, change.pauses, state, list(change.models), sync_id, now, now,
            ),
        )  # fmt: skip


def accept(
    connection: psycopg.Connection[Any], vendor: str, stream: str, *, now: datetime, by: str, path: str | None = None
) -> list[Change]:
    """Take the stream's open changes (or the one at `path`) as its shape from now on; returns them.

    The next sync goes on from the old cursor. Nothing is accepted that was not shown: a further change pauses again."""
    with connection.transaction():
        rows = connection.execute(
            "update ops.schema_changes set state = 'accepted', settled_at = %s, settled_by = %s"
            " where vendor = %s and stream = %s and state = 'open' and (%s::text is null or path = %s)"
            " returning path, change, before, after, models",
            (now, by, vendor, stream, path, path),
        ).fetchall()
        changes = [Change(row[0], row[1], row[2], row[3], tuple(row[4]), True) for row in rows]
        if not changes:
            return []
        found = connection.execute(
            "select fields from ops.stream_shapes where vendor = %s and stream = %s for update", (vendor, stream)
        ).fetchone()
        root = _Node.from_json(found[0]) if found else _Node(fresh=False)
        for change in changes:
            if change.change == "refused":
                root.accepted.add(f"refused {change.path}")
                continue
            node = _found(root, change.path)
            if change.change == "removed":
                node.optional = True
            else:
                node.types.add(change.after)
                node.accepted.add(change.after)
        connection.execute(
            "insert into ops.stream_shapes (vendor, stream, fields, updated_at) values (%s, %s, %s, %s)"
            " on conflict (vendor, stream) do update set fields = excluded.fields, updated_at = excluded.updated_at",
            (vendor, stream, json.dumps(root.to_json()), now),
        )
    return changes


def _found(root: _Node, path: str) -> _Node:
    """The node at `path`; a key may hold a dot itself, so that what stands there wins over how it is written."""
    stack: list[tuple[_Node, list[str]]] = [(root, [])]
    while stack:
        node, keys = stack.pop()
        if keys and _text(keys) == path:
            return node
        stack += [(child, [*keys, key]) for key, child in node.fields.items()]
        if node.elements is not None:
            stack.append((node.elements, [*keys, "[]"]))
    node = root
    for key in _keys(path):
        if key == "[]":
            node.elements = node.elements or _Node(fresh=False)
            node = node.elements
        else:
            node = node.fields.setdefault(key, _Node(fresh=False))
    return node
