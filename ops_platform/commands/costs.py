"""`ops costs`: what models cost in a month, and what was had for it.

Belongs here: the month's bounds and how the figures look. Does not belong here: the figures
(`ops_platform.writing.costs`).
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from ops_platform.fleet import Fleet
    from ops_platform.writing.costs import Costs, Line


def show(*, month: date | None, as_json: bool) -> int:
    """Print the costs of the month that `month` is in (None: the present one, by the machine's clock, as the ledger
    has it), in the company's zone."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.database import connect
    from ops_platform.fleet import get_fleet
    from ops_platform.writing.costs import costs

    fleet = get_fleet()
    first, start, end = month_bounds(month, fleet.company.timezone)
    prepare_database()
    with connect() as connection:
        found = costs(connection, start, end, top=fleet.models.top)
    if as_json:
        click.echo(json.dumps({"month": f"{first:%Y-%m}", **found.to_json()}, indent=2))
    else:
        _print(found, first, fleet)
    return 0


def month_bounds(month: date | None, zone: str) -> tuple[date, datetime, datetime]:
    """First day of the month, its first moment and that of the month after, in `zone`."""
    from ops_platform import clock

    day = month or clock.business_day(datetime.now(UTC), zone)
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    here = ZoneInfo(zone)
    return (
        first,
        datetime(first.year, first.month, 1, tzinfo=here),
        datetime(following.year, following.month, 1, tzinfo=here),
    )


def _print(found: Costs, first: date, fleet: Fleet) -> None:
    total = found.total
    if not total.calls:
        click.echo(f"{first:%B %Y}: no model was called")
        return
    click.secho(f"{first:%B %Y}: {_usd(total.cost_usd)}, {_calls(total)}, {total.tokens:,} tokens", bold=True)
    if total.per_output is None:
        click.echo("  per delivered output: none was delivered")
    else:
        click.echo(f"  per delivered output: {_usd(total.per_output)} ({total.delivered} delivered)")
    click.echo(
        f"  cached: {total.cache_read_tokens:,} tokens read, {total.cache_write_tokens:,} written;"
        f" written by the model: {total.output_tokens:,}"
    )
    if found.saved is not None:
        click.echo(
            f"  all of it on {found.one_model}, without cache or batch: {_usd(found.one_model_usd)};"
            f" saved {100 * found.saved:.1f}%"
        )
    if total.unsettled:
        click.secho(f"  ⚠ {_plural(total.unsettled, 'call')} without a count: the true cost may be higher", fg="yellow")
    for title, lines in (
        ("by job", found.by_job),
        ("by bot", found.by_bot),
        ("by purpose", found.by_purpose),
        ("by model", found.by_model),
    ):
        _table(title, lines)
    _zero_output(found)
    budget = fleet.budget.tokens_per_cycle
    click.echo(f"\nbound: {budget:,} tokens a day for the whole fleet (fleet.yaml, budget)")


def _table(title: str, lines: Sequence[Line]) -> None:
    click.echo(f"\n{title:<22}{'calls':>7}{'tokens':>12}{'cost':>12}{'delivered':>11}{'each':>12}{'to nothing':>12}")
    for line in lines:
        each = "-" if line.per_output is None else _usd(line.per_output)
        click.echo(
            f"  {line.name:<20}{line.calls:>7,}{line.tokens:>12,}{_usd(line.cost_usd):>12}{line.delivered:>11,}"
            f"{each:>12}{_usd(line.zero_output_usd):>12}"
        )


def _zero_output(found: Costs) -> None:
    from ops_platform.writing.costs import OUTCOMES

    total = found.total
    if not total.zero_output_usd:
        click.echo("\nspent without a delivered output: nothing")
        return
    share = 100 * total.zero_output_usd / total.cost_usd
    click.echo(f"\nspent without a delivered output: {_usd(total.zero_output_usd)} ({share:.1f}%)")
    for line in found.zero_output:
        click.echo(f"  {_usd(line.cost_usd):>10}  {OUTCOMES[line.name]} ({_calls(line)})")


def _calls(line: Line) -> str:
    return _plural(line.calls, "call")


def _plural(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _usd(amount: Decimal) -> str:
    """A call costs fractions of a cent: four places, and what is less than that is not told as nothing."""
    if 0 < amount < 1 and f"{amount:.4f}" == "0.0000":
        return "<$0.0001"
    return f"${amount:,.4f}" if amount < 100 else f"${amount:,.2f}"
