"""The appendix: every number of a document and of its evidence as a workbook.

Belongs here: sheets of published numbers, facts, charts' data and tables, as numbers that can be calculated with. Does
not belong here: anything the document and its bundle do not hold.

Text is never a formula, a link or a number: cells are written as strings, and one that begins as a formula does carries
the quote mark by which a spreadsheet keeps it text when it is edited or exported. A number with more digits than a
spreadsheet keeps is written as text. The same document and bundle give the same bytes.
"""

from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ops_platform.documents.claims import MINUS, SYMBOLS, WHOLE_CURRENCIES
from ops_platform.documents.model import Chart, Page, Table, Title, plain
from ops_platform.documents.sealing import sealed
from ops_platform.documents.terminal import clean
from ops_platform.documents.theme import DEEP, OFFICE_FONT, PANEL, PAPER, SOFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from ops_platform.documents.model import Document
    from ops_platform.evidence.model import Bundle, Fact

KEPT_DIGITS = 15
LONGEST = 32_000
"""Characters a cell holds, a little under the format's 32,767."""
_STARTS = re.compile(r"^[=+\-@\t\r|%]")
_UNSHEETED = re.compile(r"[\[\]:*?/\\']")

Cell = str | Decimal | int | None


def render(document: Document, bundle: Bundle | None = None) -> bytes:
    """The workbook as bytes. Without the bundle it holds what the document itself knows: no sheet of facts."""
    import xlsxwriter

    out = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(out, options)
    moment = document.as_of.replace(microsecond=0, tzinfo=None)
    book.set_properties({"title": _title(document), "author": "Operations platform", "created": moment,
                         "comments": f"evidence {document.evidence}"})  # fmt: skip
    sheets = _Sheets(book)
    _contents(sheets, document, bundle)
    _published(sheets, document)
    if bundle is not None:
        _facts(sheets, bundle)
        _comparisons(sheets, bundle)
        _series(sheets, bundle)
    for number, (place, chart) in enumerate(_placed(document, Chart), start=1):
        _chart(sheets, number, place, chart)
    _tables(sheets, document)
    book.close()
    return sealed(out.getvalue())


def safe(text: str) -> str:
    """Text for a cell: no control characters, no longer than a cell holds."""
    text = clean(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


# Sheets -----------------------------------------------------------------------------------------------------


def _contents(sheets: _Sheets, document: Document, bundle: Bundle | None) -> None:
    rows: list[Sequence[Cell]] = [
        ["Document", _title(document)],
        ["Period", f"{document.period.label} ({document.period.start} to {document.period.end})"],
        ["As of", document.as_of.isoformat()],
        ["Summary", plain(document.summary)],
        ["Written by", document.writer],
        ["Evidence", document.evidence],
        ["Document digest", document.digest],
        ["Company", bundle.company.name if bundle else ""],
    ]
    rows += [
        [],
        ["Sheet", "What it holds"],
        ["Published", "Every number of the document, with its source and whether it tied out"],
    ]
    if bundle is not None:
        rows += [
            ["Facts", "Everything the document could say, known or unknown, with the query behind it"],
            ["Comparisons", "What each fact is compared with"],
            ["Series", "The numbers behind the charts"],
        ]
    rows += [["Charts", "One sheet a chart, as it is drawn"], ["Tables", "The document's tables as they read"],
             [], ["An empty cell is a value that is not known; it is never zero."]]  # fmt: skip
    sheets.add("Contents", ["", ""], rows, widths=(18, 90), title=True)


def _published(sheets: _Sheets, document: Document) -> None:
    header = ["As published", "What it is", "Fact", "Path", "Status", "Tie-out", "Relation", "Query"]
    rows = [
        [c.text, c.label, c.fact, c.path, c.status, c.tie_out, c.source.relation, c.source.query]
        for c in document.claims
    ]
    sheets.add("Published", header, rows, widths=(18, 34, 30, 26, 10, 12, 30, 60))


def _facts(sheets: _Sheets, bundle: Bundle) -> None:
    header = ["Fact", "What it is", "Value", "Unit", "Currency", "From", "To", "Status", "Unknown since", "Fresh to",
              "Tie-out", "Relation", "Query", "Parameters"]  # fmt: skip
    rows, codes = [], []
    for fact in bundle.facts:
        start, end = (fact.period.start, fact.period.end) if fact.period else (None, None)
        source = fact.source
        params = ", ".join(f"{name} = {value}" for name, value in source.params)
        rows.append([
            fact.id, fact.label, _value(fact), fact.unit, fact.currency or "", _day(start), _day(end), fact.status,
            _moment(fact.unknown_since), _moment(fact.fresh_to), fact.tie_out, source.relation, source.query, params,
        ])  # fmt: skip
        codes.append(code(fact.unit, fact.currency, fact.value))
    widths = (30, 34, 16, 9, 9, 11, 11, 10, 20, 20, 12, 30, 60, 30)
    sheets.add("Facts", header, rows, widths=widths, codes={2: codes})


def _comparisons(sheets: _Sheets, bundle: Bundle) -> None:
    header = ["Fact", "What it is", "Value", "Compared with", "Base", "Change", "Change, share"]
    rows, codes = [], []
    for fact in bundle.facts:
        for base in fact.comparisons:
            rows.append([fact.id, fact.label, fact.value, base.label, base.value, base.delta, base.delta_pct])
            codes.append(code(fact.unit, fact.currency, fact.value, base.value))
    shares = ["0.0%"] * len(rows)
    sheets.add(
        "Comparisons",
        header,
        rows,
        widths=(30, 34, 16, 26, 16, 16, 14),
        codes={2: codes, 4: codes, 5: codes, 6: shares},
    )


def _series(sheets: _Sheets, bundle: Bundle) -> None:
    rows: list[Sequence[Cell]] = []
    codes = []
    for series in bundle.series:
        for point in series.points:
            rows.append([series.id, series.label, point.label, point.value, series.unit, series.currency or "",
                         series.tie_out, series.source.relation, series.source.query])  # fmt: skip
            codes.append(code(series.unit, series.currency, *series.values))
    header = ["Series", "What it is", "Point", "Value", "Unit", "Currency", "Tie-out", "Relation", "Query"]
    sheets.add("Series", header, rows, widths=(30, 34, 20, 16, 9, 9, 12, 30, 60), codes={3: codes})


def _chart(sheets: _Sheets, number: int, place: str, chart: Chart) -> None:
    known = [value for series in chart.series for value in series.values]
    header = [plain(chart.message), *(series.label for series in chart.series)]
    rows: list[Sequence[Cell]] = [
        [category, *(series.values[index] for series in chart.series)]
        for index, category in enumerate(chart.categories)
    ]
    shape = [code(chart.unit, chart.currency, *known)] * len(rows)
    rows += [[], [f"Page: {place}"], [f"Source: {plain(chart.source)}"]] if place or chart.source else []
    columns = dict.fromkeys(range(1, len(chart.series) + 1), shape)
    sheets.add(f"Chart {number}", header, rows, widths=(40, *(18 for _ in chart.series)), codes=columns)


def _tables(sheets: _Sheets, document: Document) -> None:
    rows: list[Sequence[Cell]] = []
    for place, table in _placed(document, Table):
        rows += [[place], list(table.header), *([plain(cell) for cell in row] for row in table.rows), []]
    if rows:
        sheets.add("Tables", ["Tables as they read"], rows, widths=(34, *(18 for _ in range(9))))


def _placed(document: Document, kind: type[Any]) -> Iterable[tuple[str, Any]]:
    """Blocks of a kind with the title of the page they stand on."""
    place = ""
    for block in document.blocks:
        if isinstance(block, Page):
            place = plain(block.title)
        elif isinstance(block, kind):
            yield place, block


def _title(document: Document) -> str:
    return next((clean(plain(block.text)) for block in document.blocks if isinstance(block, Title)), document.kind)


# Cells ------------------------------------------------------------------------------------------------------


def code(unit: str, currency: str | None, *values: Decimal | None) -> str:
    """The number format of values of a unit, in full: the appendix does not round to thousands."""
    if unit == "money":
        sign = SYMBOLS.get(currency or "", f"{currency} ")
        digits = "#,##0" if currency in WHOLE_CURRENCIES else "#,##0.00"
        return f'"{sign}"{digits};"{MINUS}{sign}"{digits}'
    if unit in ("ratio", "percent"):
        return "0.0%" if unit == "ratio" else '0.0"%"'
    whole = all(value is None or value == value.to_integral_value() for value in values)
    return "#,##0" if whole else "#,##0.0##"


def _value(fact: Fact) -> Cell:
    return fact.value if fact.numeric else fact.text if fact.text is not None else _day(fact.day)


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def _moment(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


class _Sheets:
    """A workbook's sheets, each a header and rows; numbers as numbers, everything else as text."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        book.formats[0].set_font_name(OFFICE_FONT)

    def shape(self, **options: Any) -> Any:
        key = tuple(sorted(options.items()))
        if key not in self.formats:
            self.formats[key] = self.book.add_format({"font_name": OFFICE_FONT, "font_size": 10, **options})
        return self.formats[key]

    def add(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, widths: Sequence[int],
            codes: dict[int, list[str]] | None = None, title: bool = False) -> None:  # fmt: skip
        sheet = self.book.add_worksheet(_UNSHEETED.sub(" ", name)[:31])
        sheet.hide_gridlines(2)
        for column, wide in enumerate(widths):
            sheet.set_column(column, column, wide)
        if not title:
            head = {"bold": True, "font_color": f"#{PAPER}", "bg_color": f"#{DEEP}", "valign": "top", "text_wrap": True}
            for column, text in enumerate(header):
                self.text(sheet, 0, column, text, **head)
            sheet.freeze_panes(1, 1)
            if len(rows) > 1 and len(header) > 4:
                sheet.autofilter(0, 0, len(rows), len(header) - 1)
        for index, row in enumerate(rows):
            line = index if title else index + 1
            for column, cell in enumerate(row):
                shape = codes[column][index] if codes and column in codes and index < len(codes[column]) else "General"
                self.cell(sheet, line, column, cell, shape, lead=title and column == 0)

    def cell(self, sheet: Any, row: int, column: int, value: Cell, shape: str, *, lead: bool) -> None:
        look: dict[str, Any] = {"bold": True, "font_color": f"#{SOFT}"} if lead else {}
        if value is None:
            sheet.write_blank(row, column, None, self.shape(bg_color=f"#{PANEL}"))
        elif isinstance(value, str):
            self.text(sheet, row, column, value, **look)
        elif len(Decimal(value).as_tuple().digits) > KEPT_DIGITS:
            self.text(sheet, row, column, f"{Decimal(value):f}", align="right")
        else:
            sheet.write_number(row, column, float(value), self.shape(num_format=shape, **look))

    def text(self, sheet: Any, row: int, column: int, text: str, **look: Any) -> None:
        text = safe(text)
        if text:
            quoted = {"quote_prefix": True} if _STARTS.match(text) else {}
            sheet.write_string(row, column, text, self.shape(**look, **quoted))
