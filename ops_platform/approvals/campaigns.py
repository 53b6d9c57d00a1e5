"""Campaigns as a subject of approval: shown whole, edited in words, handed over as drafts once approved.

Belongs here: the payload of a campaign, what is shown of it, what an editor may write, putting it up for hand-over.
Does not belong here: whom to write to and why (`ops_platform.playbooks`), the campaign tool (`resources/klaviyo`),
carrying a hand-over out (`campaign_handover.py`).

The payload has no name and no address: a person is the app's number of an account and the shop's number of an order.

    {"mark": "winback-2026-11-21", "title": …, "offer": {"code", "title", "in_shop"}, "groups": [
        {"reason", "label", "subject", "preview", "body", "recipients": [
            {"customer", "order", "ordered_at", "products": […], "arm"}]}], "unreachable": 3, "document": {…} | null}

In the texts `{products}` stands for what is recommended to a reader, `{code}` for the discount code. Numbers are not
written by hand: the offer's title says what it is worth, as the shop has it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform.approvals.subjects import Revised, Shown, Text
from ops_platform.documents.model import (
    Block,
    Bullets,
    Divider,
    Heading,
    KeyFigure,
    KeyFigures,
    Paragraph,
    Quote,
    Quoted,
    StatusLine,
    StatusLines,
    Table,
    bold,
    rich,
)
from ops_platform.failures import DataFailure

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import psycopg

    from ops_platform.approvals.model import Approval, Payload, Person

KIND = "campaign"
MOST_RECIPIENTS = 500
SHOWN_RECIPIENTS = 5
_TEXTS = {"subject": 120, "preview": 160, "body": 1500}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_PLACES = {"subject": frozenset[str](), "preview": frozenset[str](), "body": frozenset({"products", "code"})}
# Readers' programs make a link of any two words with a dot between, whichever dot of Unicode it is.
_LINK = re.compile(r"(?i)https?:|www\.|\w[.\u2024\u3002\uff0e\uff61]\w\w|\w@\w")
_MARKUP = re.compile(r"[<>]|\{\{|\}\}|\{%|%\}")


@dataclass(frozen=True, slots=True)
class CampaignSubject:
    """Implements `Subject` for campaigns. `zone` is the company's."""

    zone: ZoneInfo

    def shown(self, connection: psycopg.Connection[Any], payload: Payload) -> Shown:
        check_payload(payload)
        people = sum(len(group["recipients"]) for group in payload["groups"])
        offer = payload["offer"]
        figures = [
            KeyFigure(
                "Customers",
                rich(f"{people:,}"),
                (rich(f"in {len(payload['groups'])} campaigns, one a reason and wording"),),
            ),
            KeyFigure("Offer", rich(Quoted(offer["title"] or "no title"), ", code ", Quoted(offer["code"]))),
        ]
        if payload.get("unreachable"):
            figures.append(
                KeyFigure("Left out", rich(f"{payload['unreachable']:,}"), (rich("never bought in the own shop"),))
            )
        blocks: list[Block] = [Divider(), KeyFigures(tuple(figures))]
        if not offer["in_shop"]:
            line = StatusLine(
                "attention", "Discount code", rich("the shop has no active code of this name: make it before sending")
            )
            blocks.append(StatusLines((line,)))
        for group in payload["groups"]:
            blocks += _group_blocks(group)
        count = len(payload["groups"])
        campaigns = "a draft of a campaign" if count == 1 else f"{count} drafts of campaigns"
        effect = f"makes {campaigns} in Klaviyo; nothing is sent: a person sends it there"
        return Shown(tuple(blocks), effect, editable=True)

    def texts(self, connection: psycopg.Connection[Any], payload: Payload) -> Mapping[str, Text]:
        return {
            f"{group['reason']}_{name}": Text(
                group[name],
                f"{group['label']}: at most {most} characters, no digits, no links"
                + (f"; may have {_listed(_PLACES[name])}." if _PLACES[name] else "."),
            )
            for group in payload["groups"]
            for name, most in _TEXTS.items()
        }

    def revised(
        self, connection: psycopg.Connection[Any], payload: Payload, texts: Mapping[str, str], by: Person
    ) -> Revised:
        known = self.texts(connection, payload)
        unknown = sorted(set(texts) - set(known))
        if unknown:
            raise DataFailure(f"this campaign has no text called {', '.join(unknown)}")
        groups, changed = [], []
        for group in payload["groups"]:
            made = dict(group)
            for name in _TEXTS:
                key = f"{group['reason']}_{name}"
                if key in texts and texts[key].strip() != group[name]:
                    made[name] = checked_text(name, texts[key])
                    changed.append(key)
            groups.append(made)
        if not changed:
            return Revised(payload, "nothing is different")
        return Revised({**payload, "groups": groups}, f"edited by {by.name}: {', '.join(changed)}")

    def execute(self, connection: psycopg.Connection[Any], approval: Approval, now: datetime) -> str:
        from ops_platform.approvals.campaign_handover import put_up

        check_payload(approval.payload)
        count = put_up(connection, approval, now.astimezone(self.zone).date(), now)
        drafts = "one draft" if count == 1 else f"{count} drafts"
        return f"Handed over: {drafts} to be made in Klaviyo, once. Nothing is sent; what came of it is told here."


def check_payload(payload: Payload) -> None:
    """Raises `DataFailure` where this is no campaign that could be handed over."""
    groups = payload.get("groups")
    if not isinstance(payload.get("mark"), str) or not re.fullmatch(r"[a-z][a-z0-9-]{2,50}", payload["mark"]):
        raise DataFailure("a campaign needs a mark: small letters, digits and dashes")
    offer = payload.get("offer")
    if not isinstance(offer, Mapping) or not re.fullmatch(r"[A-Za-z0-9_-]{3,40}", str(offer.get("code"))):
        raise DataFailure("a campaign needs an offer with a discount code")
    if not isinstance(groups, Sequence) or isinstance(groups, str) or not groups:
        raise DataFailure("a campaign needs at least one group of recipients")
    reasons = [group.get("reason") for group in groups]
    if len(set(reasons)) != len(reasons) or not all(re.fullmatch(r"[a-z][a-z_]{0,30}", str(one)) for one in reasons):
        raise DataFailure("the groups of a campaign have a reason each, no two the same")
    everybody: list[str] = []
    for group in groups:
        for name in _TEXTS:
            if checked_text(name, str(group.get(name) or "")) != group[name]:
                raise DataFailure(f"the {name} has white space around it")
        if not group.get("recipients"):
            raise DataFailure(f"the group {group['reason']} has no recipients")
        for person in group["recipients"]:
            everybody.append(str(person["customer"]))
            moment = datetime.fromisoformat(str(person["ordered_at"]))
            if moment.tzinfo is None or not str(person["order"]).isdigit():
                raise DataFailure(f"customer {person['customer']} has no usable order")
    if len(set(everybody)) != len(everybody):
        raise DataFailure("a customer is in a campaign once")
    if len(everybody) > MOST_RECIPIENTS:
        raise DataFailure(f"{len(everybody)} recipients: at most {MOST_RECIPIENTS} at once")


def checked_text(name: str, text: str) -> str:
    """The text as it may go out, white space in order. Raises `DataFailure`, in words for an editor."""
    paragraphs = [" ".join(part.split()) for part in text.replace("\x00", "").replace("\r\n", "\n").split("\n\n")]
    text = "\n\n".join(part for part in paragraphs if part)
    if name != "body":
        text = " ".join(text.split())
    if not text:
        raise DataFailure(f"the {name} is empty")
    if len(text) > _TEXTS[name]:
        raise DataFailure(f"the {name} has {len(text)} characters; at most {_TEXTS[name]}")
    kinds = {unicodedata.category(char) for char in text if char != "\n"}
    if kinds & {"Nd", "Nl", "No"}:  # also halves, circled and Roman ones
        raise DataFailure(f"the {name} has a digit: numbers are not written by hand")
    if kinds & {"Cc", "Cf", "Cs", "Co", "Cn"}:
        raise DataFailure(f"the {name} has a character that nobody sees")
    if _MARKUP.search(text):
        raise DataFailure(f"the {name} has markup or template code")
    if _LINK.search(text):
        raise DataFailure(f"the {name} has a link or an address")
    strange = sorted(set(_PLACEHOLDER.findall(text)) - _PLACES[name])
    if strange or "{" in _PLACEHOLDER.sub("", text) or "}" in _PLACEHOLDER.sub("", text):
        allowed = _listed(_PLACES[name]) or "none"
        raise DataFailure(f"the {name} has a placeholder it cannot have; allowed: {allowed}")
    return text


def _group_blocks(group: Mapping[str, Any]) -> list[Block]:
    people = group["recipients"]
    rows = tuple(
        (rich(Quoted(str(person["customer"]))), rich(Quoted(", ".join(person["products"]) or "bestsellers")))
        for person in people[:SHOWN_RECIPIENTS]
    )
    blocks: list[Block] = [
        Heading(rich(Quoted(group["label"]), f" ({len(people):,})")),
        Paragraph(rich(bold("Subject: "), Quoted(group["subject"]))),
        Paragraph(rich(bold("Preview: "), Quoted(group["preview"]))),
        Quote(group["body"]),
        Table(("Customer", "Recommended"), rows),
    ]
    if len(people) > SHOWN_RECIPIENTS:
        blocks.append(Bullets((rich(f"and {len(people) - SHOWN_RECIPIENTS:,} more, each with their own products"),)))
    return blocks


def _listed(places: frozenset[str]) -> str:
    return ", ".join(f"{{{place}}}" for place in sorted(places))
