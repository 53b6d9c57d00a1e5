"""What others write stays what others wrote: by whichever channel a text comes in, it is shown as a quotation and
reaches no number, no sentence, no action, no link and no mention, in whichever form the document goes out.

Each document is made twice, with hostile texts and with harmless ones in their place. Everything but the quotations
must be the same: the numbers, our own words, the buttons, the tags of a page, the parts of an office file.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from ops_platform.documents import email, html, markdown, slack, terminal
from ops_platform.documents.files import files_of
from ops_platform.documents.kinds import compose, message_of
from ops_platform.documents.model import Actions, Claim, Document, Quote, Quoted, Words, spans_of
from ops_platform.evidence.briefing import Surroundings, build_briefing
from ops_platform.evidence.briefing_lists import Standing
from ops_platform.evidence.model import Bundle, Row
from ops_platform.evidence.pack_context import OpenAction, OpenAlert
from ops_platform.fleet.reports import Report
from ops_platform.writing.asking import request_text
from ops_platform.writing.briefs import brief_for
from ops_platform.writing.claims import check, check_text
from ops_platform.writing.draft import Slot
from ops_platform.writing.rules import RulesWriter
from tests.database.fresh_database import fresh_database
from tests.documents.test_narrative_document import week
from tests.evidence.board_company import AS_OF, COMPANY, SQL, build
from tests.evidence.bundles import morning
from tests.writing.hostile_texts import HOSTILE_TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

HARMLESS = "Harmless words"
EACH = 50  # texts a report, as many as it has rows for
# By which column of which list each vendor's text comes to a reader.
LISTS = {
    "crm": ("deals", "deal_name"), "ticket": ("tickets", "subject"), "issue": ("issues", "body"),
    "slack": ("messages", "text"), "product": ("products", "product_name"), "airtable": ("cells", "cell"),
}  # fmt: skip
Maker = Callable[[list[str]], Bundle]


@pytest.fixture(scope="module")
def company(server_home: Path, migrated: str) -> Iterator[psycopg.Connection[Any]]:
    """A small company by month, and a mart for each channel."""
    with fresh_database(server_home, migrated, "hostile") as connect, connect() as opened:
        opened.execute(SQL.encode())
        for name, column in LISTS.values():
            opened.execute(f"create table marts.{name} (id text, {column} text, amount numeric, day date)".encode())
        opened.commit()
        yield opened


def reported(connection: psycopg.Connection[Any], channel: str, texts: list[str]) -> Bundle:
    """A job's report over a mart whose rows say what the vendor's people wrote; the numbers are all alike."""
    name, column = LISTS[channel]
    for number, text in enumerate(texts):
        # What PostgreSQL cannot hold, the loader takes out.
        row = (f"K{number:03}", text.replace("\x00", ""), Decimal(1200), AS_OF.date())
        connection.execute(f"insert into marts.{name} values (%s, %s, %s, %s)".encode(), row)
    report = Report.model_validate({
        "title": "What is open", "divisions": ["sales"],
        "sections": [{"list": {
            "name": "open", "view": f"marts.{name}", "key": "id", "one": "thing", "many": "things", "limit": 50,
            "sources": ["hubspot.deals"],
            "columns": [{"column": column}, {"column": "amount", "unit": "money"}, {"column": "day", "unit": "date"}],
            "order": ["id"], "draft": f"About {{{column}}}",
        }}],
        "speak_when": [{"rows": "open"}],
    })  # fmt: skip
    standing = {"open": Standing(usable=True, fresh_to=AS_OF)}
    bundle = build_briefing(connection, AS_OF, COMPANY, "briefing", report, Surroundings(standing=standing))
    connection.rollback()
    return bundle


def pulsed(texts: list[str]) -> Bundle:
    """A morning whose messages, partners and SKUs are hostile, as they are: not even made short first."""
    base = morning()
    (message,), (first, second) = base.rows("messages"), base.rows("inventory")
    messages = tuple(replace(message, texts={"partner": t, "channel": t, "text": t}) for t in texts[: len(texts) // 2])
    stock = tuple(Row({"sku": t}, r.facts, r.mark) for t, r in zip(texts, (first, second), strict=False))
    return replace(base, lists={**base.lists, "messages": messages, "inventory": stock})


def narrated(texts: list[str]) -> Bundle:
    return week(about=texts[0], channel=texts[1], incident=texts[2])


def packed(connection: psycopg.Connection[Any], texts: list[str]) -> Bundle:
    """A pack whose open alerts and actions are named after what others wrote, and one of the channels too."""
    day = AS_OF.date()
    alerts = [OpenAlert(text, "alert", day, "supply_chain") for text in texts]
    bundle = build(connection, alerts=alerts, actions=[OpenAction(text, text, day) for text in texts])
    connection.rollback()
    return bundle


def shape(document: Document, bundle: Bundle) -> list[tuple[str, str]]:
    """What must not change with the words of others: our words, the numbers and the buttons, in their order."""
    spans = []
    for span in (*document.summary, *spans_of(document.blocks)):
        if isinstance(span, Quoted):
            spans.append(("quoted", ""))
        elif isinstance(span, Claim | Words):
            spans.append((type(span).TAG, span.text.replace(bundle.digest[:8], "")))
    buttons = [("buttons", str(block.buttons)) for block in document.blocks if isinstance(block, Actions)]
    return spans + buttons


# Forms ---------------------------------------------------------------------------------------------------------


_LEADING = ("href", "src", "action", "formaction")


class Tags(HTMLParser):
    """The tags of a page with what in them could fetch, lead or run."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        live = sorted(
            f"{k}={v}" for k, v in attrs if k in ("href", "src", "action", "formaction") or k.startswith("on")
        )
        self.seen.append(" ".join((tag, *live)))


def tags_of(page: str) -> set[str]:
    reader = Tags()
    reader.feed(page)
    return set(reader.seen)


# All Slack reads in a text that it is told to leave as it is (`verbatim`, `parse: none`).
_SLACK_LIVE = re.compile(r"<[^>]*>")
_MARKDOWN_LIVE = re.compile(r"(?<!\\)(?:\\\\)*(?:[<\[!]|https?:|www\.|mailto:)|@(?=\w)", re.IGNORECASE)
_MAIL_LIVE = re.compile(r"https?://|\bwww\.|mailto:|@\w|[\w-]\.(?:example|com)\b", re.IGNORECASE)


def slack_live(document: Document) -> set[str]:
    """What Slack would make a link, a mention or a button of, in the message as it is sent."""
    live: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") in ("button", "datepicker", "static_select", "image", "overflow"):
                live.add(json.dumps({k: v for k, v in value.items() if k != "text"}, sort_keys=True))
            if isinstance(value.get("text"), str) and value.get("type") != "plain_text":
                live.update(_SLACK_LIVE.findall(value["text"]))
                assert value.get("verbatim", "blocks" in value) is True, value
            for item in value.values():
                walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)

    for message in slack.render(document):
        payload = message.payload()
        walk(payload)
        live.update(_SLACK_LIVE.findall(payload["text"]))
        assert len(json.dumps(payload)) < 100_000
    return live


def forms_agree(hostile: Document, harmless: Document) -> None:
    """Slack, markdown, page, mail and terminal have nothing live in them that the harmless one has not."""
    assert slack_live(hostile) <= slack_live(harmless)
    assert set(_MARKDOWN_LIVE.findall(markdown.render(hostile))) <= set(
        _MARKDOWN_LIVE.findall(markdown.render(harmless))
    )
    assert tags_of(html.render(hostile)) <= tags_of(html.render(harmless))
    mails = [email.render(each, sender="Northlight Audio") for each in (hostile, harmless)]
    assert tags_of(mails[0].html) <= tags_of(mails[1].html)
    for mail in mails:
        assert "\n" not in mail.subject and "\r" not in mail.subject
    for part in ("html", "text", "subject"):
        said, plain = (set(_MAIL_LIVE.findall(getattr(mail, part))) for mail in mails)
        assert said <= plain, part
    assert "\u001b]" not in terminal.render(hostile) and "\u202e" not in terminal.render(hostile)


def files_agree(hostile: Document, bundle: Bundle) -> None:
    """Slides, workbook and PDF hold no formula, no link, no script, nothing from elsewhere."""
    for name, data in files_of(hostile, bundle).items():
        if name.endswith(".pdf"):
            # Names stand in objects; what is drawn and packed stands in streams, where any letters may meet. No object
            # hides in a stream.
            assert b"/ObjStm" not in data and data.count(b"stream\n") == 2 * data.count(b"endstream"), name
            objects = re.sub(rb"\bstream\r?\n.*?endstream", b"", data, flags=re.DOTALL)
            assert b"/Catalog" in objects and b"/Contents" in objects, name
            assert not re.search(rb"/(?:URI|JavaScript|JS|Launch|OpenAction|EmbeddedFile|Annots)\b", objects), name
            continue
        with zipfile.ZipFile(io.BytesIO(data)) as office:
            for part in office.namelist():
                body = office.read(part)
                assert b"vbaProject" not in body and not part.endswith(".bin"), part
                if part.endswith(".rels"):
                    assert b"External" not in body and b"hyperlink" not in body, part
                if part.endswith(".xml"):
                    assert b"hlinkClick" not in body and b"<hyperlink" not in body, part
                    if "xl/worksheets" in part:
                        assert b"<f>" not in body and b"<f " not in body, part


# What must hold ----------------------------------------------------------------------------------------------------


def held(make: Maker, texts: list[str], *, files: bool = False) -> Document:
    bundle, plain = make(texts), make([HARMLESS] * len(texts))
    # One draft for both: which turn of phrase the rules take depends on the evidence, quotations included.
    draft = RulesWriter().write(plain, brief_for(plain))
    assert check(draft, bundle, brief_for(bundle)) == []
    assert check(RulesWriter().write(bundle, brief_for(bundle)), bundle, brief_for(bundle)) == []
    document, harmless = compose(bundle, draft), compose(plain, draft)
    assert shape(document, bundle) == shape(harmless, plain)
    told = message_of(bundle, draft, document)
    forms_agree(document, harmless)
    forms_agree(told, message_of(plain, draft, harmless))
    if files:
        files_agree(document, bundle)
    shown_as_data(bundle)
    return document


def shown_as_data(bundle: Bundle) -> None:
    """The model sees other people's words among the quotes, marked, and nowhere else."""
    sent = json.loads(request_text(bundle, brief_for(bundle)))
    sent.pop("quotes", None)
    rest = json.dumps(sent, ensure_ascii=False)
    assert not re.search(r"evil|IGNORE|<script|U0CEO|password is|HYPERLINK|99,999", rest), rest


def batches(texts: tuple[str, ...], each: int) -> Iterator[list[str]]:
    for start in range(0, len(texts), each):
        yield list(texts[start : start + each])


@pytest.mark.parametrize(("place", "channel"), enumerate(LISTS))
def test_no_channel_reaches_beyond_its_quotation(place: int, channel: str, company: psycopg.Connection[Any]) -> None:
    """The three hundred, a sixth by each channel, in the report of a job."""
    texts = HOSTILE_TEXTS[place::6]
    (batch,) = batches(texts, EACH)
    document = held(lambda these: reported(company, channel, these), batch)
    shown = sum(isinstance(span, Quoted) for span in spans_of(document.blocks))
    assert shown >= len(texts) * 0.9  # they are shown, not dropped


@pytest.mark.slow
@pytest.mark.parametrize("channel", LISTS)
def test_all_by_every_channel(channel: str, company: psycopg.Connection[Any]) -> None:
    for texts in batches(HOSTILE_TEXTS, EACH):
        held(lambda these: reported(company, channel, these), texts)


def test_no_message_partner_or_sku_reaches_beyond_its_line_of_the_pulse() -> None:
    for texts in batches(HOSTILE_TEXTS[::5], 10):
        document = held(pulsed, texts)
        assert any(isinstance(block, Quote) for block in document.blocks)


def test_no_subject_channel_or_incident_reaches_beyond_its_place_in_a_narrative() -> None:
    for texts in batches(HOSTILE_TEXTS[::11], 3):
        held(narrated, (texts * 3)[:3])


def test_no_alert_action_or_owner_reaches_beyond_its_cell_of_the_pack(company: psycopg.Connection[Any]) -> None:
    held(lambda these: packed(company, these), list(HOSTILE_TEXTS[::31]), files=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_in_every_document_and_file(company: psycopg.Connection[Any]) -> None:
    for texts in batches(HOSTILE_TEXTS, 10):
        held(pulsed, texts)
        held(lambda these: packed(company, these), texts, files=True)
    for texts in batches(HOSTILE_TEXTS, 3):
        held(narrated, texts)


@pytest.mark.slow
def test_a_channel_of_sales_named_by_somebody_is_a_name_and_no_more(company: psycopg.Connection[Any]) -> None:
    """Its name is part of figures' names ("Effect of …"), so it is not held against a twin."""
    for text in HOSTILE_TEXTS[::13]:
        company.execute(
            "update metrics.fct_metric_daily set dimension_value = %s where dimension_value = 'wholesale'",
            (text.replace("\x00", "")[:200],),
        )
        bundle = build(company)
        company.rollback()
        draft = RulesWriter().write(bundle, brief_for(bundle))
        document = compose(bundle, draft)
        assert not slack_live(message_of(bundle, draft, document))
        assert not slack_live(document)
        assert not [tag for tag in tags_of(html.render(document)) if " " in tag]
        files_agree(document, bundle)


def test_a_model_that_passes_them_on_is_refused() -> None:
    """A sentence that carries any of them beside a true figure is no sentence of ours."""
    slot = Slot("headline", "Anything", max_chars=10_000, max_sentences=50)
    claims = re.compile(r"\{\{c:net_sales(?:\.value)?\}\}")
    for text in HOSTILE_TEXTS:
        if not claims.sub("", text).strip():
            continue  # our own token of the same figure: it says what the sentence says
        assert check_text(f"Net sales {{{{c:net_sales}}}}, {text}.", slot, morning()), text
        assert check_text(f"{text} Net sales {{{{c:net_sales}}}}.", slot, morning()), text
