"""A selection compiled to plain functions: records in, JSON out, without paths, errors or pages.

Belongs here: the projection bulk operations write with, and analytics reads overlays with. Does not belong here:
requests (`engine.py`), the rules for what a bulk query may be (`bulk.py`). Both run the same resolvers; a test
holds their answers equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLAbstractType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
)
from graphql.execution.collect_fields import collect_fields, collect_sub_fields
from graphql.execution.values import get_argument_values

from sandbox.shopify.context import Context
from sandbox.shopify.engine import Plan, page_of, resolver_of, value_of
from sandbox.shopify.listing import Sorted
from sandbox.shopify.paging import Page
from sandbox.shopify.root_fields import type_name
from sandbox.shopify.values import Overlay, Raw

Project = Callable[[Any, Context], Any]


@dataclass(slots=True)
class Branch:
    """A connection below a record: its response key, its plan, how its nodes look and branch on."""

    key: str
    plan: Plan
    node: Shape

    def records(self, source: Any, context: Context) -> Any:
        """All records of the connection, however many pages they would fill."""
        plan = self.plan
        if type(source) is Overlay:
            found = value_of(_unpaged(plan), source, context)
            return found.nodes if isinstance(found, Page) else []
        assert plan.items is not None
        found = plan.items(source, plan.args, context)
        return found.items if isinstance(found, Sorted) else found


@dataclass(slots=True)
class Shape:
    """How one object type looks: `fields` go into its own JSON, `branches` become records of their own. A branch
    below a plain object hangs on the nearest record above, so `reach` leads from the record to the object."""

    fields: list[tuple[str, Project]]
    branches: list[tuple[Project | None, Branch]]

    def of(self, source: Any) -> Shape:
        """The shape of this very record: itself, unless its type is open."""
        return self

    def project(self, source: Any, context: Context) -> dict[str, Any]:
        return {key: get(source, context) for key, get in self.of(source).fields}


@dataclass(slots=True)
class OpenShape(Shape):
    """The shape of an interface or a union: one for each possible type."""

    name: str
    variants: dict[str, Shape]

    def of(self, source: Any) -> Shape:
        return self.variants[type_name(source, self.name)]


def _unpaged(plan: Plan) -> Plan:
    """The plan asking for the first million, for an overlay's short lists."""
    args = {name: value for name, value in plan.args.items() if name not in {"first", "last", "after", "before"}}
    copy = Plan.__new__(Plan)
    for name in Plan.__slots__:
        setattr(copy, name, getattr(plan, name))
    items = plan.items
    assert items is not None
    copy.args = {**args, "first": 250}
    copy.call = lambda source, a, context: page_of(items(source, a, context), {"first": 1_000_000}, context)
    return copy


class Compiler:
    """Compiles selections of one document against the schema."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: dict[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = dict(fragments)
        self._variables = variables

    def root(self, type_: GraphQLObjectType, selection: Any) -> Shape:
        return self._shape(type_, collect_fields(self._schema, self._fragments, self._variables, type_, selection))

    def below(self, type_: GraphQLObjectType, nodes: list[FieldNode]) -> dict[str, list[FieldNode]]:
        return collect_sub_fields(self._schema, self._fragments, self._variables, type_, nodes)

    def _shape(self, type_: GraphQLObjectType, fields: Mapping[str, list[FieldNode]]) -> Shape:
        shape = Shape([], [])
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name == "__typename":
                shape.fields.append((key, _constant(type_.name)))
                continue
            field = type_.fields[name]
            args = get_argument_values(field, nodes[0], self._variables)
            plan = Plan(name, field.type, resolver_of(type_.name, name), args, nodes)
            if plan.items is not None:
                shape.branches.append((None, Branch(key, plan, self._node(plan, nodes))))
                continue
            if plan.leaf:
                shape.fields.append((key, _leaf(plan)))
                continue
            project, branches = self._nested(plan, nodes)
            shape.fields.append((key, project))
            shape.branches.extend(branches)
        return shape

    def _node(self, plan: Plan, nodes: list[FieldNode]) -> Shape:
        """The shape of a connection's nodes, by way of `edges { node }` or `nodes`."""
        connection = get_named_type(plan.type)
        assert isinstance(connection, GraphQLObjectType)
        for below in self.below(connection, nodes).values():
            name = below[0].name.value
            if name == "nodes":
                return self._object(get_named_type(connection.fields["nodes"].type), below)
            if name == "edges":
                edge = get_named_type(connection.fields["edges"].type)
                assert isinstance(edge, GraphQLObjectType)
                for deeper in self.below(edge, below).values():
                    if deeper[0].name.value == "node":
                        return self._object(get_named_type(edge.fields["node"].type), deeper)
        return Shape([], [])

    def _object(self, type_: Any, nodes: list[FieldNode]) -> Shape:
        if is_abstract_type(type_):
            return OpenShape([], [], type_.name, self._variants(type_, nodes))
        assert isinstance(type_, GraphQLObjectType)
        return self._shape(type_, self.below(type_, nodes))

    def _nested(self, plan: Plan, nodes: list[FieldNode]) -> tuple[Project, list[tuple[Project | None, Branch]]]:
        """The projection of a field of object type (or a list of them), and the branches below a plain object."""
        named = get_named_type(plan.type)
        if is_abstract_type(named):
            return _abstract(plan, self._object(named, nodes)), []
        shape = self._object(named, nodes)
        if _is_list(plan):
            return _listed(plan, shape), []
        reach = _reach(plan)
        branches: list[tuple[Project | None, Branch]] = [
            (_then(reach, further), branch) for further, branch in shape.branches
        ]
        return _single(plan, shape), branches

    def _variants(self, type_: GraphQLAbstractType, nodes: list[FieldNode]) -> dict[str, Shape]:
        return {possible.name: self._object(possible, nodes) for possible in self._schema.get_possible_types(type_)}


def _is_list(plan: Plan) -> bool:
    bare = plan.type.of_type if isinstance(plan.type, GraphQLNonNull) else plan.type
    return isinstance(bare, GraphQLList)


def _constant(value: Any) -> Project:
    return lambda source, context: value


def _leaf(plan: Plan) -> Project:
    call, args = plan.call, plan.args

    def project(source: Any, context: Context) -> Any:
        if type(source) is Overlay:
            return value_of(plan, source, context)
        return call(source, args, context)

    return project


def _reach(plan: Plan) -> Project:
    return lambda source, context: value_of(plan, source, context)


def _then(first: Project, second: Project | None) -> Project:
    def reach(source: Any, context: Context) -> Any:
        found = first(source, context)
        return found if found is None or second is None else second(found, context)

    return reach


def _single(plan: Plan, shape: Shape) -> Project:
    fields, call, args = shape.fields, plan.call, plan.args

    def project(source: Any, context: Context) -> Any:
        found = value_of(plan, source, context) if type(source) is Overlay else call(source, args, context)
        if found is None or type(found) is Raw:
            return found
        return {key: get(found, context) for key, get in fields}

    return project


def _listed(plan: Plan, shape: Shape) -> Project:
    fields = shape.fields

    def project(source: Any, context: Context) -> Any:
        found = value_of(plan, source, context)
        if found is None or type(found) is Raw:
            return found
        return [
            one if one is None or type(one) is Raw else {key: get(one, context) for key, get in fields} for one in found
        ]

    return project


def _abstract(plan: Plan, shape: Shape) -> Project:
    def one(found: Any, context: Context) -> Any:
        return found if found is None or type(found) is Raw else shape.project(found, context)

    def project(source: Any, context: Context) -> Any:
        found = value_of(plan, source, context)
        if _is_list(plan) and found is not None and type(found) is not Raw:
            return [one(item, context) for item in found]
        return one(found, context)

    return project
