"""`ops explain`: where a number's change lies, for a published metric or for anyone's file.

Belongs here: showing the answer. Does not belong here: finding it (`ops_platform.watch.explain`).
"""

from __future__ import annotations

import csv
import json
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ops_platform.watch.explain import ByDimension, Explanation, Measured, Node
    from ops_platform.watch.search import Found

_LINES = 8  # values of a dimension that are shown


def explain_metric(metric: str, *, day: date | None, against: str, dimension: str | None, as_json: bool) -> int:
    """Print where the metric's change lies."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.watch.explain import explain

    prepare_database()
    with connect(application="ops explain") as connection:
        found = explain(connection, metric, day, against, dimension=dimension)
    if as_json:
        click.echo(json.dumps(explanation_json(found), indent=2, default=str))
        return 0
    for line in explanation_lines(found):
        click.echo(line)
    return 0


def explain_file(file: Path, *, depth: int | None, most: int, as_json: bool) -> int:
    """Print the slices of a file that moved apart from the rest: CSV on standard output, remarks on standard error."""
    from ops_platform.watch.explain import explain_csv

    answer = explain_csv(file, depth=depth, most=most)
    found = answer.found
    remarks = [*found.notes]
    if answer.set_aside:
        remarks.append(f"{answer.set_aside} of {answer.rows} rows without two finite numbers were set aside")
    if as_json:
        said = {**_found_json(found), "rows": answer.rows, "rows_set_aside": answer.set_aside, "notes": remarks}
        click.echo(json.dumps(said, indent=2))
        return 0
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["element", "share", "effect", "real", "predict"])
    for part in found.slices:
        share = "" if part.share is None else f"{part.share:.4f}"
        writer.writerow([part.element, share, f"{part.effect:.6g}", f"{part.actual:.6g}", f"{part.expected:.6g}"])
    if not found.slices:
        remarks.insert(0, "no slice moved apart from the rest")
    left = "all of a change of zero" if found.unexplained_share is None else f"{100 * found.unexplained_share:.1f} %"
    remarks.append(
        f"unexplained: {left} of {found.effect:+.6g} (slices of up to {found.depth} dimensions over"
        f" {found.leaves} leaves); a slice is where a change lies, not why"
    )
    for remark in remarks:
        click.echo(remark, err=True)
    return 0


def explanation_lines(found: Explanation) -> list[str]:
    """The explanation as lines for a terminal."""
    unit = found.metric
    lines = [
        f"{unit.label} ({unit.id}), {found.day}: {_amount(found.after, unit)} against {_amount(found.before, unit)}"
        f" ({_signed(found.change, unit)}{_percent(found.change, found.before)})",
        f"against {found.against}",
    ]
    if found.tree:
        lines += ["", f"= {found.formula}"]
        for top in found.tree:
            lines += [_node_line(node, unit) for node in top.walk()]
        if found.unexplained:
            lines.append(f"  not in these parts  {_signed(found.unexplained, unit)}{_of(found.unexplained, found)}")
    for told in found.dimensions:
        lines += ["", *_dimension_lines(told, found)]
    if found.slices is not None:
        lines += ["", *_slice_lines(found.slices, found)]
    if found.notes:
        lines += [""]
        lines += [f"· {note}" for note in found.notes]
    return lines


def _node_line(node: Node, whole: Measured) -> str:
    share = "" if node.share is None else f"  {100 * node.share:.0f} % of the change"
    own = f"{_amount(node.before, node.metric)} → {_amount(node.after, node.metric)}"
    if node.before is None:
        own = _amount(node.after, node.metric)
    formula = f"  = {node.formula}" if node.children else ""
    indent = "  " * node.depth
    return f"{indent}{node.metric.label}: {own}  effect {_signed(node.effect, whole)}{share}{formula}"


def _dimension_lines(told: ByDimension, found: Explanation) -> list[str]:
    whole = found.metric
    lines = [f"by {told.dimension}"]
    mixes = {one.value: one for one in told.mix}
    volumes = {one.value: one for one in told.volume}
    for effect in told.effects[:_LINES]:
        text = (
            f"  {effect.part}: {_amount(effect.before, whole)} → {_amount(effect.after, whole)}"
            f"  effect {_signed(effect.effect, whole)}{_of(effect.effect, found)}"
        )
        if effect.part in mixes:
            one = mixes[effect.part]
            text += f"  (own rate {_signed(one.rate, whole)}, mix {_signed(one.mix, whole)})"
        if effect.part in volumes:
            part = volumes[effect.part]
            text += (
                f"  (volume {_signed(part.volume, whole)}, mix {_signed(part.mix, whole)},"
                f" price {_signed(part.price, whole)})"
            )
        lines.append(text)
    rest = told.effects[_LINES:]
    if rest:
        effect_of_rest = sum((one.effect for one in rest), Decimal(0))
        lines.append(f"  {len(rest)} others: effect {_signed(effect_of_rest, whole)}{_of(effect_of_rest, found)}")
    if told.unexplained:
        lines.append(f"  not in these values: {_signed(told.unexplained, whole)}{_of(told.unexplained, found)}")
    return lines


def _slice_lines(slices: Found, found: Explanation) -> list[str]:
    whole = found.metric
    lines = ["slices that moved apart from the rest"]
    for part in slices.slices:
        share = "" if part.share is None else f"  {100 * part.share:.0f} % of the change"
        lines.append(
            f"  {part.element}: {_amount(_decimal(part.expected), whole)} → {_amount(_decimal(part.actual), whole)}"
            f"  effect {_signed(_decimal(part.effect), whole)}{share}"
        )
    if not slices.slices:
        lines.append("  none")
    if slices.unexplained_share is not None:
        lines.append(
            f"  in no slice: {_signed(_decimal(slices.unexplained), whole)}"
            f"  {100 * slices.unexplained_share:.0f} % of the change"
        )
    return lines


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The explanation for a script; amounts as text, exact."""

    def node(one: Node) -> dict[str, Any]:
        return {
            "metric_id": one.metric.id, "label": one.metric.label, "before": _text(one.before),
            "after": _text(one.after), "effect": _text(one.effect), "share": _text(one.share),
            "formula": one.formula, "parts": [node(child) for child in one.children],
        }  # fmt: skip

    return {
        "metric_id": found.metric.id,
        "label": found.metric.label,
        "unit": found.metric.unit,
        "date": found.day.isoformat(),
        "against": found.against,
        "before": _text(found.before),
        "after": _text(found.after),
        "change": _text(found.change),
        "formula": found.formula,
        "method": found.method,
        "parts": [node(one) for one in found.tree],
        "unexplained": _text(found.unexplained),
        "dimensions": [
            {
                "dimension": told.dimension,
                "values": [
                    {
                        "value": e.part, "before": _text(e.before), "after": _text(e.after), "effect": _text(e.effect),
                        **{n: _text(getattr(m, n)) for m in told.mix if m.value == e.part for n in ("rate", "mix")},
                        **{
                            n: _text(getattr(v, n))
                            for v in told.volume if v.value == e.part for n in ("volume", "mix", "price")
                        },
                    }
                    for e in told.effects
                ],
                "unexplained": _text(told.unexplained),
            }
            for told in found.dimensions
        ],
        "slices": None if found.slices is None else _found_json(found.slices),
        "notes": list(found.notes),
    }  # fmt: skip


def _found_json(found: Found) -> dict[str, Any]:
    return {
        "elements": [
            {
                "element": part.element, "share": part.share, "effect": part.effect, "real": part.actual,
                "predict": part.expected, "leaves": part.leaves,
            }
            for part in found.slices
        ],
        "change": found.effect,
        "unexplained": found.unexplained,
        "unexplained_share": found.unexplained_share,
        "depth": found.depth,
        "leaves": found.leaves,
        "notes": list(found.notes),
    }  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _decimal(value: float) -> Decimal:
    return Decimal(repr(round(value, 8)))


def _of(effect: Decimal, found: Explanation) -> str:
    return f"  {100 * effect / found.change:.0f} % of the change" if found.change else ""


def _percent(change: Decimal, before: Decimal) -> str:
    return f", {100 * change / abs(before):+.1f} %" if before else ""


def _amount(value: Decimal | None, unit: Measured) -> str:
    if value is None:
        return "none"
    if unit.unit == "money":
        return f"{value:,.2f}" + (f" {unit.currency}" if unit.currency else "")
    if unit.unit == "ratio":
        return f"{100 * value:,.2f} %"
    if unit.unit == "count" and value == value.to_integral_value():
        return f"{value:,.0f}"
    return f"{value:,.2f}"


def _signed(value: Decimal, unit: Measured) -> str:
    return ("+" if value >= 0 else "−") + _amount(abs(value), unit)
