"""Whether every number of a published document is one of its evidence: read again from what the reader gets.

Belongs here: the oracle of the generated documents. Does not belong here: what is generated (`test_generated.py`).

Nothing here asks the code under test how a number is written. A printed number is read with its sign, its unit and its
last place, and must be the evidence's number to half of that place. Whatever is printed and is no number of the
evidence must be a name, a date or other people's words of the same evidence, or stand in the title or the small print.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from ops_platform.documents import html, markdown, slack
from ops_platform.documents.model import Chart, Claim, Document, Footer, Quoted, Title, Words, spans_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from ops_platform.evidence.model import Bundle, Fact

_PRINTED = re.compile(
    r"(?P<sign>[−+]?)(?P<currency>[^\d−+]*?)(?P<whole>\d[\d,]*)(?P<part>\.\d+)?(?P<power>[KMB]?)"
    r"(?P<unit>%| points?| days?| h| min)?"
)
_POWERS = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}
_DIGITS = re.compile(r"\d+")


def unproven(document: Document, bundle: Bundle, *, withheld: bool = False) -> list[str]:
    """What the document shows as a number and the evidence does not bear out, as sentences; empty is a proof.
    `withheld`: that a figure is said to be unknown is none of it, whatever the evidence knows."""
    found: list[str] = []
    for span in (*spans_of(document.blocks), *document.summary):
        if withheld and isinstance(span, Claim) and (span.path == "unknown_since" or span.text.startswith("unknown")):
            continue
        if isinstance(span, Claim):
            found += [f"{span.fact}.{span.path} is shown as {span.text!r}"] * (not _borne_out(span, bundle))
    body = tuple(block for block in document.blocks if not isinstance(block, Title | Footer))
    names = _names(bundle)
    for span in spans_of(body):
        if isinstance(span, Words) and _DIGITS.search(_without(span.text, names)):
            found.append(f"words with a number of their own: {span.text!r}")
    for block in body:
        if isinstance(block, Chart):
            found += _chart(block, bundle)
    known = _vocabulary(document, bundle, names)
    for channel, text in channels(document):
        strange = [digits for digits in _DIGITS.findall(_without(text, names)) if digits not in known]
        found += [f"{channel} shows {digits}, which the document does not hold" for digits in dict.fromkeys(strange)]
    return found


def channels(document: Document) -> Iterator[tuple[str, str]]:
    """What a reader is shown, channel by channel, as text."""
    for message in slack.render(document):
        yield "slack", " ".join(_strings(message.payload()))
    yield "markdown", markdown.render(document)
    page = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html.render(document), flags=re.DOTALL)
    yield "html", re.sub(r"&#x?[0-9a-f]+;", " ", page)


# One claim ---------------------------------------------------------------------------------------------------


def _borne_out(span: Claim, bundle: Bundle) -> bool:
    fact = bundle.get(span.fact)
    if fact is None:
        return bundle.line(span.fact) is not None and _series_value(span, bundle)
    part = span.path.rsplit(".", 1)[-1]
    if part == "label":
        held = fact.comparison(span.path.split(".")[1]) if "." in span.path else None
        return span.text == (held.label if held is not None else fact.label)
    if part == "period":
        return fact.period is not None and span.text == fact.period.label
    if part in ("fresh_to", "unknown_since"):
        return span.text == _moment(fact.fresh_to if part == "fresh_to" else fact.unknown_since, bundle)
    if not fact.known and span.path == "value":
        since = _moment(fact.unknown_since, bundle)
        return span.text == (f"unknown since {since}" if since else "unknown (never loaded)")
    if fact.unit == "text":
        return span.text == fact.text
    if fact.unit == "date":
        return fact.day is not None and span.text == _day(fact.day, bundle)
    wanted = _wanted(fact, span.path)
    return wanted is not None and _reads_as(span.text, *wanted, fact)


def _moment(moment: datetime | None, bundle: Bundle) -> str | None:
    if moment is None:
        return None
    local = moment.astimezone(ZoneInfo(bundle.company.timezone))
    today = bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).date()
    return f"{local:%H:%M}" if local.date() == today else f"{_day(local.date(), bundle)} {local:%H:%M}"


def _day(day: date, bundle: Bundle) -> str:
    year = bundle.as_of.astimezone(ZoneInfo(bundle.company.timezone)).year
    return f"{day:%a} {day.day} {day:%b}" + (f" {day.year}" if day.year != year else "")


def _wanted(fact: Fact, path: str) -> tuple[Decimal, str, bool] | None:
    """The number behind a path, in which unit it is printed, and whether its sign is."""
    pieces = path.split(".")
    held = fact.comparison(pieces[1]) if pieces[0] == "comparison" else fact.primary
    part = pieces[-1]
    if part in ("value", "abs_value") and pieces[0] != "comparison":
        if fact.value is None:
            return None
        number = abs(fact.value) if part == "abs_value" else fact.value
        return number, "change" if fact.change else "level", not part.startswith("abs_")
    if held is None or held.value is None:
        return None
    if part == "value":
        return held.value, "level", True
    # Worked out again from the two figures, not read from the evidence's own difference.
    if fact.value is None:
        return None
    delta = fact.value - held.value
    if part.endswith("delta_pct"):
        if not held.value:
            return None
        delta = delta / abs(held.value) * 100
    number = abs(delta) if part.startswith("abs_") else delta
    return number, "share" if part.endswith("pct") else "change", not part.startswith("abs_")


def _reads_as(text: str, number: Decimal, form: str, signed: bool, fact: Fact) -> bool:
    read = _PRINTED.fullmatch(text)
    if read is None:
        return False
    unit = (read["unit"] or "").strip().removesuffix("s")
    if form == "share" or (form == "level" and fact.unit in ("ratio", "percent")):
        number, wanted = (number * 100 if form == "level" and fact.unit == "ratio" else number), {"%"}
    elif fact.unit in ("ratio", "percent", "score") and form == "change":
        number, wanted = (number * 100 if fact.unit == "ratio" else number), {"point"}
    elif fact.unit == "hours":
        wanted = {"h", "min", "day"}
        number = number * 60 if unit == "min" else number / 24 if unit == "day" else number
    else:
        wanted = {"day"} if fact.unit == "days" else {""}
    symbol = _SYMBOLS.get(fact.currency or "", f"{fact.currency} ") if fact.unit == "money" and form != "share" else ""
    places = len(read["part"] or ".") - 1
    power = _POWERS[read["power"]]
    printed = Decimal(read["whole"].replace(",", "") + (read["part"] or "")) * power
    half = Decimal(power) / 2 / 10**places
    negative = read["sign"] == "−"
    return (
        unit in wanted
        and read["currency"] == symbol
        and abs(printed - abs(number)) <= half
        and (not printed or negative == (number < 0))
        and (read["sign"] != "+" or signed)
    )


def _series_value(span: Claim, bundle: Bundle) -> bool:
    line = bundle.line(span.fact)
    return line is not None and span.path.startswith("points.")


def _chart(chart: Chart, bundle: Bundle) -> Iterator[str]:
    """Every value drawn is one of a series or a fact of the evidence, in its unit."""
    held = {(line.unit, value) for line in bundle.series for value in line.values}
    held |= {(fact.unit, fact.value) for fact in bundle.facts}
    for series in chart.series:
        for value in series.values:
            if value is not None and (chart.unit, value) not in held:
                yield f"a chart draws {value}, which is nobody's"


# What may be printed besides numbers ------------------------------------------------------------------------------


def _names(bundle: Bundle) -> list[str]:
    """Names and other people's words of the evidence, longest first."""
    texts = [bundle.company.name, bundle.period.label]
    texts += [text for fact in bundle.facts for text in (fact.label, fact.about, fact.text) if text]
    texts += [held.label for fact in bundle.facts for held in fact.comparisons]
    texts += [fact.period.label for fact in bundle.facts if fact.period is not None]
    texts += [text for line in bundle.series for text in (line.label, *line.labels)]
    moments = {moment for fact in bundle.facts for moment in (fact.fresh_to, fact.unknown_since)}
    texts += [text for moment in moments if (text := _moment(moment, bundle))]
    # What a role or a tool sets as the time for an action is an entry of the evidence's list, not a figure.
    spans = {row.texts["due_days"] for rows in bundle.lists.values() for row in rows if "due_days" in row.texts}
    texts += [f"within {days} days" for days in spans]
    return sorted({text for text in texts if _DIGITS.search(text)}, key=len, reverse=True)


def _without(text: str, names: Iterable[str]) -> str:
    for name in names:
        text = text.replace(name, " ")
    return text


def _vocabulary(document: Document, bundle: Bundle, names: list[str]) -> set[str]:
    """The digit groups the document holds: in its claims, quotes, title, small print and charts."""
    texts = [span.text for span in (*spans_of(document.blocks), *document.summary)]
    spans = (*spans_of(document.blocks), *document.summary)
    texts += [span.as_of for span in spans if isinstance(span, Claim) and span.as_of]
    texts += [item for block in document.blocks if isinstance(block, Title | Footer) for item in _strings(block)]
    texts += names
    for block in document.blocks:
        if isinstance(block, Chart):
            texts += list(_strings(block))
            texts += [used.text for used in document.claims]
    return {digits for text in texts for digits in _DIGITS.findall(text)} | _untrusted(document)


def _untrusted(document: Document) -> set[str]:
    quoted = (span.text for span in spans_of(document.blocks) if isinstance(span, Quoted))
    return {digits for text in quoted for digits in _DIGITS.findall(text)}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _strings(item)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _strings(getattr(value, name))
