"""What a query costs, and the bucket it is paid from.

Belongs here: requested and actual cost, the leaky bucket, the refusals. Does not belong here: executing queries.

The published rules: scalars and enums cost nothing, an object one point, a mutation ten; a connection is sized by
`first` or `last`. Captures show that the size counts less than in proportion; here it is 2 + (1 + ln n) times the
cost of one node. The requested cost is reserved before execution, the difference to the actual one paid back.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import collect_fields, collect_sub_fields
from graphql.execution.values import get_argument_values

from sandbox.shopify.values import ApiError

MOST_POINTS = 1000
MUTATION_POINTS = 10


def scale(count: int) -> float:
    """How often a connection of `count` nodes pays for one node."""
    return 0.0 if count <= 0 else 1.0 + math.log(count)


@dataclass(slots=True)
class Cost:
    """The cost of one selection: a fixed part, and parts that depend on what is found below a key."""

    fixed: float
    parts: list[tuple[str, Cost | Sized]]

    def requested(self) -> float:
        return self.fixed + sum(part.requested() for _, part in self.parts)

    def actual(self, data: Any) -> float:
        if isinstance(data, list):
            return sum(self.actual(one) for one in data) / len(data) if data else 0.0
        if not isinstance(data, dict):
            return 0.0
        return self.fixed + sum(part.actual(data.get(key)) for key, part in self.parts)


@dataclass(slots=True)
class Sized:
    """A connection of at most `most` nodes; `key` leads to them, by way of `edges` when `edge` names the node."""

    most: int
    node: Cost
    key: str
    edge: str | None

    def requested(self) -> float:
        return 2.0 + scale(self.most) * self.node.requested()

    def actual(self, data: Any) -> float:
        if not isinstance(data, dict):
            return 0.0
        nodes = data.get(self.key)
        if not isinstance(nodes, list):
            return 2.0
        if self.edge is not None:
            nodes = [one.get(self.edge) if isinstance(one, dict) else None for one in nodes]
        return 2.0 + scale(len(nodes)) * self.node.actual(nodes)


class Pricer:
    """Prices one operation. A connection that names no page costs two; its resolver refuses it."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: dict[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = dict(fragments)
        self._variables = variables

    def price(self, operation: OperationDefinitionNode) -> Cost:
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        fields = collect_fields(self._schema, self._fragments, self._variables, root, operation.selection_set)
        cost = self._selection(root, fields)
        if operation.operation is OperationType.MUTATION:
            cost.fixed += MUTATION_POINTS * len(fields)
        return cost

    def _selection(self, type_: GraphQLObjectType, fields: Mapping[str, list[FieldNode]]) -> Cost:
        cost = Cost(0.0, [])
        for key, nodes in fields.items():
            name = nodes[0].name.value
            if name.startswith("__"):
                continue
            field = type_.fields[name]
            named = get_named_type(field.type)
            if is_leaf_type(named):
                continue
            if named.name.endswith("Connection"):
                args = get_argument_values(field, nodes[0], self._variables)
                cost.parts.append((key, self._connection(named, args, nodes)))
            elif is_abstract_type(named):
                choices = [self._below(possible, nodes) for possible in self._schema.get_possible_types(named)]
                dearest = max(choices, key=Cost.requested)
                cost.parts.append((key, Cost(1.0 + dearest.fixed, dearest.parts)))
            else:
                below = self._below(named, nodes)
                if below.parts:
                    cost.parts.append((key, Cost(1.0 + below.fixed, below.parts)))
                else:
                    cost.fixed += 1.0 + below.fixed
        return cost

    def _below(self, type_: Any, nodes: list[FieldNode]) -> Cost:
        fields = collect_sub_fields(self._schema, self._fragments, self._variables, type_, nodes)
        return self._selection(type_, fields)

    def _connection(self, type_: GraphQLObjectType, args: Mapping[str, Any], nodes: list[FieldNode]) -> Sized:
        most = args.get("first")
        if most is None:
            most = args.get("last")
        below = collect_sub_fields(self._schema, self._fragments, self._variables, type_, nodes)
        for key, deeper in below.items():
            name = deeper[0].name.value
            if name == "nodes":
                node = get_named_type(type_.fields["nodes"].type)
                cost = self._below(node, deeper)
                return Sized(most or 0, Cost(1.0 + cost.fixed, cost.parts), key, None)
            if name == "edges":
                edge = get_named_type(type_.fields["edges"].type)
                assert isinstance(edge, GraphQLObjectType)
                fields = collect_sub_fields(self._schema, self._fragments, self._variables, edge, deeper)
                for edge_key, found in fields.items():
                    if found[0].name.value == "node":
                        cost = self._below(get_named_type(edge.fields["node"].type), found)
                        return Sized(most or 0, Cost(1.0 + cost.fixed, cost.parts), key, edge_key)
        return Sized(0, Cost(0.0, []), "nodes", None)


def points(cost: float) -> int:
    return math.ceil(cost - 1e-9)


class Bucket:
    """Points of one app and shop: `most` at rest, `restore` a second. It runs on the machine's clock, because the
    client waits in real time."""

    def __init__(self, most: int, restore: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.restore = restore
        self._clock = clock
        self._left = float(most)
        self._at = clock()
        self._lock = threading.Lock()

    def _fill(self) -> None:
        now = self._clock()
        self._left = min(float(self.most), self._left + (now - self._at) * self.restore)
        self._at = now

    def reserve(self, cost: int) -> bool:
        with self._lock:
            self._fill()
            if cost > self._left:
                return False
            self._left -= cost
            return True

    def give_back(self, cost: int) -> None:
        with self._lock:
            self._fill()
            self._left = min(float(self.most), self._left + cost)

    def drain(self) -> None:
        with self._lock:
            self._fill()
            self._left = 0.0

    def status(self) -> dict[str, float]:
        with self._lock:
            self._fill()
            return {
                "maximumAvailable": float(self.most),
                "currentlyAvailable": int(self._left),
                "restoreRate": float(self.restore),
            }


def too_dear(cost: int) -> ApiError:
    return ApiError(
        f"Query cost is {cost}, which exceeds the single query max cost limit ({MOST_POINTS}).\n\n"
        "See https://shopify.dev/concepts/about-apis/rate-limits for more information on how the\n"
        "cost of a query is calculated.\n\n"
        "To query larger amounts of data with fewer limits, bulk operations should be used instead.\n"
        "See https://shopify.dev/tutorials/perform-bulk-operations-with-admin-api for usage details.",
        "MAX_COST_EXCEEDED",
        cost=cost,
        maxCost=MOST_POINTS,
        documentation="https://shopify.dev/api/usage/rate-limits",
    )
