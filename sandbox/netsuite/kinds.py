"""What the parts of a SuiteQL query hold: dates above all, since they are numbers underneath.

Belongs here: kinds of expressions, from the catalog upwards. Does not belong here: rewriting (`rewrite.py`).
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from sandbox.netsuite.catalog import TABLES, Column

DATES = ("date", "datetime")
DATE_FUNCTIONS = frozenset({"NS_TO_DATE", "NS_SYSDATE", "NS_ADD_MONTHS", "NS_LAST_DAY"})


def mark_kinds(scopes: list[Scope]) -> None:
    """Leave on every column what it holds (`kind`) and which table's column it is (`column`, as "table.name").
    Only words: what is left on a node is copied with it."""
    derived: dict[int, dict[str, tuple[str | None, str | None]]] = {}
    for scope in scopes:
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table) and source.name in TABLES:
                known = TABLES[source.name].column(column.name)
                if known is not None:
                    column.meta["kind"], column.meta["column"] = known.kind, f"{source.name}.{known.name}"
            elif isinstance(source, Scope):
                kind, origin = derived.get(id(source), {}).get(column.name, (None, None))
                column.meta["kind"], column.meta["column"] = kind, origin
        query = scope.expression
        if isinstance(query, exp.Query):
            outputs = {}
            for projection in query.selects:
                inner = projection.unalias()
                origin = inner.meta.get("column") if isinstance(inner, exp.Column) else None
                outputs[projection.alias_or_name] = (kind_of(inner), origin)
            derived[id(scope)] = outputs


def column_of(node: Any) -> Column | None:
    """The catalog column a node is, or None where it is anything else."""
    origin = node.meta.get("column") if isinstance(node, exp.Column) else None
    if not origin:
        return None
    table, _, name = origin.partition(".")
    return TABLES[table].column(name)


def kind_of(node: Any) -> str | None:
    """What a node holds: a catalog kind, "number", or None where it does not matter."""
    if not isinstance(node, exp.Expr):
        return None
    left = node.meta.get("kind")
    if left or isinstance(node, exp.Column):
        return left
    if isinstance(node, exp.Alias | exp.Paren | exp.Max | exp.Min | exp.Window | exp.Ordered | exp.Distinct):
        return kind_of(node.this)
    if isinstance(node, exp.Anonymous):
        name = str(node.this).upper()
        if name in DATE_FUNCTIONS:
            return "datetime"
        if name == "NS_TRUNC" and node.expressions and kind_of(node.expressions[0]) in DATES:
            return "date"
        if name in ("NS_TRUNC", "NS_TO_NUMBER", "NS_MONTHS_BETWEEN", "NS_BUILTIN_CONSOLIDATE"):
            return "number"
        return None
    if isinstance(node, exp.Coalesce):
        return next((kind for part in [node.this, *node.expressions] if (kind := kind_of(part))), None)
    if isinstance(node, exp.Case):
        results = [branch.args.get("true") for branch in node.args.get("ifs", [])] + [node.args.get("default")]
        return next((kind for part in results if (kind := kind_of(part))), None)
    if isinstance(node, exp.Add | exp.Sub):
        left, right = kind_of(node.this), kind_of(node.expression)
        if left in DATES and right in DATES:
            return "number"
        return left if left in DATES else right if right in DATES else "number"
    if isinstance(node, exp.Subquery):
        inner = node.this
        return kind_of(inner.selects[0]) if isinstance(inner, exp.Query) and inner.selects else None
    if isinstance(node, exp.Literal):
        return "text" if node.is_string else "number"
    if isinstance(node, exp.Sum | exp.Count | exp.Avg | exp.Mul | exp.Div | exp.Neg | exp.Round | exp.Abs):
        return "number"
    return None
