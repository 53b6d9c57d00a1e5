"""Executing GraphQL: the schema with its resolvers, and graphql-core's execution made fast enough for pages of
a hundred orders.

Belongs here: binding resolvers to the schema, field plans shared by requests and bulk operations, overlays and
raw values. Does not belong here: what a field's value is (`*_fields.py`), HTTP, cost.

The schema's fields carry ordinary `resolve` functions, so plain `graphql.execute` answers too. `FastExecution`
is the same execution without what our resolvers never need (awaitables, a fresh info object per value), and with
leaf values passed through unserialised: they are JSON already, and a value a test forces in must not be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, cast

from graphql import (
    ExecutionContext,
    FieldNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    located_error,
)
from graphql.execution.execute import get_field_def
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path, Undefined

from sandbox.shopify.context import Connection, Context, Resolver
from sandbox.shopify.listing import Sorted
from sandbox.shopify.paging import Edge, Page, check_size, keyed_page, small_page
from sandbox.shopify.root_fields import FIELDS, type_name
from sandbox.shopify.values import RAW_NULL, Overlay, Raw

_CONNECTION: dict[str, Resolver] = {
    "nodes": lambda o, a, c: o.nodes,
    "edges": lambda o, a, c: [Edge(node, o, place) for place, node in enumerate(o.nodes)],
    "pageInfo": lambda o, a, c: o,
}
_EDGE: dict[str, Resolver] = {"node": lambda o, a, c: o.node, "cursor": lambda o, a, c: o.page.cursor(o.place)}


def _paged(items: Callable[[Any, Mapping[str, Any], Context], Any]) -> Resolver:
    def resolve(source: Any, args: Mapping[str, Any], context: Context) -> Page:
        check_size(args)
        return page_of(items(source, args, context), args, context)

    return resolve


def page_of(found: Any, args: Mapping[str, Any], context: Context) -> Page:
    if isinstance(found, Sorted):
        return keyed_page(found.items, found.keys, args, context.cap)
    return small_page(found, args)


def resolver_of(parent: str, name: str) -> Resolver | Connection:
    """Raises KeyError for a field nobody answers: the schema must not promise it."""
    if parent.endswith("Connection"):
        return _CONNECTION[name]
    if parent.endswith("Edge"):
        return _EDGE[name]
    return FIELDS[parent][name]


class Plan:
    """One selected field: how to get its value and what becomes of it. Shared by all sources of one request."""

    __slots__ = ("args", "call", "fields", "info", "items", "leaf", "name", "nodes", "required", "type")

    def __init__(self, name: str, type_: GraphQLOutputType, resolver: Resolver | Connection, args: Mapping[str, Any],
                 nodes: list[FieldNode]) -> None:  # fmt: skip
        self.name = name
        self.type = type_
        self.items = resolver.items if isinstance(resolver, Connection) else None
        self.call: Resolver = _paged(resolver.items) if isinstance(resolver, Connection) else resolver
        self.args = args
        self.nodes = nodes
        self.required = isinstance(type_, GraphQLNonNull)
        self.leaf = is_leaf_type(get_named_type(type_))
        self.info: GraphQLResolveInfo | None = None
        # For a plain (non-list) object type: that type, so that completing a value needs no further looking.
        bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        self.fields: GraphQLObjectType | None = bare if isinstance(bare, GraphQLObjectType) else None


def value_of(plan: Plan, source: Any, context: Context) -> Any:
    """The field's value for the source: overlays first, then the resolver."""
    if type(source) is Overlay:
        if plan.name in source.patch:
            return _put(plan, source.patch[plan.name], source.base, context)
        if source.base is None:
            return RAW_NULL if plan.required else None
        return value_of(plan, source.base, context)
    return plan.call(source, plan.args, context)


def _put(plan: Plan, value: Any, base: Any, context: Context) -> Any:
    """What a test put in place of a field's value, as a source the execution can go on with."""
    if value is None:
        return RAW_NULL if plan.required else None
    if plan.leaf:
        return Raw(value)
    named = get_named_type(plan.type)
    if (items := plan.items) is not None:
        if not isinstance(value, list):
            return Raw(value)
        below = [] if base is None else _below(lambda: items(base, plan.args, context))
        if isinstance(below, Sorted):
            below = below.items
        node_type = get_named_type(cast(GraphQLObjectType, named).fields["nodes"].type)
        check_size(plan.args)
        return small_page(_overlays(value, below, node_type), plan.args)
    below = _below(lambda: value_of(plan, base, context)) if base is not None else None
    if isinstance(value, list):
        return _overlays(value, below or [], named) if _is_list(plan.type) else Raw(value)
    return _overlay(value, below, named) if isinstance(value, dict) else Raw(value)


def _below(get: Callable[[], Any]) -> Any:
    try:
        return get()
    except (AttributeError, TypeError, KeyError, StopIteration):
        return None


def _is_list(type_: GraphQLOutputType) -> bool:
    bare = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    return isinstance(bare, GraphQLList)


def _overlays(values: list[Any], below: Any, kind: Any) -> list[Any]:
    """Overlay k stands on the k-th record below it, or on the first: a template for what it does not say."""
    below = list(below or [])
    return [
        _overlay(value, below[place] if place < len(below) else below[0] if below else None, kind)
        if isinstance(value, dict)
        else Raw(value)
        for place, value in enumerate(values)
    ]


def _overlay(value: dict[str, Any], below: Any, kind: Any) -> Any:
    if isinstance(below, Raw):
        below = None
    name = value.get("__typename")
    if not isinstance(name, str):
        name = type_name(below, kind.name) if is_abstract_type(kind) and below is not None else kind.name
    return Overlay(name, below, value)


def _adapter(plan_of: Callable[[Mapping[str, Any]], Plan]) -> Callable[..., Any]:
    def resolve(source: Any, info: GraphQLResolveInfo, **args: Any) -> Any:
        found = value_of(plan_of(args), source, info.context)
        return found.value if type(found) is Raw else found

    return resolve


@lru_cache(maxsize=1)
def schema() -> GraphQLSchema:
    """The sandbox's schema with a resolver on every field. Built once a process."""
    text = (FilePath(__file__).parent / "schema.graphql").read_text(encoding="utf-8")
    built = build_schema(text)
    for name, type_ in built.type_map.items():
        if name.startswith("__"):
            continue
        if isinstance(type_, GraphQLObjectType):
            for field_name, field in type_.fields.items():
                field.resolve = _adapter(_planner(field_name, field, resolver_of(name, field_name)))
        elif isinstance(type_, GraphQLInterfaceType | GraphQLUnionType):
            type_.resolve_type = _type_resolver(name)
    return built


def _planner(name: str, field: GraphQLField, resolver: Resolver | Connection) -> Callable[[Mapping[str, Any]], Plan]:
    return lambda args: Plan(name, field.type, resolver, args, [])


def _type_resolver(name: str) -> Callable[..., str]:
    return lambda source, info, type_: type_name(source, name)


class FastExecution(ExecutionContext):
    """graphql-core's execution for synchronous resolvers that give JSON."""

    is_awaitable = staticmethod(lambda value: False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans: dict[int, list[tuple[str, Plan | None, list[FieldNode]]]] = {}
        self._held: list[Any] = []

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, fields: dict[str, list[FieldNode]]
    ) -> dict[str, Any]:
        plans = self._plans.get(id(fields))
        if plans is None:
            plans = self._plan(parent_type, path, fields)
        results: dict[str, Any] = {}
        context = self.context_value
        parent = parent_type.name
        for key, plan, nodes in plans:
            if plan is None:
                result = self.execute_field(parent_type, source_value, nodes, Path(path, key, parent))
                if result is not Undefined:
                    results[key] = result
                continue
            try:
                if type(source_value) is Overlay:
                    value = value_of(plan, source_value, context)
                else:
                    value = plan.call(source_value, plan.args, context)
                if plan.leaf or value is None:
                    if value is None and plan.required:
                        raise TypeError(f"Cannot return null for non-nullable field {parent}.{plan.name}.")
                    results[key] = value
                elif type(value) is Raw:
                    results[key] = value
                elif plan.fields is not None:
                    below = self.collect_subfields(plan.fields, nodes)
                    results[key] = self.execute_fields(plan.fields, value, Path(path, key, parent), below)
                else:
                    assert plan.info is not None
                    results[key] = self.complete_value(plan.type, nodes, plan.info, Path(path, key, parent), value)
            except Exception as raised:
                spot = Path(path, key, parent)
                error = located_error(raised, nodes, spot.as_list())
                self.handle_field_error(error, plan.type, spot)
                results[key] = None
        return results

    def execute_fields_serially(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, fields: dict[str, list[FieldNode]]
    ) -> dict[str, Any]:
        return self.execute_fields(parent_type, source_value, path, fields)

    def complete_value(
        self, return_type: GraphQLOutputType, field_nodes: list[FieldNode], info: GraphQLResolveInfo, path: Path,
        result: Any,
    ) -> Any:  # fmt: skip
        return result if type(result) is Raw else super().complete_value(return_type, field_nodes, info, path, result)

    def _plan(
        self, parent_type: GraphQLObjectType, path: Path | None, fields: dict[str, list[FieldNode]]
    ) -> list[tuple[str, Plan | None, list[FieldNode]]]:
        plans: list[tuple[str, Plan | None, list[FieldNode]]] = []
        for key, nodes in fields.items():
            definition = get_field_def(self.schema, parent_type, nodes[0])
            name = nodes[0].name.value
            if definition is None or name.startswith("__") or parent_type.name.startswith("__"):
                plans.append((key, None, nodes))  # __typename and introspection: graphql-core's own way
                continue
            try:
                args = get_argument_values(definition, nodes[0], self.variable_values)
            except Exception:
                plans.append((key, None, nodes))  # raises again there, with its place in the document
                continue
            plan = Plan(name, definition.type, resolver_of(parent_type.name, name), args, nodes)
            plan.info = self.build_resolve_info(definition, nodes, parent_type, Path(path, key, parent_type.name))
            plans.append((key, plan, nodes))
        self._plans[id(fields)] = plans
        self._held.append(fields)  # keeps the id from being used again
        return plans
