"""Oracle's meaning in SQLite's words: functions, dates, labels of a SuiteQL query.

Belongs here: rewriting a parsed query whose columns are known. Does not belong here: what is refused and in which
order rows come (`suiteql.py`), the functions themselves (`database.py`).
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp

from sandbox.netsuite.catalog import STATUS_LABEL
from sandbox.netsuite.database import format_parts, to_date
from sandbox.netsuite.errors import bad_query
from sandbox.netsuite.kinds import DATES, column_of, kind_of

_NATIVE_FORMAT = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S", "DDD": "%j"}
_DAY = 86_400


class Rewriter:
    """Oracle's meaning in SQLite's words. Works from the leaves up, so that kinds are read before they go."""

    def rewrite(self, tree: exp.Query) -> None:
        nodes = list(tree.walk())
        for node in reversed(nodes):
            new = self._new(node)
            if new is not None and new is not node:
                kind = kind_of(node)
                if kind is not None:
                    new.meta["kind"] = kind
                node.replace(new)

    def _new(self, node: exp.Expr) -> exp.Expr | None:
        if isinstance(node, exp.Anonymous):
            return self._function(str(node.this).upper(), node)
        if isinstance(node, exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            self._dated(node.this, [node.expression])
            self._dated(node.expression, [node.this])
        elif isinstance(node, exp.Between):
            self._dated(node.this, [node.args["low"], node.args["high"]])
        elif isinstance(node, exp.In):
            self._dated(node.this, list(node.expressions))
        elif isinstance(node, exp.Add | exp.Sub):
            return self._sum(node)
        elif isinstance(node, exp.DPipe):
            joined = exp.DPipe(this=_text(node.this), expression=_text(node.expression), safe=True)
            return call("NULLIF", joined, exp.Literal.string(""))
        elif isinstance(node, exp.Sum):
            if not isinstance(node.parent, exp.Window):
                return exp.Round(this=node.copy(), decimals=exp.Literal.number(6))
        elif isinstance(node, exp.GroupConcat):
            # This SQLite cannot order inside an aggregate.
            if isinstance(node.this, exp.Order):
                node.set("this", node.this.this)
        elif isinstance(node, exp.Extract):
            unit = {"YEAR": "%Y", "MONTH": "%m", "DAY": "%d", "HOUR": "%H", "MINUTE": "%M"}.get(node.name.upper())
            if unit is None:
                raise bad_query(f"EXTRACT({node.name}) is not supported.")
            return exp.cast(_strftime(unit, node.expression), "INT")
        elif isinstance(node, exp.Ordered):
            self._nulls(node)
        return None

    def _function(self, name: str, node: exp.Anonymous) -> exp.Expr | None:
        given = list(node.expressions)
        if name == "NS_BUILTIN_DF":
            return _label(_only(given, "BUILTIN.DF"))
        if name == "NS_BUILTIN_CF":
            return _criteria(_only(given, "BUILTIN.CF"))
        if name.startswith("NS_BUILTIN_"):
            # One subsidiary, one currency: consolidated is as it is.
            if not given:
                raise bad_query(f"BUILTIN.{name[11:]} needs a field.")
            return given[0].copy()
        if name == "NS_TO_CHAR":
            return self._to_char(given)
        if name == "NS_TO_DATE":
            return self._to_date(given)
        if name == "NS_TRUNC":
            return self._trunc(given)
        if name == "NS_CONCAT":
            joined: exp.Expr = _text(given[0])
            for part in given[1:]:
                joined = exp.DPipe(this=joined, expression=_text(part), safe=True)
            return call("NULLIF", joined, exp.Literal.string(""))
        if name in ("NS_LPAD", "NS_RPAD") and len(given) == 2:
            return call(name, *given, exp.Literal.string(" "))
        return None

    def _to_char(self, given: list[exp.Expr]) -> exp.Expr:
        if not 1 <= len(given) <= 2:
            raise bad_query("TO_CHAR takes a value and a format.")
        value, form = given[0], given[1] if len(given) == 2 else None
        if kind_of(value) not in DATES:
            if form is not None and kind_of(value) is None and not isinstance(value, exp.Column):
                return call("NS_TO_CHAR", value, form)
            return call("NULLIF", _text(value), exp.Literal.string(""))
        if form is None:
            form = exp.Literal.string("MM/DD/YYYY")
        if isinstance(form, exp.Literal):
            parts = _format(form.name)
            if all(kind == "literal" or text in _NATIVE_FORMAT for kind, text in parts):
                native = "".join(
                    text.replace("%", "%%") if kind == "literal" else _NATIVE_FORMAT[text] for kind, text in parts
                )
                return _strftime(native, value)
        return call("NS_TO_CHAR", value, form)

    def _to_date(self, given: list[exp.Expr]) -> exp.Expr:
        if not 1 <= len(given) <= 2:
            raise bad_query("TO_DATE takes a text and a format.")
        form = given[1] if len(given) == 2 else exp.Literal.string("MM/DD/YYYY")
        if isinstance(given[0], exp.Literal) and isinstance(form, exp.Literal):
            return _date_literal(given[0].name, form.name)
        return call("NS_TO_DATE", given[0], form)

    def _trunc(self, given: list[exp.Expr]) -> exp.Expr:
        if not 1 <= len(given) <= 2:
            raise bad_query("TRUNC takes a value and a unit.")
        value, unit = given[0], given[1] if len(given) == 2 else None
        if kind_of(value) in DATES:
            return call("NS_TRUNC_DATE", value, unit if unit is not None else exp.null())
        return call("NS_TRUNC_NUMBER", value, unit if unit is not None else exp.Literal.number(0))

    def _sum(self, node: exp.Add | exp.Sub) -> exp.Expr | None:
        left, right = node.this, node.expression
        if isinstance(right, exp.Interval):
            unit = right.unit.name.upper() if right.unit is not None else "DAY"
            count = int(right.this.name) * (-1 if isinstance(node, exp.Sub) else 1)
            if unit in ("MONTH", "YEAR"):
                months = exp.Literal.number(count * (12 if unit == "YEAR" else 1))
                return call("NS_ADD_MONTHS", left, months)
            seconds = {"DAY": _DAY, "HOUR": 3600, "MINUTE": 60, "SECOND": 1}.get(unit)
            if seconds is None:
                raise bad_query(f"INTERVAL {unit} is not supported.")
            return exp.Add(this=left.copy(), expression=exp.Literal.number(count * seconds))
        kinds = (kind_of(left), kind_of(right))
        if kinds[0] in DATES and kinds[1] in DATES:
            if isinstance(node, exp.Add):
                raise bad_query("ORA-00975: date + date not allowed")
            days = exp.Sub(this=left.copy(), expression=right.copy())
            return exp.Div(this=exp.paren(days), expression=exp.Literal.number("86400.0"))
        if kinds[0] in DATES or kinds[1] in DATES:
            date, days_ = (left, right) if kinds[0] in DATES else (right, left)
            seconds_ = exp.Mul(this=exp.paren(days_.copy()), expression=exp.Literal.number(_DAY))
            return type(node)(this=date.copy(), expression=exp.paren(seconds_))
        return None

    def _dated(self, date: exp.Expr | None, others: list[exp.Expr]) -> None:
        """A text compared with a date is a date in the user's own format."""
        if kind_of(date) not in DATES:
            return
        for other in others:
            if isinstance(other, exp.Literal) and other.is_string:
                other.replace(_date_literal(other.name, "MM/DD/YYYY"))

    def _nulls(self, node: exp.Ordered) -> None:
        """Keys are never NULL; saying where NULLs go would keep SQLite from using the key's order."""
        inner = node.this
        if isinstance(inner, exp.Column):
            select = node.find_ancestor(exp.Select)
            if not inner.table and select is not None:
                inner = next((p.unalias() for p in select.selects if p.alias_or_name == inner.name), inner)
            known = column_of(inner)
            if known is not None and known.name in ("id", "uniquekey", "item", "location", "transaction"):
                node.set("nulls_first", not node.args.get("desc"))


# Builders -----------------------------------------------------------------------------------------------


def sqlite_text(tree: exp.Expr, *, last: bool = False) -> str:
    """The tree as SQLite text. `last`: it is not needed afterwards, and may be changed on the way."""
    return tree.sql(dialect="sqlite", identify=True, copy=not last)


def call(name: str, *given: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[part.copy() for part in given])


def _text(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Literal) and node.is_string:
        return node.copy()
    return call("NS_TEXT", node)


def _strftime(form: str, value: exp.Expr) -> exp.Expr:
    return call("STRFTIME", exp.Literal.string(form), value, exp.Literal.string("unixepoch"))


def _format(form: str) -> list[tuple[str, str]]:
    try:
        return format_parts(form)
    except ValueError as error:
        raise bad_query(str(error)) from None


def _date_literal(text: str, form: str) -> exp.Expr:
    try:
        seconds = to_date(text, form)
    except ValueError as error:
        raise bad_query(str(error)) from None
    literal = exp.Literal.number(seconds)
    literal.meta["kind"] = "datetime"
    return exp.paren(literal) if seconds is not None and seconds < 0 else literal


def _only(given: list[exp.Expr], name: str) -> exp.Expr:
    if len(given) != 1:
        raise bad_query(f"{name} takes one field.")
    return given[0]


def _label(node: exp.Expr) -> exp.Expr:
    """What `BUILTIN.DF` shows for a field."""
    known = column_of(node)
    if known is None:
        return node.copy()
    value = sqlite_text(node)
    if known.name == "status" and isinstance(node, exp.Column):
        kind = sqlite_text(exp.column("type", table=node.table, quoted=True))
        return _raw(STATUS_LABEL.format(type=kind, status=value))
    if known.label is None:
        if known.kind in DATES:
            return _strftime("%m/%d/%Y", node)
        return node.copy()
    return _raw(known.label.format(*[value] * known.label.count("{}")))


def _criteria(node: exp.Expr) -> exp.Expr:
    """What `BUILTIN.CF` gives for a field: a status with its type, everything else as it is."""
    known = column_of(node)
    if known is not None and known.name == "status" and isinstance(node, exp.Column):
        kind = exp.column("type", table=node.table, quoted=True)
        colon = exp.DPipe(this=kind, expression=exp.Literal.string(":"), safe=True)
        return exp.paren(exp.DPipe(this=colon, expression=node.copy(), safe=True))
    return node.copy()


def _raw(sql: str) -> exp.Expr:
    """Our own SQLite text inside a tree."""
    return exp.paren(sqlglot.parse_one(sql, read="sqlite"))
