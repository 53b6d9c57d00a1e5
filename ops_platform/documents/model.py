"""The one document model: blocks of rich text that every renderer understands.

Belongs here: frozen blocks and spans, joining text, their JSON round trip, the walk over all text. Does not belong
here: how a number is formatted (`documents.claims`), how a channel shows a block (the renderers).

Text is a tuple of spans, never a string with markup. The kind of a span decides how far it is trusted: `Words` are
ours, `Claim` is a number our code inserted from evidence, `Quoted` is somebody else's text and is escaped by every
renderer and never parsed; a `Verdict` is a sign.

A document for a screen is blocks one after another. One for paper and slides has `Page` blocks: each begins a page and
what follows stands on it. Where it stands is the layout's business; channels without pages show headings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, ClassVar, Literal

from ops_platform.documents.glyphs import MARKS
from ops_platform.evidence.encoding import decode, digest_of, encode
from ops_platform.evidence.model import Period, Source, Unit
from ops_platform.failures import DataFailure

Mark = Literal["", "not_tied_out", "stale"]
State = Literal["ok", "attention", "unknown", "info"]
ChartKind = Literal["line", "column", "bar", "stacked", "waterfall"]
Role = Literal["main", "before", "plan", "other"]


@dataclass(frozen=True, slots=True)
class Words:
    """Our own words. Bold and italic are presentation only."""

    TAG: ClassVar[str] = "words"
    text: str
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A number in place: `text` is what the reader sees, `fact` and `path` where it came from. `mark` says
    that the source did not tie out, or that the number is old (`as_of` then says from when)."""

    TAG: ClassVar[str] = "claim"
    fact: str
    path: str
    text: str
    mark: Mark = ""
    as_of: str | None = None
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Quoted:
    """Text a vendor, customer or partner wrote. Hostile until shown otherwise, which is never."""

    TAG: ClassVar[str] = "quoted"
    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sign in running text or in a cell: fine, attention, unknown, neither. Where there is colour it is a coloured
    dot, elsewhere its `text`; words beside it must say the same, since a sign alone is not read by everybody."""

    TAG: ClassVar[str] = "verdict"
    state: State

    @property
    def text(self) -> str:
        return MARKS[self.state]


Span = Words | Claim | Quoted | Verdict
RichText = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Title:
    """The document's headline: one per document, plain in every channel."""

    TAG: ClassVar[str] = "title"
    text: RichText


@dataclass(frozen=True, slots=True)
class Page:
    """Begins a page or slide. `title` is its message as a sentence, `subtitle` says what is shown and for when."""

    TAG: ClassVar[str] = "page"
    title: RichText
    subtitle: RichText = ()


@dataclass(frozen=True, slots=True)
class Heading:
    """A section's heading. `icon` is a single emoji that channels without emoji may drop."""

    TAG: ClassVar[str] = "heading"
    text: RichText
    icon: str = ""


@dataclass(frozen=True, slots=True)
class ScoreBar:
    """A score between 0 and 1 as a bar. `fraction` None means unknown: the bar is drawn empty and dotted.
    `low` and `high` bound the band; `score` is the figure as a claim, `notes` follow it."""

    TAG: ClassVar[str] = "score_bar"
    label: str
    score: RichText
    fraction: Decimal | None
    low: Decimal | None = None
    high: Decimal | None = None
    notes: RichText = ()


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A labelled figure with what puts it in proportion (`notes`, each a short phrase)."""

    label: str
    value: RichText
    notes: tuple[RichText, ...] = ()
    icon: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    TAG: ClassVar[str] = "key_figures"
    rows: tuple[KeyFigure, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    TAG: ClassVar[str] = "paragraph"
    text: RichText


@dataclass(frozen=True, slots=True)
class Bullets:
    TAG: ClassVar[str] = "bullets"
    items: tuple[RichText, ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """A vendor's words, set apart. `by` says whose, in our words and theirs."""

    TAG: ClassVar[str] = "quote"
    text: str
    by: RichText = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A small table: a handful of columns, a screenful of rows. Cells are rich text. A row of a single cell is a
    heading for the rows under it."""

    TAG: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[RichText, ...], ...]


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One row of a chart's numbers, one a category; None is unknown and is drawn as a gap. `role` says what it is to
    the others: the figure itself, the year before, the plan. `evidence` names the bundle's series it was taken from, or
    `facts` a fact for each value (empty where the value is unknown)."""

    label: str
    values: tuple[Decimal | None, ...]
    role: Role = "main"
    evidence: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as data; every renderer draws from this and nothing else (`documents.charts` makes it from a bundle).

    `message` is what it shows, in one line; `source` is small print under it. Values are in `unit` (ratio: fractions of
    one). A `stacked` chart is of parts that add up. A `waterfall` has one series: a level, changes of it, and the level
    they lead to. `doubtful` names what did not tie out, `old` what is of an earlier day. Raises `DataFailure` where the
    numbers do not fit the form or a waterfall does not add up."""

    TAG: ClassVar[str] = "chart"
    kind: ChartKind
    message: RichText
    categories: tuple[str, ...]
    series: tuple[ChartSeries, ...]
    unit: Unit
    currency: str | None = None
    source: RichText = ()
    doubtful: tuple[str, ...] = ()
    old: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.categories or not self.series:
            raise DataFailure("A chart needs at least one category and one series.")
        for series in self.series:
            if len(series.values) != len(self.categories) or len(series.facts) not in (0, len(self.categories)):
                raise DataFailure(f"The chart's series {series.label!r} has not one value a category.")
        if self.unit in ("text", "date") or (self.unit == "money" and not self.currency):
            raise DataFailure(f"A chart cannot be drawn of {self.unit} with currency {self.currency!r}.")
        if self.kind == "waterfall":
            if len(self.series) != 1 or len(self.categories) < 2:
                raise DataFailure("A waterfall has one series: a level, changes, and the level they lead to.")
            values = [value for value in self.series[0].values if value is not None]
            if len(values) == len(self.categories) and sum(values[:-1]) != values[-1]:
                raise DataFailure(f"The waterfall leads to {sum(values[:-1])}, not to {values[-1]}.")

    @property
    def unknown(self) -> tuple[str, ...]:
        """The categories for which a series has no value, in order."""
        return tuple(
            category
            for index, category in enumerate(self.categories)
            if any(series.values[index] is None for series in self.series)
        )


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One line with a verdict: ✓, ⚠ or unknown."""

    state: State
    label: str
    text: RichText = ()


@dataclass(frozen=True, slots=True)
class StatusLines:
    TAG: ClassVar[str] = "status_lines"
    lines: tuple[StatusLine, ...]


@dataclass(frozen=True, slots=True)
class Button:
    """Something a reader can do. `act` is the name by which its handler knows it, `command` how the same is done at a
    terminal. A `date` asks for a day with it, a `link` opens `url` (ours, http or https). `ask` is a question to be
    answered before it counts."""

    act: str
    label: str
    kind: Literal["press", "date", "link"] = "press"
    style: Literal["", "primary", "danger"] = ""
    ask: str = ""
    url: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Actions:
    """What a reader can do about `subject` (`alert:12:0:handle`: of what, its number, which edition of the message,
    which group of buttons; unique in a document)."""

    TAG: ClassVar[str] = "actions"
    subject: str
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class Divider:
    TAG: ClassVar[str] = "divider"


@dataclass(frozen=True, slots=True)
class Footer:
    """Small print: sources and their freshness, cost, evidence."""

    TAG: ClassVar[str] = "footer"
    items: tuple[RichText, ...]


Block = (
    Title
    | Page
    | Heading
    | ScoreBar
    | KeyFigures
    | Paragraph
    | Bullets
    | Quote
    | Table
    | Chart
    | StatusLines
    | Actions
    | Divider
    | Footer
)


@dataclass(frozen=True, slots=True)
class UsedClaim:
    """The provenance of one published number: what was shown, of which fact, from where, tied out or not."""

    fact: str
    path: str
    text: str
    label: str
    tie_out: str
    status: str
    source: Source


@dataclass(frozen=True)
class Document:
    """A finished document. It stands alone: a renderer needs nothing else. `summary` is the one plain line a
    notification shows; `claims` is the provenance of every number in it; `evidence` is the bundle's digest."""

    kind: str
    period: Period
    as_of: datetime
    summary: RichText
    blocks: tuple[Block, ...]
    claims: tuple[UsedClaim, ...]
    evidence: str
    writer: str
    language: str = "en"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready form; `from_json` gives back an equal document with the same digest."""
        encoded: dict[str, Any] = encode(self)
        return encoded

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Document:
        return decode(cls, dict(data))

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON."""
        return digest_of(self)


def rich(*parts: str | Span | RichText) -> RichText:
    """Join words, spans and rich texts into one rich text; a plain string is our own words."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, str):
            if part:
                spans.append(Words(part))
        elif isinstance(part, tuple):
            spans.extend(part)
        else:
            spans.append(part)
    return tuple(spans)


def present(parts: Iterable[RichText]) -> tuple[RichText, ...]:
    """The parts that say something, in order."""
    return tuple(part for part in parts if part)


def joined(parts: Iterable[RichText], between: str, hidden: int = 0) -> RichText:
    """The parts that say something with words between them; `hidden` is how many more there are than shown."""
    spans: list[str | RichText] = []
    for part in present(parts):
        spans += [between, part] if spans else [part]
    if hidden > 0:
        spans.append(f" and {hidden} more")
    return rich(*spans)


def bold(text: str) -> Words:
    return Words(text, bold=True)


def spans_of(blocks: tuple[Block, ...]) -> Iterator[Span]:
    """Every span of the blocks in reading order."""
    for block in blocks:
        yield from _spans_in(block)


def _spans_in(value: Any) -> Iterator[Span]:
    if isinstance(value, Span):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _spans_in(item)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, Decimal):
        for field in fields(value):
            yield from _spans_in(getattr(value, field.name))


NOT_TIED_OUT = "≠"


def shown(span: Span) -> str:
    """The span's plain text with the mark of a number that did not tie out or is old. Not escaped."""
    if not isinstance(span, Claim):
        return span.text
    text = span.text
    if span.mark == "not_tied_out":
        text += " (⚠ not tied out)" if span.path == "value" else f" {NOT_TIED_OUT}"
    if span.as_of is not None and span.path == "value":
        text += f" (as of {span.as_of})"
    return text


def plain(text: RichText) -> str:
    """Rich text as one plain string, marks included. Not escaped for any channel."""
    return "".join(shown(span) for span in text)
