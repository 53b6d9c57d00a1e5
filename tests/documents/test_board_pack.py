"""The board pack's pages: every number proven, every page titled, whatever is missing or hostile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ops_platform.documents import markdown, slack
from ops_platform.documents.board_pack import compose_board_pack, compose_board_summary
from ops_platform.documents.charts import proven
from ops_platform.documents.kinds import compose, message_of
from ops_platform.documents.model import Chart, Document, Page, Quoted, Table, Title, Words, plain, spans_of
from ops_platform.evidence.pack_context import OpenAction, OpenAlert
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check
from ops_platform.writing.draft import Draft
from ops_platform.writing.rules import RulesWriter
from tests.database.fresh_database import fresh_database
from tests.evidence.board_company import AS_OF, SQL, build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from ops_platform.evidence.model import Bundle
    from tests.evidence.board_company import Connection

HOSTILE = "<!channel> Approve now: https://evil.example 9,999% *now* =cmd|'/c calc'!A1"


@pytest.fixture(scope="module")
def company(server_home: Path, migrated: str) -> Iterator[Connection]:
    with fresh_database(server_home, migrated, "board") as connect, connect() as opened:
        opened.execute(SQL.encode())
        opened.commit()
        yield opened


@pytest.fixture
def filled(company: Connection) -> Iterator[Connection]:
    yield company
    company.rollback()


@pytest.fixture(scope="module")
def bundle(company: Connection) -> Bundle:
    made = build(company)
    company.rollback()
    return made


def pack(bundle: Bundle) -> Document:
    return compose(bundle, RulesWriter().write(bundle, brief_for(bundle)))


def text_of(document: Document) -> str:
    return markdown.render(document).replace("\\", "")


def pages(document: Document) -> list[str]:
    return [plain(block.title) for block in document.blocks if isinstance(block, Page)]


def test_the_rules_fill_the_pack_and_pass_the_check(bundle: Bundle) -> None:
    brief = brief_for(bundle)
    draft = RulesWriter().write(bundle, brief)
    assert check(draft, bundle, brief) == []
    assert {"headline", "revenue", "growth", "finance", "why", "division_sales", "risks"} <= set(draft.slots)
    assert plain(compose(bundle, draft).summary) == (
        "Board pack, October 2026: Net sales of all channels came to $5,580, up 20% on October 2025; "
        "net sales of the own shop 3.3% ahead of plan"
    )


def test_the_pack_has_its_pages_in_order(bundle: Bundle) -> None:
    document = pack(bundle)
    titles = pages(document)
    assert isinstance(document.blocks[0], Title)
    assert titles[0].startswith("Net sales of all channels")
    divisions = [title for title in titles if title.startswith(("Customer", "Sales:", "Marketing", "Design", "Supply"))]
    assert [title.partition(":")[0] for title in divisions] == [
        "Customer Support", "Sales", "Marketing", "Design", "Supply Chain",
    ]  # fmt: skip
    assert titles[-2:] == ["11 of 16 figures tied out with their sources, 4 unknown", "What the figures count"]
    assert "Decisions asked of the board, and actions" in titles


def test_no_number_stands_in_words(bundle: Bundle) -> None:
    for document in (pack(bundle), compose_board_summary(bundle, Draft())):
        words = [span.text for span in spans_of(document.blocks) if isinstance(span, Words)]
        assert [text for text in words if any(char.isdigit() for char in text)] == []
        headers = [name for block in document.blocks if isinstance(block, Table) for name in block.header]
        assert not any(char.isdigit() for name in headers for char in name)


def test_every_number_of_every_chart_is_the_evidences(bundle: Bundle) -> None:
    charts = [block for block in pack(bundle).blocks if isinstance(block, Chart)]
    assert {chart.kind for chart in charts} == {"stacked", "column", "waterfall", "line", "bar"}
    for chart in charts:
        assert list(proven(chart, bundle))


def test_the_same_evidence_and_draft_give_the_same_document(bundle: Bundle) -> None:
    draft = RulesWriter().write(bundle, brief_for(bundle))
    first, again = compose(bundle, draft), compose(type(bundle).from_json(bundle.to_json()), draft)
    assert first.digest == again.digest
    assert Document.from_json(first.to_json()) == first


def test_an_unwritten_pack_says_what_each_page_shows(bundle: Bundle) -> None:
    titles = pages(compose_board_pack(bundle, Draft()))
    assert titles[0] == "The month in short"
    assert {"Sales", "What changed, and where", "Profit", "Cash, and what is owed"} <= {
        *titles, "Cash, and what is owed",
    }  # fmt: skip
    assert all(titles)


def test_what_is_unknown_is_said_and_drawn_as_a_gap(bundle: Bundle) -> None:
    text = text_of(pack(bundle))
    assert "E-mail revenue: unknown since Tue 20 Oct 21:00" in text
    assert "Customer satisfaction: unknown (never loaded)" in text
    chart = next(
        block
        for block in pack(bundle).blocks
        if isinstance(block, Chart) and plain(block.message).startswith("E-mail revenue")
    )
    assert chart.unknown == ("Oct 2026",)


def test_figures_seen_later_than_the_month_say_so(bundle: Bundle) -> None:
    assert "SKUs out of stock: as seen on Sunday 1 November" in text_of(pack(bundle))


def test_an_empty_warehouse_still_gives_a_pack(filled: Connection) -> None:
    filled.execute("drop schema metrics cascade")
    document = pack(build(filled, alerts=None, actions=None))
    text = text_of(document)
    assert "the warehouse has not been built yet" in text
    assert "Open alerts are unknown." in text
    assert "No figure of this division is known yet" in text


def test_a_month_that_did_not_arrive_still_gives_a_pack(filled: Connection) -> None:
    filled.execute("delete from metrics.fct_metric_daily where date >= '2026-10-31'")
    document = pack(build(filled))
    assert pages(document)[0].startswith("Net sales, all channels: unknown since Sat 31 Oct 00:00")
    charts = [block for block in document.blocks if isinstance(block, Chart)]
    assert {"line", "stacked", "column"} <= {chart.kind for chart in charts}
    assert all("Oct 2026" in chart.unknown for chart in charts)
    assert "0 of 16 figures tied out with their sources, 16 unknown" in pages(document)


def test_a_restatement_is_announced(filled: Connection) -> None:
    from datetime import date

    before = build(filled, date(2026, 9, 1))
    filled.execute(
        "update metrics.fct_metric_daily set value = value + 50 where metric_id = 'net_sales' and dimension = 'all'"
        " and date = '2026-09-12'"
    )
    bundle = build(filled, previous=before, published=frozenset({"net_sales", "refunds"}))
    document = pack(bundle)
    assert "Restatement: 1 number of the last pack moved, of 2 read again" in pages(document)
    assert "| Net sales, own shop | September 2026 | $3,600 | $3,650 | +1.4% |" in text_of(document)
    message = compose_board_summary(bundle, RulesWriter().write(bundle, brief_for(bundle)))
    assert "Restatement: 1 number of the last pack moved" in text_of(message)


def test_texts_of_others_stay_quotes(filled: Connection) -> None:
    day: date = AS_OF.date()
    bundle = build(
        filled, alerts=[OpenAlert(HOSTILE, "critical", day, "sales")], actions=[OpenAction(HOSTILE, HOSTILE, day)]
    )
    document = pack(bundle)
    ours = [span.text for span in spans_of(document.blocks) if not isinstance(span, Quoted)]
    assert not any("evil" in text or "<!" in text or "calc" in text for text in ours)
    assert "https" not in "".join(span.text for span in spans_of(document.blocks))
    for message in slack.render(document):
        assert "<!channel>" not in str(message.payload())


def test_the_message_is_short_and_says_what_is_asked(bundle: Bundle) -> None:
    document = pack(bundle)
    message = message_of(bundle, RulesWriter().write(bundle, brief_for(bundle)), document)
    assert len(slack.render(message)) == 1
    text = text_of(message)
    assert "Approve extra shifts?" in text
    assert {claim.fact for claim in message.claims} <= {claim.fact for claim in document.claims}


def test_a_mutated_figure_is_seen(bundle: Bundle) -> None:
    document = pack(bundle)
    facts = tuple(
        replace(fact, value=fact.value + 1000, comparisons=()) if fact.id == "net_sales" and fact.value else fact
        for fact in bundle.facts
    )
    other = replace(bundle, facts=facts)
    assert other.digest != bundle.digest == document.evidence


@pytest.mark.slow
def test_the_files_are_the_same_bytes_each_time(bundle: Bundle) -> None:
    from ops_platform.documents.files import files_of

    document = pack(bundle)
    first, again = files_of(document, bundle), files_of(Document.from_json(document.to_json()), bundle)
    assert list(first) == ["board-pack-2026-10.pptx", "board-pack-2026-10.pdf", "board-pack-2026-10.xlsx"]
    assert first == again
    assert files_of(compose_board_summary(bundle, Draft()), bundle) == {}
