"""Bulk operations: which queries are accepted, running them in the background, the file of lines.

Belongs here: Shopify's rules for bulk queries, the writer of JSONL, starting, polling and cancelling. Does not
belong here: the projection of a record (`projector.py`), serving the file (`side.py`).
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    parse,
    validate,
)

from sandbox.hooks import Hooks
from sandbox.shopify.bulk_state import BulkOperation, BulkRefused
from sandbox.shopify.engine import schema
from sandbox.shopify.projector import Branch, Compiler, Shape
from sandbox.shopify.spoil import BULK_FAULTS, take
from sandbox.shopify.values import gid, to_json

if TYPE_CHECKING:
    from sandbox.shopify.context import Context

AT_ONCE = 5
MOST_CONNECTIONS = 5
MOST_NESTING = 2
_BLOCK = 400
_FLUSH_BYTES = 1 << 20
_OPERATION = 5_800_000_000_000

ID_RULE = (
    "The parent 'node' field for a nested connection must select the 'id' field without an alias "
    "and must be of 'ID' return type. Connection fields without 'id': {}."
)


def _refuse(message: str) -> BulkRefused:
    return BulkRefused(message, "INVALID", ["query"])


class _Rules:
    """Walks the selections of a bulk query once and counts what the rules are about."""

    def __init__(self, document: DocumentNode) -> None:
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.connections = 0
        self.without_id: list[str] = []

    def walk(self, type_: Any, selection: Any, *, depth: int, in_list: bool, owner: str | None, has_id: bool) -> None:
        """`owner` is the connection whose node is being walked, `has_id` whether that node selects its id."""
        for field, parent in self._fields(type_, selection):
            if field.name.value.startswith("__") or parent is None:
                continue
            result = parent.fields[field.name.value].type
            named = get_named_type(result)
            if named.name.endswith("Connection"):
                self._connection(field, named, depth=depth, in_list=in_list, owner=owner, has_id=has_id)
            elif field.selection_set is not None:
                listed = in_list or _listed(result)
                self.walk(named, field.selection_set, depth=depth, in_list=listed, owner=owner, has_id=has_id)

    def _connection(
        self, field: FieldNode, type_: GraphQLObjectType, *, depth: int, in_list: bool, owner: str | None, has_id: bool
    ) -> None:
        name = field.name.value
        self.connections += 1
        if in_list:
            raise _refuse("Queries that contain a connection field within a list field are not currently supported.")
        if depth + 1 > MOST_NESTING + 1:
            raise _refuse(f"Bulk queries cannot contain connections with a nesting depth greater than {MOST_NESTING}.")
        if owner is not None and not has_id and owner not in self.without_id:
            self.without_id.append(owner)
        edges = None
        for below, _ in self._fields(type_, field.selection_set):
            if below.name.value == "nodes":
                raise _refuse(
                    f"The connection field '{name}' must select 'edges {{ node }}': 'nodes' is not supported."
                )
            if below.name.value == "edges":
                edges = below
        if edges is None or edges.selection_set is None:
            raise _refuse(f"The connection field '{name}' must select 'edges {{ node }}'.")
        edge = get_named_type(type_.fields["edges"].type)
        node = next((n for n, _ in self._fields(edge, edges.selection_set) if n.name.value == "node"), None)
        if node is None:
            raise _refuse(f"The connection field '{name}' must select 'edges {{ node }}'.")
        kind = get_named_type(edge.fields["node"].type)
        own_id = any(
            n.name.value == "id" and (n.alias is None or n.alias.value == "id")
            for n, _ in self._fields(kind, node.selection_set)
        )
        self.walk(kind, node.selection_set, depth=depth + 1, in_list=False, owner=name, has_id=own_id)

    def _fields(self, type_: Any, selection: Any) -> Iterator[tuple[FieldNode, Any]]:
        """The fields of a selection with the type each is selected on, fragments unfolded."""
        for one in selection.selections if selection is not None else ():
            if isinstance(one, FieldNode):
                yield one, type_ if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) else None
            elif one.kind == "inline_fragment":
                condition = one.type_condition
                below = schema().type_map[condition.name.value] if condition is not None else type_
                yield from self._fields(below, one.selection_set)
            else:
                fragment = self.fragments[one.name.value]
                below = schema().type_map[fragment.type_condition.name.value]
                yield from self._fields(below, fragment.selection_set)


def _listed(type_: Any) -> bool:
    bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return isinstance(bare, GraphQLList)


def check(text: str) -> tuple[DocumentNode, OperationDefinitionNode]:
    """The parsed query. Raises BulkRefused with the message of the rule it breaks."""
    try:
        document = parse(text)
    except GraphQLSyntaxError as error:
        raise _refuse(f"Invalid bulk query: {error.message}") from None
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is not OperationType.QUERY:
        raise _refuse("Bulk queries must contain exactly one query operation.")
    errors = validate(schema(), document)
    if errors:
        raise _refuse(f"Invalid bulk query: {errors[0].message}")
    if operations[0].variable_definitions:
        raise _refuse("Bulk queries cannot use variables.")
    rules = _Rules(document)
    root = schema().query_type
    assert root is not None
    for field, _ in rules._fields(root, operations[0].selection_set):
        if field.name.value in {"node", "nodes"}:
            raise _refuse(f"Bulk queries cannot contain a top level `{field.name.value}` field.")
    rules.walk(root, operations[0].selection_set, depth=0, in_list=False, owner=None, has_id=True)
    if rules.connections == 0:
        raise _refuse("Bulk queries must contain at least one connection.")
    if rules.connections > MOST_CONNECTIONS:
        raise _refuse(f"Bulk queries cannot contain more than {MOST_CONNECTIONS} connections.")
    if rules.without_id:
        raise _refuse(ID_RULE.format(", ".join(rules.without_id)))
    return document, operations[0]


class _Stopped(Exception):
    """The operation was cancelled, or is to fail half way."""


class Writer:
    """Writes the records of a compiled query as lines. Without grouping children do not follow their parent: a
    block's parents and children come in turns, and in every other block the children come first."""

    def __init__(self, operation: BulkOperation, context: Context, stop: Callable[[], bool]) -> None:
        self._operation = operation
        self._context = context
        self._stop = stop
        self._block = 0
        self._parents: list[bytes] = []
        self._children: list[bytes] = []

    def run(self, shape: Shape, file: Any) -> None:
        root = None
        for reach, branch in shape.branches:
            source = root if reach is None else reach(root, self._context)
            if reach is not None and source is None:
                continue
            for record in branch.records(source, self._context):
                self._record(branch, record)
                self._operation.roots += 1
                if self._operation.roots % _BLOCK == 0:
                    self._flush(file)
                    if self._stop():
                        raise _Stopped
        self._flush(file)

    def _record(self, branch: Branch, record: Any) -> None:
        shape, context = branch.node.of(record), self._context
        own = {key: get(record, context) for key, get in shape.fields}
        self._parents.append(to_json(own))
        if shape.branches:
            self._below(shape, record, own.get("id"), self._parents if self._operation.grouped else self._children)

    def _below(self, shape: Shape, record: Any, parent: Any, into: list[bytes]) -> None:
        context = self._context
        for reach, branch in shape.branches:
            source = record if reach is None else reach(record, context)
            if source is None:
                continue
            for child in branch.records(source, context):
                node = branch.node.of(child)
                own = {key: get(child, context) for key, get in node.fields}
                own["__parentId"] = parent
                into.append(to_json(own))
                if node.branches:
                    self._below(node, child, own.get("id"), into)

    def _flush(self, file: Any) -> None:
        parents, children = self._parents, self._children
        self._operation.objects += len(parents) + len(children)
        lines = [*children, *parents] if self._block % 2 else [*parents, *reversed(children)]
        self._block += 1
        if lines:
            file.write(b"\n".join(lines))
            file.write(b"\n")
        self._parents, self._children = [], []


class BulkOperations:
    """The operations of one shop, newest last. Results are files in `directory`."""

    def __init__(self, directory: Path, hooks: Hooks, secret: bytes) -> None:
        self._directory = directory
        self._hooks = hooks
        self._secret = secret
        self._lock = threading.Lock()
        self._all: dict[str, BulkOperation] = {}
        self.threaded = True

    def start(self, text: str, grouped: bool, context: Context) -> BulkOperation:
        document, operation_node = check(text)
        with self._lock:
            running = [one.id for one in self._all.values() if not one.shown_over and not one.over]
            if len(running) >= AT_ONCE:
                raise BulkRefused(
                    "A bulk query operation for this app and shop is already in progress: " + ", ".join(running) + ".",
                    "OPERATION_IN_PROGRESS",
                )
            number = len(self._all) + 1
            identity = gid("BulkOperation", _OPERATION + number * 512)
            secret = hmac.new(self._secret, identity.encode(), hashlib.sha256).hexdigest()
            operation = BulkOperation(
                identity, number, text, grouped, context.now, self._directory / f"{secret}.jsonl", secret
            )
            self._all[identity] = operation
        fault = take(self._hooks, "bulk", BULK_FAULTS)
        self._hooks.ledger.record("shopify", "bulk_started", {"id": identity, "grouped": grouped, "query": text[:2000]})
        # The work sees its own context: the request's is gone when it ends.
        context = replace(context, warnings=[])
        if fault == "bulk_stuck":
            operation.status = "RUNNING"
            return operation
        work = threading.Thread(
            target=self._work,
            args=(operation, document, operation_node, context, fault),
            name=f"bulk-{number}",
            daemon=True,
        )
        work.start()
        if not self.threaded:
            work.join()
        return operation

    def _work(
        self, operation: BulkOperation, document: DocumentNode, node: OperationDefinitionNode, context: Context,
        fault: str | None,
    ) -> None:  # fmt: skip
        operation.status = "RUNNING"
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        root = schema().query_type
        assert root is not None
        failing = fault in {"bulk_failed", "bulk_timeout"}
        ended, code = "COMPLETED", None
        try:
            shape = Compiler(schema(), fragments, {}).root(root, node.selection_set)
            self._directory.mkdir(parents=True, exist_ok=True)
            with operation.path.open("wb", buffering=_FLUSH_BYTES) as file:
                writer = Writer(operation, context, lambda: operation.cancel.is_set() or failing)
                writer.run(shape, file)
        except _Stopped:
            ended = "CANCELED"
        except GraphQLError as error:
            code = str((error.extensions or {}).get("code"))
            ended, code = "FAILED", code if code == "ACCESS_DENIED" else "INTERNAL_SERVER_ERROR"
        except Exception as error:
            # A thread's exception would be lost: the client sees a failed operation, the ledger why.
            ended, code = "FAILED", "INTERNAL_SERVER_ERROR"
            self._hooks.ledger.record("shopify", "bulk_crashed", {"id": operation.id, "error": repr(error)[:500]})
        if failing:
            ended, code = "FAILED", "TIMEOUT" if fault == "bulk_timeout" else "INTERNAL_SERVER_ERROR"
        if fault == "bulk_access_denied":
            ended, code = "FAILED", "ACCESS_DENIED"
        if operation.path.exists():
            operation.size = operation.path.stat().st_size
        operation.partial = ended == "FAILED" and bool(operation.objects)
        operation.error_code = code
        operation.completed_at = self._hooks.clock.now()
        operation.status = ended
        operation.done.set()
        self._hooks.ledger.record(
            "shopify",
            "bulk_ended",
            {"id": operation.id, "status": ended, "objects": operation.objects, "roots": operation.roots},
        )

    def get(self, identity: str) -> BulkOperation | None:
        """The operation; asking is a poll, and moves what the client sees by one state."""
        operation = self._all.get(identity)
        if operation is not None:
            operation.look()
        return operation

    def latest(self) -> BulkOperation | None:
        return self.get(next(reversed(self._all))) if self._all else None

    def cancel(self, identity: str) -> BulkOperation:
        operation = self._all.get(identity)
        if operation is None:
            raise BulkRefused("Bulk operation does not exist", None, ["id"])
        if operation.over:
            raise BulkRefused("A bulk operation cannot be canceled when it is " + operation.status.lower(), None, None)
        operation.cancel.set()
        if operation.status == "RUNNING" and not operation.path.exists():
            operation.status = "CANCELED"
        return operation

    def listed(self, args: Mapping[str, Any], context: Context) -> list[BulkOperation]:
        return list(self._all.values())

    def result(self, secret: str) -> BulkOperation | None:
        """The finished operation whose file has this name."""
        return next((one for one in self._all.values() if one.secret == secret and one.over), None)


__all__ = ["AT_ONCE", "BulkOperation", "BulkOperations", "BulkRefused", "check"]
