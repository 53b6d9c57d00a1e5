"""From rows of the warehouse down to the records they were made of.

Belongs here: which rows of which relation a row stands on, level by level, to the raw tables; finding and counting
them. Does not belong here: what a published number is (`ops_platform.evidence`), which model reads which stream in
general (`lineage.py`), printing (`commands/trace.py`).

Every model says of which column its rows are computed apart (`scope`) and by which columns its parents' changes reach
it (`changed_by`); that is what a build recomputes, so it is what a row is made of. It may name more rows than the sum
at the top adds up (all orders of the day, for one channel's line), never fewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops_platform.failures import DataFailure
from ops_platform.warehouse.dbt import MANIFEST

if TYPE_CHECKING:
    import psycopg

#: More values of a scope than this are not followed further down; what was found is said to be a part.
VALUES_MOST = 5_000
ROWS_SHOWN = 4
COLUMNS_SHOWN = 7
#: dbt builds candidates; what people read is published from them.
_PUBLISHED = {"candidate_marts": "marts", "candidate_metrics": "metrics"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Columns of a kind that tells and holds nobody's name; keys are shown besides.
_AMOUNTS = ("amount", "amount_company", "value", "quantity", "orders", "units", "count")
_TELLING = ("numeric", "integer", "bigint", "smallint", "double precision", "date", "boolean")


@dataclass(frozen=True, slots=True)
class Node:
    """A relation: a model (`scope`, `key`, what it is `changed_by`, the `words` of its SQL) or a source (`stored` by a
    sync). `kept` is False for a view, through which one sees to what is below it."""

    id: str
    name: str
    relation: str
    parents: tuple[str, ...] = ()
    changed_by: Mapping[str, Any] = field(default_factory=dict)
    scope: str | None = None
    key: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    kept: bool = True
    stored: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """Rows of one relation. `because` says how they were found, `of` below which relation; `count` is None where the
    relation is read whole. `sums` are totals of amounts that the relation above adds up; `shown` the first rows;
    `cut` says that not all of them were followed."""

    relation: str
    of: str
    because: str
    depth: int
    count: int | None
    columns: tuple[str, ...] = ()
    shown: tuple[tuple[Any, ...], ...] = ()
    sums: tuple[tuple[str, Decimal], ...] = ()
    stored: bool = False
    cut: bool = False


class Graph:
    """The relations by their ids."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = {node.id: node for node in nodes}
        self._named = {node.name: node for node in self.nodes.values() if not node.stored}
        self._placed = {node.relation: node for node in self.nodes.values()}

    def model(self, name: str) -> Node | None:
        return self._named.get(name)

    def at(self, relation: str) -> Node | None:
        return self._placed.get(relation)

    def reaching(self, node: Node) -> list[tuple[Node, list[str] | None]]:
        """What the node is made of: relations that hold rows, with the columns that lead to theirs (None: any row of it
        may matter, an empty list: none by itself)."""
        found: dict[str, list[str] | None] = {}
        for direct in node.parents:
            parent = self.nodes.get(direct)
            if parent is None:
                continue  # a seed: part of the definition
            said = {**(dict(parent.changed_by) if not parent.kept else {}), **node.changed_by}
            for base in self._bases(parent):
                wanted = said.get(base.name)
                if wanted is None or wanted == "whole" or found.get(base.id, []) is None:
                    found[base.id] = None
                else:
                    more = [wanted] if isinstance(wanted, str) else list(wanted)
                    found[base.id] = list(dict.fromkeys([*(found.get(base.id) or []), *more]))
        return [(self.nodes[name], columns) for name, columns in found.items()]

    def _bases(self, node: Node) -> list[Node]:
        if node.kept:
            return [node]
        found: dict[str, Node] = {}
        for parent in node.parents:
            if parent in self.nodes:
                found |= {base.id: base for base in self._bases(self.nodes[parent])}
        return list(found.values())


def graph(manifest: Path = MANIFEST) -> Graph:
    """The project's graph, from dbt's manifest. Raises `DataFailure` where there is none yet."""
    import orjson

    try:
        content = orjson.loads(manifest.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        raise DataFailure("the warehouse was never built here: `ops dbt build` builds it") from None
    nodes = [_model(node) for node in content["nodes"].values() if node["resource_type"] == "model"]
    return Graph([*nodes, *(_source(node) for node in content["sources"].values())])


def _model(node: Mapping[str, Any]) -> Node:
    config = node["config"]
    key = config.get("unique_key") or ()
    return Node(
        id=node["unique_id"],
        name=node["name"],
        relation=f"{_PUBLISHED.get(node['schema'], node['schema'])}.{node.get('alias') or node['name']}",
        parents=tuple(node["depends_on"]["nodes"]),
        changed_by=config.get("changed_by") or {},
        scope=config.get("scope"),
        key=(key,) if isinstance(key, str) else tuple(key),
        words=frozenset(_WORD.findall(node.get("raw_code") or "")),
        kept=config.get("materialized") == "lasting_table",
    )


def _source(node: Mapping[str, Any]) -> Node:
    relation = f"{node['schema']}.{node.get('identifier') or node['name']}"
    stored = node["schema"].startswith("raw_")
    return Node(node["unique_id"], node["name"], relation, key=("id",) if stored else (), stored=stored)


# Walking down -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of a node as a condition: SQL on columns of the relation, and in words."""

    sql: str
    params: dict[str, Any]
    words: str


def descend(
    connection: psycopg.Connection[Any],
    lineage: Graph,
    start: Node,
    values: Sequence[str],
    *,
    where: Mapping[str, str] | None = None,
) -> list[Level]:
    """The rows below `start` for these values of its scope (a metric's: days as ISO text), every relation after those
    it was found from, the raw tables last.

    `where` narrows by columns wherever a relation has them (`channel` = `amazon`). What a relation stands on by itself
    and also through another (the orders of a day, and the earlier ones that make a customer a returning one) is counted
    both ways and followed by itself. Reads only."""
    walk = _Walk(connection, lineage, dict(where or {}))
    order, detours = walk.order(start)
    found: dict[str, list[tuple[_Found, Node]]] = {}
    whole: dict[str, Node] = {}
    cut: set[str] = set()
    levels: list[Level] = []
    far = {node.id: depth for node, depth in order}

    def below(node: Node, its: list[str], partly: bool) -> None:
        for parent, columns in walk.records_of(node):
            if columns is None:
                whole.setdefault(parent.id, node)
            elif (condition := walk.leading(parent, columns, its, len(found.get(parent.id, ())))) is not None:
                if (node.id, parent.id) in detours:
                    levels.append(walk.look(parent, [(condition, node)], far.get(parent.id, 1), cut=True))
                    continue
                found.setdefault(parent.id, []).append((condition, node))
                if partly:
                    cut.add(parent.id)

    below(start, list(values), False)
    for node, depth in order:
        if node.id not in found or not walk.types(node):
            continue
        level = walk.look(node, found[node.id], depth, cut=node.id in cut)
        levels.append(level)
        if level.count and not node.stored and node.scope is not None:
            its, more = walk.scope_of(node, found[node.id])
            below(node, its, more or node.id in cut)
    for name, of in whole.items():
        if name not in found:
            node = lineage.nodes[name]
            levels.append(Level(node.relation, of.relation, "read whole", 1, None, stored=node.stored))
    return levels


class _Walk:
    def __init__(self, connection: psycopg.Connection[Any], lineage: Graph, where: dict[str, str]) -> None:
        self.connection, self.lineage, self.where = connection, lineage, where
        self._types: dict[str, dict[str, str]] = {}

    def records_of(self, node: Node) -> list[tuple[Node, list[str] | None]]:
        """What the node is made of, but for clocks and settings: they hold no records."""
        return [
            (parent, columns)
            for parent, columns in self.lineage.reaching(node)
            if columns != [] and not parent.relation.startswith("ops.")
        ]

    def order(self, start: Node) -> tuple[list[tuple[Node, int]], set[tuple[str, str]]]:
        """Every node below `start` with the length of the longest way to it, none before one it was reached from; and
        the detours: ways from one node to another that some third one leads to both of."""
        ways: dict[str, list[str]] = {}
        waiting = [start.id]
        while waiting:
            name = waiting.pop()
            if name not in ways:
                parents = self.records_of(self.lineage.nodes[name])
                ways[name] = [parent.id for parent, columns in parents if columns is not None]
                waiting += ways[name]
        detours = {
            (between, name) for its in ways.values() for between in its for name in ways.get(between, ()) if name in its
        }
        depth = {start.id: 0}
        waiting = [start.id]
        while waiting:
            name = waiting.pop()
            for parent in ways[name]:
                if (name, parent) not in detours and depth.get(parent, 0) <= depth[name]:
                    depth[parent] = depth[name] + 1
                    waiting.append(parent)
        del depth[start.id]
        return [
            (self.lineage.nodes[name], far) for name, far in sorted(depth.items(), key=lambda item: item[1])
        ], detours

    def leading(self, parent: Node, columns: Sequence[str], values: list[str], number: int) -> _Found | None:
        """The rows of `parent` that lead to these values; None where there are none, or it lacks a column."""
        mark = f"values_{number}"
        conditions = [self._leads(parent, column, mark) for column in columns]
        if not values or any(condition is None for condition in conditions):
            return None
        names = " or ".join(column.replace("..", " to ") for column in columns)
        words = f"{names} {_values_words(values)}"
        return _Found(" or ".join(f"({condition})" for condition in conditions), {mark: values}, words)

    def _leads(self, parent: Node, column: str, mark: str) -> str | None:
        """SQL that is true for rows whose `column` leads to one of the values; None where the relation lacks it."""
        since = column.startswith("since ")
        first, _, last = column.removeprefix("since ").partition("..")
        types = self.types(parent)
        if first not in types or (last and last not in types):
            return None
        wanted = f"%({mark})s::text[]::{types[first]}[]"
        if last:
            ends = f"({_name(last)} is null or {_name(last)} >= value)"
            return f"exists (select from unnest({wanted}) as value where {_name(first)} <= value and {ends})"
        return f"{_name(first)} <= any({wanted})" if since else f"{_name(first)} = any({wanted})"

    def types(self, node: Node) -> dict[str, str]:
        """The relation's columns with their types; none where it is not there (or not published yet)."""
        if node.relation not in self._types:
            rows = self.connection.execute(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute"
                " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
                (node.relation,),
            )
            self._types[node.relation] = dict(rows.fetchall())
        return self._types[node.relation]

    def look(self, node: Node, found: Sequence[tuple[_Found, Node]], depth: int, *, cut: bool) -> Level:
        """Count the rows and show the first."""
        types = self.types(node)
        sql, params, narrowed = self._where(node, found)
        words = frozenset().union(*(of.words for _, of in found))
        named = [name for name in types if name in words and types[name].startswith(_TELLING)]
        amounts = [] if node.stored else [name for name in named if _adds_up(name, types[name])]
        totals = "".join(f", sum({_name(name)})" for name in amounts)
        row = self.connection.execute(f"select count(*){totals} from {node.relation} where {sql}".encode(), params)
        count, *sums = row.fetchone() or (0,)
        columns = self._columns(node, named, types)
        shown = self.connection.execute(
            f"select {', '.join(_shown(name) for name in columns)} from {node.relation} where {sql}"
            f" order by {', '.join(_name(name) for name in (node.key or columns[:1]))} limit {ROWS_SHOWN}".encode(),
            params,
        ).fetchall()
        because = [" or ".join(dict.fromkeys(each.words for each, _ in found))]
        because += [f"{name} {value}" for name, value in narrowed.items()]
        above = ", ".join(dict.fromkeys(of.relation for _, of in found))
        return Level(
            node.relation, above, " and ".join(because), depth, count, tuple(columns), tuple(shown),
            _telling(amounts, sums),
            node.stored, cut,
        )  # fmt: skip

    def _columns(self, node: Node, named: Sequence[str], types: Mapping[str, str]) -> list[str]:
        if node.stored:
            return [name for name in ("id", "updated_at", "sync_id", "payload_hash", "deleted_at") if name in types]
        scope = [node.scope] if node.scope is not None and node.scope in types else []
        wanted = [*(name for name in node.key if name in types), *scope, *named] or list(types)[:1]
        return list(dict.fromkeys(wanted))[:COLUMNS_SHOWN]

    def scope_of(self, node: Node, found: Sequence[tuple[_Found, Node]]) -> tuple[list[str], bool]:
        """The values of the node's scope among these rows, and whether there are more than are followed."""
        sql, params, _ = self._where(node, found)
        scope = _name(str(node.scope))
        rows = self.connection.execute(
            f"select distinct {scope}::text from {node.relation} where {sql} and {scope} is not null"
            f" order by 1 limit {VALUES_MOST + 1}".encode(),
            params,
        ).fetchall()
        values = [value for (value,) in rows]
        return values[:VALUES_MOST], len(values) > VALUES_MOST

    def _where(self, node: Node, found: Sequence[tuple[_Found, Node]]) -> tuple[str, dict[str, Any], dict[str, str]]:
        """The rows found, from whichever relation, narrowed; the SQL, its parameters, and what narrowed it."""
        here = {name: value for name, value in self.where.items() if name in self.types(node)}
        more = "".join(f" and {_name(name)}::text = %(where_{name})s" for name in here)
        params: dict[str, Any] = {f"where_{name}": value for name, value in here.items()}
        for each, _ in found:
            params |= each.params
        return f"({' or '.join(each.sql for each, _ in found)}){more}", params, here


def _name(column: str) -> str:
    """A column as SQL; the names are the project's own, and anything odd in them is an error."""
    if not _WORD.fullmatch(column):
        raise DataFailure(f"{column!r} is not a column's name")
    return f'"{column}"'


def _telling(columns: Sequence[str], totals: Sequence[Decimal | None]) -> tuple[tuple[str, Decimal], ...]:
    """The totals that say something: known, and each once (an amount in company currency is often the same)."""
    found: dict[Decimal, str] = {}
    for column, total in zip(columns, totals, strict=True):
        if total is not None:
            found.setdefault(Decimal(total), column)
    return tuple((column, total) for total, column in found.items())


def _adds_up(column: str, kind: str) -> bool:
    """Whether a total of the column says something: an amount or a count, no rate and no price."""
    return column.endswith(_AMOUNTS) and kind.startswith(("numeric", "integer", "bigint"))


def _shown(column: str) -> str:
    return "left(encode(payload_hash, 'hex'), 12)" if column == "payload_hash" else f"{_name(column)}::text"


def _values_words(values: Sequence[str]) -> str:
    if len(values) == 1:
        return values[0]
    if len(values) <= 3:
        return ", ".join(values)
    if _DAY.fullmatch(values[0]):
        return f"{values[0]} … {values[-1]} ({len(values):,} days)"
    return f"of the {len(values):,} found"
