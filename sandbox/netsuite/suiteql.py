"""SuiteQL: understanding a query, and the SQLite statement that answers it.

Belongs here: the dialect (Oracle's functions, `BUILTIN`, `ROWNUM`, dates), what it refuses, which row orders
are settled. Does not belong here: running statements (`database.py`), paging (`side.py`).

The text is parsed as Oracle SQL by sqlglot; functions whose meaning differs are renamed first, so that the
parser leaves them alone, and rewritten afterwards by the kind of their arguments. Dates are seconds of local
time underneath. A query whose ORDER BY does not settle the order of all rows gets a random tie-breaker drawn
anew for every request: two pages of it may repeat and miss rows, as the vendor warns.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.qualify_columns import qualify_columns, validate_qualify_columns
from sqlglot.optimizer.qualify_tables import qualify_tables
from sqlglot.optimizer.scope import traverse_scope
from sqlglot.schema import MappingSchema
from sqlglot.transforms import eliminate_join_marks

from sandbox.netsuite.catalog import TABLES
from sandbox.netsuite.errors import bad_query
from sandbox.netsuite.kinds import kind_of, mark_kinds
from sandbox.netsuite.rewrite import Rewriter, call, sqlite_text

# What it cannot read it says in the answer; sqlglot's own remarks would only fill the log.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

MAX_QUERY = 100_000
_TOKENS = re.compile(
    r"""'(?:[^']|'')*' | "[^"]*" | --[^\n]* | /\*.*?\*/
    | [A-Za-z_][\w$\#]* | \d+(?:\.\d+)?(?:[eE][+-]?\d+)? | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)
# The bound of a query that pages by key, and what stands in its place while all its pages are understood at once.
_BOUND = re.compile(r"(\b[a-z_]+\.[a-z_]+ > )([1-9]\d{0,14})(?=\)|\s)")
_ANY_BOUND = "987654321098765"
# Functions kept from the parser, and names for which another function does the same.
_OWN = frozenset(
    "TO_CHAR TO_DATE TO_TIMESTAMP TO_NUMBER TRUNC ADD_MONTHS LAST_DAY MONTHS_BETWEEN INITCAP LPAD RPAD "
    "REGEXP_LIKE CONCAT".split()
)
_SAME = {"NVL": "COALESCE", "TO_TIMESTAMP": "NS_TO_DATE"}
_NOW = frozenset({"SYSDATE", "CURRENT_DATE", "SYSTIMESTAMP", "CURRENT_TIMESTAMP"})
_BUILTINS = frozenset({"DF", "CF", "CONSOLIDATE", "CURRENCY_CONVERT", "CURRENCY"})
# What may be called by a name sqlglot does not know.
_CALLABLE = frozenset(
    "NS_TO_CHAR NS_TEXT NS_TO_DATE NS_TO_NUMBER NS_ADD_MONTHS NS_LAST_DAY NS_MONTHS_BETWEEN NS_TRUNC_DATE "
    "NS_TRUNC_NUMBER NS_REGEXP_LIKE NS_INITCAP NS_LPAD NS_RPAD NS_SYSDATE NS_TIE STRFTIME INSTR NULLIF".split()
)


@dataclass(frozen=True, slots=True)
class Keyset:
    """A query that pages by key: `ORDER BY key` with `key > bound`. `count_sql` counts its rows with a
    placeholder for the bound; `output` is the place of the key among the output columns."""

    count_sql: str
    bound: int
    output: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """`sql` takes limit and offset as its two parameters; `count_sql` takes none."""

    sql: str
    count_sql: str
    names: tuple[str, ...]
    kinds: tuple[str | None, ...]
    keyset: Keyset | None
    tables: tuple[str, ...] = field(default=())


def compile_query(text: str) -> Compiled:
    """The statement for a SuiteQL query. Raises `NetSuiteError` (400 INVALID_PARAMETER)."""
    if len(text) > MAX_QUERY:
        raise bad_query("The query is too long.")
    found = _BOUND.findall(text)
    if len(found) == 1:
        page = _page_of(_BOUND.sub(rf"\g<1>{_ANY_BOUND}", text))
        if page.keyset is not None and page.sql.count(_ANY_BOUND) == page.count_sql.count(_ANY_BOUND) == 1:
            bound = found[0][1]
            return replace(
                page,
                sql=page.sql.replace(_ANY_BOUND, bound),
                count_sql=page.count_sql.replace(_ANY_BOUND, bound),
                keyset=replace(page.keyset, bound=int(bound)),
            )
    return _understood(text)


@functools.lru_cache(maxsize=128)
def _page_of(text: str) -> Compiled:
    """A query that pages by key, understood once for all its pages."""
    return _understood(text)


def _understood(text: str) -> Compiled:
    try:
        return _compiled(text)
    except RecursionError:
        raise bad_query("The query is nested too deeply.") from None
    except SqlglotError as error:
        raise bad_query(f"Invalid or unsupported search ({_plain(str(error))}).") from None


def _compiled(text: str) -> Compiled:
    tree = _parsed(text)
    _check_tables(tree)
    for select in list(tree.find_all(exp.Select)):
        _rownum(select)
    given = _given_names(tree)
    tree = _qualified(tree)
    scopes = traverse_scope(tree)
    mark_kinds(scopes)
    for select in tree.find_all(exp.Select):
        _check_grouping(select)
    kinds = tuple(kind_of(projection) for projection in tree.selects)
    names = given or tuple(projection.alias_or_name for projection in tree.selects)
    Rewriter().rewrite(tree)
    for name in tree.find_all(exp.Anonymous):
        if str(name.this).upper() not in _CALLABLE:
            raise bad_query(f"Function '{name.this}' was not found.")
    order = _Order(tree)
    count_sql, keyset = _count(tree, order)
    order.settle()
    tables = tuple(sorted({table.name for table in tree.find_all(exp.Table) if table.name in TABLES}))
    limited = not isinstance(tree, exp.Select) or tree.args.get("limit") or tree.args.get("offset")
    sql = sqlite_text(tree, last=True)
    if limited:
        sql = f"SELECT * FROM ({sql})"
    return Compiled(f"{sql} LIMIT ? OFFSET ?", count_sql, names, kinds, keyset, tables)


# Parsing ------------------------------------------------------------------------------------------------------


def _parsed(text: str) -> exp.Query:
    try:
        statements = sqlglot.parse(_renamed(text), read="oracle")
    except SqlglotError as error:
        said = str(error).split("\n")[0].split(". Line")[0]
        raise bad_query(f"Invalid or unsupported search. Syntax error: {_plain(said)}.") from None
    if len(statements) != 1 or statements[0] is None:
        raise bad_query("Exactly one query is expected.")
    tree = statements[0]
    if not isinstance(tree, exp.Query):
        raise bad_query("Only SELECT is supported.")
    for forbidden in tree.find_all(exp.Into, exp.Lock, exp.DML, exp.DDL, exp.Command):
        if not isinstance(forbidden, exp.Query):
            raise bad_query("Only SELECT is supported.")
    for name in tree.find_all(exp.Identifier):
        name.set("this", name.this.lower())
        name.set("quoted", True)
    return tree


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


def _renamed(text: str) -> str:
    """The text with our own functions under names the parser does not know."""
    tokens = [token for token in _TOKENS.findall(text) if not token.startswith(("--", "/*"))]
    out: list[str] = []
    at = 0
    while at < len(tokens):
        token, upper = tokens[at], tokens[at].upper()
        following = _next(tokens, at)
        if upper == "BUILTIN" and following is not None and tokens[following] == ".":
            name_at = _next(tokens, following)
            name = tokens[name_at].upper() if name_at is not None else ""
            if name not in _BUILTINS:
                raise bad_query(f"Function 'BUILTIN.{name}' is not supported.")
            out.append(f"NS_BUILTIN_{name}")
            at = (name_at or at) + 1
            continue
        called = following is not None and tokens[following] == "("
        if called and upper in _SAME:
            out.append(_SAME[upper])
        elif called and upper in _OWN:
            out.append(f"NS_{upper}")
        elif upper in _NOW and not called:
            out.append("NS_SYSDATE()")
        elif upper == "DATE" and following is not None and tokens[following].startswith("'"):
            out.append(f"NS_TO_DATE({tokens[following]}, 'YYYY-MM-DD')")
            at = following + 1
            continue
        else:
            out.append(token)
        at += 1
    return "".join(out)


def _next(tokens: list[str], at: int) -> int | None:
    at += 1
    while at < len(tokens) and tokens[at].isspace():
        at += 1
    return at if at < len(tokens) else None


# Names and kinds ----------------------------------------------------------------------------------------------


@functools.cache
def _schema() -> MappingSchema:
    kinds = {"int": "int", "number": "double", "text": "text", "bool": "text", "date": "date", "datetime": "timestamp"}
    tables: dict[str, object] = {
        name: {column.name: kinds[column.kind] for column in table.columns} for name, table in TABLES.items()
    }
    return MappingSchema(tables, normalize=False)


def _check_tables(tree: exp.Query) -> None:
    named = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if table.name not in named and (table.name not in TABLES or table.db):
            raise bad_query(f"Record '{table.name}' was not found.")


def _qualified(tree: exp.Query) -> exp.Query:
    try:
        found = qualify_columns(qualify_tables(tree), _schema(), expand_alias_refs=False)
        validate_qualify_columns(found)
        outer = any(column.args.get("join_mark") for column in found.find_all(exp.Column))
        joined: exp.Expr = eliminate_join_marks(found) if outer else found
    except OptimizeError as error:
        raise bad_query(_unknown_field(str(error), tree)) from None
    except (SqlglotError, AssertionError) as error:
        raise bad_query(f"Invalid or unsupported search ({_plain(str(error))}).") from None
    assert isinstance(joined, exp.Query)
    return joined


def _unknown_field(said: str, tree: exp.Query) -> str:
    named = re.search(r"[Cc]olumn:? '?([\w.$#\"]+)'?", said)
    name = named.group(1).strip('"') if named else "?"
    if "mbiguous" in said:
        return f"Field '{name}' is ambiguous."
    tables = {table.alias_or_name: table.name for table in tree.find_all(exp.Table)}
    owner = next((column.table for column in tree.find_all(exp.Column) if column.name == name), "")
    record = tables.get(owner) or owner or next(iter(tables.values()), "dual")
    return f"Field '{name}' for record '{record}' was not found. Reason: NOT_FOUND - Field not found."


def _given_names(tree: exp.Query) -> tuple[str, ...]:
    """The names of the output columns: an expression without an alias is `expr1`, `expr2`, … Nothing where a
    star still has to be written out."""
    if any(projection.is_star for projection in tree.selects):
        return ()
    return tuple(
        projection.alias_or_name if isinstance(projection, exp.Alias | exp.Column) else f"expr{index}"
        for index, projection in enumerate(tree.selects, start=1)
    )


# Rules --------------------------------------------------------------------------------------------------------


def _rownum(select: exp.Select) -> None:
    """`ROWNUM <= n` becomes a limit; ROWNUM as a value becomes a row number."""
    where = select.args.get("where")
    if where is not None:
        kept, limit = [], None
        for part in _conjuncts(where.this):
            if isinstance(part, exp.LTE | exp.LT) and _is_rownum(part.this) and _is_whole(part.expression):
                limit = int(part.expression.this) - (1 if isinstance(part, exp.LT) else 0)
            elif isinstance(part, exp.EQ) and _is_rownum(part.this) and _is_whole(part.expression):
                limit = min(1, int(part.expression.this))
            else:
                kept.append(part)
        if limit is not None:
            if select.args.get("group") or any(projection.find(exp.AggFunc) for projection in select.expressions):
                raise bad_query("ROWNUM cannot be combined with aggregation in the same query.")
            select.set("where", exp.Where(this=exp.and_(*kept, copy=False)) if kept else None)
            select.limit(max(0, limit), copy=False)
    for column in list(select.find_all(exp.Column)):
        if _is_rownum(column) and column.find_ancestor(exp.Select) is select:
            number = exp.Window(this=exp.RowNumber())
            column.replace(exp.alias_(number, "rownum", quoted=True) if column.parent is select else number)


def _is_whole(node: Any) -> bool:
    return isinstance(node, exp.Literal) and node.is_int


def _is_rownum(node: Any) -> bool:
    return isinstance(node, exp.Column) and node.name == "rownum" and not node.table


def _check_grouping(select: exp.Select) -> None:
    """Oracle refuses a column that is neither grouped nor aggregated."""
    group = select.args.get("group")
    if group is None and not any(_aggregates(projection) for projection in select.expressions):
        return
    grouped = {part.sql() for part in (group.expressions if group is not None else [])}

    def check(node: exp.Expr) -> None:
        if isinstance(node, exp.AggFunc | exp.Subquery) or node.sql() in grouped:
            return
        if isinstance(node, exp.Column):
            raise bad_query(f"Field '{node.name}' is not a GROUP BY expression.")
        for part in node.iter_expressions():
            check(part)

    for projection in select.expressions:
        check(projection.unalias())


def _aggregates(node: exp.Expr) -> bool:
    if isinstance(node, exp.Window | exp.Subquery):
        return False
    if isinstance(node, exp.AggFunc):
        return True
    return any(_aggregates(part) for part in node.iter_expressions())


class _Order:
    """The order of the whole result: whether it is settled, and the tie-breaker where it is not."""

    def __init__(self, tree: exp.Query) -> None:
        self.tree = tree
        order = tree.args.get("order")
        self.terms: list[exp.Ordered] = list(order.expressions) if order is not None else []
        self.columns = [self._column(term.this) for term in self.terms]
        self.unique = isinstance(tree, exp.Select) and self._unique(tree)

    def settle(self) -> None:
        if self.unique:
            return
        if not isinstance(self.tree, exp.Select) or self.tree.args.get("distinct"):
            # A tie-breaker is no output column, so it cannot order a set; left as SQLite finds it.
            return
        self.tree.order_by(exp.Ordered(this=call("NS_TIE"), nulls_first=True), copy=False)

    def _column(self, node: exp.Expr) -> tuple[str, str] | None:
        if isinstance(node, exp.Column) and not node.table:
            projection = next((p for p in self.tree.selects if p.alias_or_name == node.name), None)
            node = projection.unalias() if projection is not None else node
        if isinstance(node, exp.Column) and node.table:
            return node.table, node.name
        return None

    def _unique(self, select: exp.Select) -> bool:
        group = select.args.get("group")
        if group is not None:
            grouped = {(part.table, part.name) for part in group.expressions if isinstance(part, exp.Column)}
            return len(grouped) == len(group.expressions) and grouped <= set(self.columns)
        if any(_aggregates(projection) for projection in select.expressions):
            return True
        sources = [select.args["from_"].this] if select.args.get("from_") else []
        sources += [join.this for join in select.args.get("joins") or []]
        if not sources or not all(isinstance(source, exp.Table) and source.name in TABLES for source in sources):
            return False
        pairs = set(_equalities(select))
        for source in sources:
            key = TABLES[source.name].key
            by_order = all((source.alias_or_name, column) in self.columns for column in key)
            # Joined on its whole key, a table adds no row to those it is joined to.
            by_join = source is not sources[0] and all((source.alias_or_name, column) in pairs for column in key)
            if not by_order and not by_join:
                return False
        return True


def _equalities(select: exp.Select) -> Iterator[tuple[str, str]]:
    conditions = [join.args.get("on") for join in select.args.get("joins") or []]
    where = select.args.get("where")
    conditions.append(where.this if where is not None else None)
    for condition in conditions:
        if condition is None:
            continue
        for part in _conjuncts(condition):
            if (
                isinstance(part, exp.EQ)
                and isinstance(part.this, exp.Column)
                and isinstance(part.expression, exp.Column)
            ):
                yield part.this.table, part.this.name
                yield part.expression.table, part.expression.name


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    """The parts of a condition that must all hold, out of their parentheses."""
    inner = condition.unnest()
    if not isinstance(inner, exp.And):
        return [inner]
    return [*_conjuncts(inner.this), *_conjuncts(inner.expression)]


def _count(tree: exp.Query, order: _Order) -> tuple[str, Keyset | None]:
    counted = tree.copy()
    counted.set("order", None)
    plain = (
        isinstance(counted, exp.Select)
        and not any(counted.args.get(key) for key in ("group", "distinct", "limit", "offset", "having"))
        and not any(_aggregates(projection) for projection in counted.expressions)
    )
    if plain:
        counted.set("expressions", [exp.Literal.number(1)])
    sql = f"SELECT count(*) FROM ({sqlite_text(counted)})"
    if not plain or not order.unique or len(order.columns) != 1 or order.terms[0].args.get("desc"):
        return sql, None
    key = order.columns[0]
    where = counted.args.get("where")
    if key is None or where is None:
        return sql, None
    selected = [projection.unalias() for projection in tree.selects]
    outputs = [
        index
        for index, column in enumerate(selected)
        if isinstance(column, exp.Column) and (column.table, column.name) == key
    ]
    for part in _conjuncts(where.this):
        if (
            isinstance(part, exp.GT)
            and isinstance(part.this, exp.Column)
            and (part.this.table, part.this.name) == key
            and isinstance(part.expression, exp.Literal)
            and part.expression.name.isdigit()
            and outputs
        ):
            bound = int(part.expression.name)
            part.set("expression", exp.Placeholder())
            return sql, Keyset(f"SELECT count(*) FROM ({sqlite_text(counted)})", bound, outputs[0])
    return sql, None
