"""The sandbox's schema is part of Shopify's, and every field in it is answered in the shape it promises."""

from __future__ import annotations

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    execute_sync,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    validate,
)
from graphql.execution.execute import execute

from sandbox.shopify.engine import FastExecution, resolver_of, schema
from sandbox.shopify.projector import Compiler
from sandbox.shopify.root_fields import VERSIONS
from tests.sandbox.shopify_client import Shop

SCHEMAS = Path(os.environ.get("OPS_SCHEMAS", Path(__file__).parents[2] / "../shared/schemas"))


@lru_cache(maxsize=2)
def official(version: str) -> GraphQLSchema:
    path = SCHEMAS / "shopify" / f"admin_{version}.json.gz"
    if not path.exists():
        pytest.skip(f"the vendor's schema is not here: {path}")
    data = json.loads(gzip.decompress(path.read_bytes()))
    return build_client_schema(data.get("data", data), assume_valid=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_type_field_argument_and_enum_value_is_in_the_official_schema(version: str) -> None:
    theirs = official(version)
    checked = 0
    for name, ours in schema().type_map.items():
        if name.startswith("__"):
            continue
        other = theirs.type_map[name]
        assert type(ours) is type(other), name
        if isinstance(ours, GraphQLEnumType):
            assert isinstance(other, GraphQLEnumType)
            assert set(ours.values) <= set(other.values), name
        elif isinstance(ours, GraphQLUnionType):
            assert isinstance(other, GraphQLUnionType)
            assert {t.name for t in ours.types} <= {t.name for t in other.types}, name
        elif isinstance(ours, GraphQLObjectType | GraphQLInterfaceType):
            assert isinstance(other, GraphQLObjectType | GraphQLInterfaceType)
            assert {i.name for i in ours.interfaces} <= {i.name for i in other.interfaces}, name
            for field_name, field in ours.fields.items():
                assert field_name in other.fields, f"{name}.{field_name}"
                official_field = other.fields[field_name]
                assert str(field.type) == str(official_field.type), f"{name}.{field_name}"
                for arg_name, arg in field.args.items():
                    official_arg = official_field.args[arg_name]
                    assert str(arg.type) == str(official_arg.type), f"{name}.{field_name}({arg_name})"
                    assert arg.default_value == official_arg.default_value, f"{name}.{field_name}({arg_name})"
                for arg_name, official_arg in official_field.args.items():
                    if is_required_argument(official_arg):
                        assert arg_name in field.args, f"{name}.{field_name} lacks {arg_name}"
                checked += 1
        assert not isinstance(ours, GraphQLInputObjectType)
    assert checked > 500


def test_every_field_has_a_resolver() -> None:
    for name, type_ in schema().type_map.items():
        if isinstance(type_, GraphQLObjectType) and not name.startswith("__"):
            for field in type_.fields:
                assert resolver_of(name, field) is not None


ARGS = {"InventoryLevel.quantities": '(names: ["available", "on_hand", "quality_control"])'}


def everything(type_: Any, depth: int, nodes: str) -> str:
    """A selection of all fields of a type, `depth` objects deep; connections by way of `nodes` or `edges`."""
    if isinstance(type_, GraphQLUnionType | GraphQLInterfaceType):
        below = " ".join(
            f"... on {t.name} {{ {everything(t, depth, nodes)} }}" for t in schema().get_possible_types(type_)
        )
        return f"__typename {below}"
    parts = []
    for name, field in type_.fields.items():
        named = get_named_type(field.type)
        args = ARGS.get(f"{type_.name}.{name}", "")
        if not args and any(is_required_argument(arg) for arg in field.args.values()):
            continue
        # A field of several possible types under one name would clash between the members of a union.
        label = f"{type_.name.lower()}_{name}: " if depth < 9 and type_.name.startswith("Discount") else ""
        if is_leaf_type(named):
            parts.append(f"{label}{name}{args}")
        elif depth > 0 and named.name.endswith("Connection"):
            assert isinstance(named, GraphQLObjectType)
            node = get_named_type(named.fields["nodes"].type)
            below = everything(node, depth - 1, nodes)
            if nodes == "nodes":
                parts.append(f"{name}(first: 3) {{ pageInfo {{ hasNextPage hasPreviousPage }} nodes {{ {below} }} }}")
            else:
                parts.append(f"{name}(first: 3) {{ edges {{ cursor node {{ {below} }} }} }}")
        elif depth > 0:
            parts.append(f"{label}{name}{args} {{ {everything(named, depth - 1, nodes)} }}")
    return " ".join(parts) or "__typename"


ROOTS = {
    "orders": ("Order", 'query: "financial_status:partially_refunded OR discount_code:* OR status:cancelled"'),
    "customers": ("Customer", "reverse: true"),
    "products": ("Product", "sortKey: TITLE"),
    "productVariants": ("ProductVariant", ""),
    "inventoryItems": ("InventoryItem", ""),
    "locations": ("Location", "includeInactive: true"),
    "fulfillmentOrders": ("FulfillmentOrder", "reverse: true, includeClosed: true"),
    "discountNodes": ("DiscountNode", ""),
}


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("nodes", ["nodes", "edges"])
@pytest.mark.parametrize("root", ROOTS)
def test_every_field_answers_and_both_executions_agree(shop: Shop, root: str, nodes: str) -> None:
    """All fields, three objects deep, by graphql-core's own execution (which checks every value against its type)
    and by ours."""
    type_name, args = ROOTS[root]
    depth = 2 if root in {"orders", "customers", "fulfillmentOrders", "locations"} else 3
    selection = everything(schema().type_map[type_name], depth, nodes)
    body = f"nodes {{ {selection} }}" if nodes == "nodes" else f"edges {{ node {{ {selection} }} }}"
    document = parse(f"{{ {root}(first: 12{', ' + args if args else ''}) {{ {body} }} }}")
    assert validate(schema(), document) == []
    plain = execute_sync(schema(), document, context_value=shop.side.context())
    fast = execute(schema(), document, context_value=shop.side.context(), execution_context_class=FastExecution)
    assert plain.errors is None
    assert json.loads(json.dumps(plain.data)) == json.loads(json.dumps(fast.data))  # type: ignore[union-attr]
    assert len(plain.data[root]["nodes" if nodes == "nodes" else "edges"]) == (12 if root != "locations" else 10)  # type: ignore[index]


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_have_the_official_shape(shop: Shop, version: str) -> None:
    """The same answer, executed again on the official schema as a plain tree of values, is accepted there."""
    theirs = official(version)
    for root, (type_name, args) in ROOTS.items():
        selection = everything(schema().type_map[type_name], 1, "nodes")
        text = f"{{ {root}(first: 5{', ' + args if args else ''}) {{ nodes {{ {selection} }} }} }}"
        document = parse(text)
        assert validate(theirs, document) == [], root
        answer = execute(schema(), document, context_value=shop.side.context(), execution_context_class=FastExecution)

        def resolve(source: Any, info: Any, **_: Any) -> Any:
            return source[info.path.key]

        again = execute_sync(
            theirs, document, answer.data, field_resolver=resolve,  # type: ignore[union-attr]
            type_resolver=lambda value, info, type_: value["__typename"],
        )  # fmt: skip
        assert again.errors is None, (root, again.errors)
        assert json.dumps(again.data) == json.dumps(answer.data)  # type: ignore[union-attr]


@pytest.mark.parametrize("root", ["orders", "products", "inventoryItems", "discountNodes", "fulfillmentOrders"])
def test_the_projection_of_bulk_operations_gives_what_pages_give(shop: Shop, root: str) -> None:
    type_name, _ = ROOTS[root]
    type_ = schema().type_map[type_name]
    selection = " ".join(
        part for part in [everything(type_, 1, "nodes")] if part
    )  # one object deep, connections below the record included
    document = parse(f"{{ {root}(first: 40, reverse: true) {{ nodes {{ {selection} }} }} }}")
    answer = execute(schema(), document, context_value=shop.side.context(), execution_context_class=FastExecution)
    expected = answer.data[root]["nodes"]  # type: ignore[union-attr, index]
    context = shop.side.context()
    operation = document.definitions[0]
    shape = Compiler(schema(), {}, {}).root(schema().query_type, operation.selection_set)  # type: ignore[arg-type, attr-defined]
    _, branch = shape.branches[0]
    records = list(branch.records(None, context))[::-1][:40]
    connections = {inner.key: inner for reach, inner in branch.node.branches if reach is None}
    for record, wanted in zip(records, expected, strict=True):
        found = branch.node.project(record, context)
        for key, inner in connections.items():
            children = [inner.node.project(child, context) for child in inner.records(record, context)][:3]
            assert json.loads(json.dumps(children)) == wanted[key]["nodes"]
        rest = {key: value for key, value in wanted.items() if key not in connections}
        assert json.loads(json.dumps(found)) == json.loads(json.dumps(rest))


def test_introspection_answers(shop: Shop) -> None:
    answer = shop.data('{ __schema { queryType { name } } __type(name: "Order") { kind fields { name } } }')
    assert answer["__schema"]["queryType"]["name"] == "QueryRoot"
    assert {"name": "processedAt"} in answer["__type"]["fields"]
