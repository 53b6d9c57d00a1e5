"""Every GraphQL text that is sent is valid on the vendor's own schema, for each version we say we speak."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, build_client_schema, parse, validate
from graphql.language import SelectionSetNode

from resources.shopify.documents import bulk_query, operations
from resources.shopify.records import ENTITIES
from tests.conftest import SCHEMAS

VERSIONS = ("2026-10", "2026-07")
BULK = sorted(name for name in operations() if name.startswith("Bulk") and name != "BulkState")


@pytest.fixture(scope="module", params=VERSIONS)
def schema(request: pytest.FixtureRequest) -> GraphQLSchema:
    path = SCHEMAS / "shopify" / f"admin_{request.param}.json.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not here: the vendor's schemas are not part of the project (OPS_SCHEMAS names them)")
    data: Any = json.loads(gzip.decompress(path.read_bytes()))
    return build_client_schema(data.get("data", data), assume_valid=True)


def test_every_operation_is_valid(schema: GraphQLSchema) -> None:
    problems = {name: [error.message for error in validate(schema, parse(text))] for name, text in operations().items()}
    assert {name: found for name, found in problems.items() if found} == {}
    assert len(problems) > 25


def test_every_bulk_query_is_valid_with_and_without_a_filter(schema: GraphQLSchema) -> None:
    for name in BULK:
        searches: list[str | None] = (
            [None] if name.endswith("Ids") else [None, "updated_at:>='2026-11-20T00:00:00Z' \\ \""]
        )
        for search in searches:
            assert validate(schema, parse(bulk_query(name, search))) == []


def test_composed_queries_are_valid(schema: GraphQLSchema) -> None:
    """The count query is put together in code: this is its form."""
    search = "processed_at:>='2026-11-18T05:00:00Z' AND processed_at:<'2026-11-19T05:00:00Z'"
    text = f'{{ d0: ordersCount(query: "{search}", limit: null) {{ count precision }} }}'
    assert validate(schema, parse(text)) == []


def connections(selection: SelectionSetNode | None, depth: int = 0) -> Iterator[tuple[FieldNode, int]]:
    for node in selection.selections if selection else ():
        inner = getattr(node, "selection_set", None)
        is_connection = isinstance(node, FieldNode) and any(
            isinstance(each, FieldNode) and each.name.value == "edges" for each in (inner.selections if inner else ())
        )
        if is_connection:
            assert isinstance(node, FieldNode)
            yield node, depth + 1
        yield from connections(inner, depth + 1 if is_connection else depth)


@pytest.mark.parametrize("name", BULK)
def test_bulk_queries_keep_the_vendors_rules(name: str) -> None:
    """At least one and at most five connections, two deep, by edges and never nodes; parents select their id
    without an alias; nothing paged is asked for page by page."""
    text = bulk_query(name, None)
    assert "nodes" not in text and "FILTER" not in text and "pageInfo" not in text and "..." not in text
    definition = parse(text).definitions[0]
    assert isinstance(definition, OperationDefinitionNode) and definition.name is None
    found = list(connections(definition.selection_set))
    assert 1 <= len(found) <= 5
    assert max(depth for _, depth in found) <= 2
    for field, _ in found:
        node = field.selection_set.selections[0].selection_set.selections[0]  # type: ignore[union-attr]
        assert isinstance(node, FieldNode) and node.name.value == "node"
        plain = [each for each in node.selection_set.selections if isinstance(each, FieldNode)]  # type: ignore[union-attr]
        assert any(each.name.value == "id" and each.alias is None for each in plain)


def leaves(text: str, start: str, skip: tuple[str, ...] = ()) -> set[str]:
    """Dotted names of all fields below `start`, connections being transparent."""
    found: set[str] = set()

    def visit(selection: SelectionSetNode | None, path: str) -> None:
        for node in selection.selections if selection else ():
            if not isinstance(node, FieldNode):
                visit(getattr(node, "selection_set", None), path)
                continue
            name = node.name.value
            if name in ("pageInfo", "cursor") or name in skip:
                continue
            below = path if name in ("edges", "node", "nodes") else f"{path}.{name}"
            if node.selection_set is None:
                found.add(below)
            visit(node.selection_set, below)

    definition = parse(text).definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    visit(definition.selection_set, "")
    return {name for name in found if name.startswith(f".{start}")}


@pytest.mark.parametrize("stream", sorted(name for name, entity in ENTITIES.items() if entity.bulk))
def test_bulk_and_paged_reads_ask_for_the_same_fields(stream: str) -> None:
    entity = ENTITIES[stream]
    assert entity.bulk is not None
    below_refund = ("refundLineItems", "orderAdjustments")
    paged = leaves(operations()[entity.page], entity.root, below_refund)
    assert leaves(bulk_query(entity.bulk, None), entity.root) == paged
    assert len(paged) > 5


def test_what_a_bulk_read_cannot_reach_is_fetched_alike() -> None:
    paged = leaves(operations()["OrdersPage"], "orders")
    fetched = leaves(operations()["RefundParts"], "")
    for key in ("refundLineItems", "orderAdjustments"):
        wanted = {name.removeprefix(".orders.refunds") for name in paged if f".refunds.{key}." in name}
        assert wanted and wanted <= fetched
