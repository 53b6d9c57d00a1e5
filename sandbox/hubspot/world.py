"""The account: records with their properties and histories, associations, owners, pipelines.

Belongs here: the company's CRM in HubSpot's words, and changes to it. Does not belong here: paths and answers
(`side.py`), searching (`search.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.company import Company
from sandbox.company.crm import Crm, CrmCompany, CrmContact, CrmDeal, CrmTicket, StageEntry, build_crm
from sandbox.company.outreach import LoggedCall, LoggedEmail, Outreach, build_outreach
from sandbox.company.satisfaction import SurveyAnswer, build_satisfaction
from sandbox.company.staff import BY_KEY, Employee
from sandbox.hubspot.properties import KINDS, MODIFIED, PROPERTIES, STAGE, SURVEYS, WITHOUT_CREATEDATE

_STAGES: tuple[tuple[str, str, str, str], ...] = (
    ("inquiry", "appointmentscheduled", "New inquiry", "0.1"),
    ("qualified", "qualifiedtobuy", "Qualified", "0.15"),
    ("sample", "1043219871", "Sample sent", "0.25"),
    ("quote", "presentationscheduled", "Quote sent", "0.4"),
    ("negotiation", "decisionmakerboughtin", "Negotiation", "0.6"),
    ("verbal", "1043219872", "Verbal commitment", "0.75"),
    ("contract", "contractsent", "Contract sent", "0.9"),
    ("won", "closedwon", "Closed won", "1.0"),
    ("lost", "closedlost", "Closed lost", "0.0"),
)
_TICKET_STAGES = (
    ("new", "1", "New"),
    ("waiting_on_contact", "2", "Waiting on contact"),
    ("waiting_on_us", "3", "Waiting on us"),
    ("closed", "4", "Closed"),
)
STAGE_IDS = {name: identity for name, identity, _, _ in _STAGES}
TICKET_STAGE_IDS = {name: identity for name, identity, _ in _TICKET_STAGES}
_PROBABILITY = {identity: probability for _, identity, _, probability in _STAGES}
_EPOCH = "1970-01-01T00:00:00Z"
_EURO = Decimal("1.08")
# The vendor keeps so many past values of a property.
HISTORY_KEPT = 20
# (from, to) → the types an association has; the first one is the primary company's.
ASSOCIATION_TYPES: dict[tuple[str, str], tuple[tuple[int, str | None], ...]] = {
    ("deals", "companies"): ((5, "Primary"), (341, None)),
    ("companies", "deals"): ((6, "Primary"), (342, None)),
    ("deals", "contacts"): ((3, None),),
    ("contacts", "deals"): ((4, None),),
    ("tickets", "companies"): ((26, "Primary"), (339, None)),
    ("companies", "tickets"): ((25, "Primary"), (340, None)),
    ("tickets", "contacts"): ((16, None),),
    ("contacts", "tickets"): ((15, None),),
    ("contacts", "companies"): ((1, "Primary"), (279, None)),
    ("companies", "contacts"): ((2, "Primary"), (280, None)),
    ("emails", "contacts"): ((198, None),),
    ("contacts", "emails"): ((197, None),),
    ("emails", "deals"): ((210, None),),
    ("deals", "emails"): ((209, None),),
    ("calls", "contacts"): ((194, None),),
    ("contacts", "calls"): ((193, None),),
    ("calls", "deals"): ((206, None),),
    ("deals", "calls"): ((205, None),),
    ("feedback_submissions", "contacts"): ((98, None),),
    ("contacts", "feedback_submissions"): ((97, None),),
    ("feedback_submissions", "tickets"): ((100, None),),
    ("tickets", "feedback_submissions"): ((99, None),),
}
# The outcomes of a call as every new account has them: the vendor knows them by these ids, not by name.
CALL_OUTCOMES = {
    "busy": "9d9162e7-6cf3-4944-bf63-4dff82258764",
    "connected": "f240bbac-87c9-4f6e-bf70-924b57d47db7",
    "live_message": "a4c4c377-d246-4b32-a13b-75a56a4cd0ff",
    "voicemail": "b2cf5968-551e-4856-9783-52b3da59a7d0",
    "no_answer": "73a0d17f-1163-4015-bdd5-ec830791da20",
    "wrong_number": "17b47fee-58de-441e-a44c-c6300d46f273",
}


@dataclass(slots=True)
class Item:
    """One record. `histories` has the values of a property, the newest first. `indexed` is false while the search does
    not know of the record's last change."""

    kind: str
    id: str
    properties: dict[str, str | None]
    created: datetime
    updated: datetime
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    archived: datetime | None = None
    indexed: bool = True


class World:
    """All of the account. Not thread-safe: the server calls it from its event loop alone."""

    def __init__(self, company: Company) -> None:
        self.records: dict[str, dict[str, Item]] = {kind: {} for kind in KINDS}
        self.links: dict[tuple[str, str, str], dict[str, None]] = {}
        self.swallowed: dict[tuple[str, str], str] = {}
        # Ids are never given twice, not even those of records that are gone.
        self._last: dict[str, int] = dict.fromkeys(KINDS, 1_000)
        self.definitions: dict[str, dict[str, str]] = {kind: dict(names) for kind, names in PROPERTIES.items()}
        crm = company.part(build_crm)
        self.owners = [_owner(person, company) for person in crm.owners]
        self._fill(crm)
        self._log(company.part(build_outreach))
        for answer in company.part(build_satisfaction).answers:
            item = self._keep(SURVEYS, answer, _survey_answer(answer))
            self.associate(SURVEYS, item.id, "tickets", str(answer.ticket_id))
            if answer.contact_id is not None:
                self.associate(SURVEYS, item.id, "contacts", str(answer.contact_id))

    def _log(self, outreach: Outreach) -> None:
        for kind, logged in (("emails", outreach.emails), ("calls", outreach.calls)):
            for each in logged:
                values = _email(each) if isinstance(each, LoggedEmail) else _call(each)
                item = self._keep(kind, each, values)
                if each.contact_id is not None:
                    self.associate(kind, item.id, "contacts", str(each.contact_id))
                if each.deal_id is not None:
                    self.associate(kind, item.id, "deals", str(each.deal_id))

    def _fill(self, crm: Crm) -> None:
        for company in crm.companies:
            self._keep("companies", company, _company(company))
        for contact in crm.contacts:
            self._keep("contacts", contact, _contact(contact))
            if contact.company_id is not None:
                self.associate("contacts", str(contact.id), "companies", str(contact.company_id))
        for deal in crm.deals:
            item = self._keep("deals", deal, _deal(deal))
            item.histories["dealstage"] = _history(deal.stages, STAGE_IDS)
            if deal.company_id is not None:
                self.associate("deals", item.id, "companies", str(deal.company_id))
            for contact_id in deal.contact_ids:
                self.associate("deals", item.id, "contacts", str(contact_id))
        for ticket in crm.tickets:
            item = self._keep("tickets", ticket, _ticket(ticket))
            item.histories["hs_pipeline_stage"] = _history(ticket.stages, TICKET_STAGE_IDS)
            if ticket.company_id is not None:
                self.associate("tickets", item.id, "companies", str(ticket.company_id))
            if ticket.contact_id is not None:
                self.associate("tickets", item.id, "contacts", str(ticket.contact_id))

    def _keep(
        self,
        kind: str,
        told: CrmCompany | CrmContact | CrmDeal | CrmTicket | LoggedEmail | LoggedCall | SurveyAnswer,
        values: dict[str, str | None],
    ) -> Item:
        item = Item(kind, str(told.id), values, told.created_at, told.modified_at, archived=told.archived_at)
        merged: tuple[int, ...] = getattr(told, "merged", ())
        if merged:
            values["hs_merged_object_ids"] = ";".join(map(str, merged))
            self.swallowed.update({(kind, str(each)): item.id for each in merged})
        self._stamp(item)
        self.records[kind][item.id] = item
        self._last[kind] = max(self._last[kind], told.id, *merged)
        return item

    def free_id(self, kind: str) -> str:
        """An id that no record of the kind ever had."""
        return str(self._last[kind] + 1)

    def _stamp(self, item: Item) -> None:
        item.properties["hs_object_id"] = item.id
        if item.kind not in WITHOUT_CREATEDATE:
            item.properties["createdate"] = item.properties.get("createdate") or stamp(item.created)
        item.properties["hs_createdate"] = stamp(item.created)
        for name in {MODIFIED[item.kind], "hs_lastmodifieddate"}:
            item.properties[name] = stamp(item.updated)

    # Reading ----------------------------------------------------------------------------------------------

    def living(self, kind: str) -> list[Item]:
        """In the order of lists: by id."""
        return sorted((item for item in self.records[kind].values() if item.archived is None), key=_by_id)

    def archived(self, kind: str) -> list[Item]:
        return sorted((item for item in self.records[kind].values() if item.archived is not None), key=_by_id)

    def get(self, kind: str, identity: str) -> Item | None:
        """The record, or the one it was merged into; None where there is none that lives."""
        identity = self.swallowed.get((kind, identity), identity)
        item = self.records[kind].get(identity)
        return item if item is not None and item.archived is None else None

    def associated(self, kind: str, identity: str, to_kind: str) -> list[str]:
        """Ids of living records a record is associated with."""
        there = self.records[to_kind]
        linked = self.links.get((kind, identity, to_kind), {})
        return [each for each in linked if each in there and there[each].archived is None]

    def pipelines(self, kind: str) -> list[dict[str, Any]]:
        if kind == "deals":
            stages = [
                _stage(
                    identity,
                    label,
                    place,
                    {"isClosed": _truth(probability in ("1.0", "0.0")), "probability": probability},
                )
                for place, (_, identity, label, probability) in enumerate(_STAGES)
            ]
            return [_pipeline("default", "Wholesale pipeline", stages)]
        states = [
            _stage(
                identity, label, place,
                {"isClosed": _truth(name == "closed"), "ticketState": "CLOSED" if name == "closed" else "OPEN"},
            )
            for place, (name, identity, label) in enumerate(_TICKET_STAGES)
        ]  # fmt: skip
        return [_pipeline("0", "Support pipeline", states)]

    # Changing ---------------------------------------------------------------------------------------------

    def upsert(
        self, kind: str, identity: str, values: Mapping[str, str | None], at: datetime, indexed: bool = True
    ) -> Item:
        item = self.records[kind].get(identity)
        if item is None:
            item = Item(kind, identity, {}, at, at)
            self.records[kind][identity] = item
            self._last[kind] = max(self._last[kind], int(identity))
        item.updated, item.indexed = at, indexed
        stage = STAGE.get(kind)
        if stage is not None and values.get(stage, item.properties.get(stage)) != item.properties.get(stage):
            entry = {"value": values[stage], "timestamp": stamp(at), "sourceType": "API", "sourceId": "sandbox"}
            item.histories[stage] = [entry, *item.histories.get(stage, [])][:HISTORY_KEPT]
        item.properties.update(values)
        self._stamp(item)
        return item

    def merge(self, kind: str, winner: Item, loser: Item, at: datetime) -> None:
        merged = [*filter(None, (winner.properties.get("hs_merged_object_ids") or "").split(";")), loser.id]
        del self.records[kind][loser.id]
        self.swallowed[(kind, loser.id)] = winner.id
        for to_kind in KINDS:
            for target in list(self.links.get((kind, loser.id, to_kind), {})):
                self.dissociate(kind, loser.id, to_kind, target)
                self.associate(kind, winner.id, to_kind, target)
        self.upsert(kind, winner.id, {"hs_merged_object_ids": ";".join(merged)}, at)

    def associate(self, kind: str, identity: str, to_kind: str, to_id: str) -> None:
        self.links.setdefault((kind, identity, to_kind), {})[to_id] = None
        self.links.setdefault((to_kind, to_id, kind), {})[identity] = None

    def dissociate(self, kind: str, identity: str, to_kind: str, to_id: str) -> None:
        self.links.get((kind, identity, to_kind), {}).pop(to_id, None)
        self.links.get((to_kind, to_id, kind), {}).pop(identity, None)


# -- words --------------------------------------------------------------------------------------------------------


def stamp(at: datetime) -> str:
    """`2024-12-05T11:00:00.000Z`, as the vendor writes times."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def owner_id(key: str) -> str:
    return str(760_000_000 + BY_KEY[key].number * 11)


def _by_id(item: Item) -> int:
    return int(item.id)


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _time(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)


def _double(text: str) -> str:
    """A number as the vendor calculates it: a double, written out to its last digit."""
    return str(Decimal(float(text)))


def _stage(identity: str, label: str, place: int, metadata: dict[str, str]) -> dict[str, Any]:
    return {
        "id": identity,
        "label": label,
        "displayOrder": place,
        "metadata": metadata,
        # Stages that came with the account have no date of their own.
        "createdAt": "2024-02-01T09:00:00Z" if identity.startswith("10") else _EPOCH,
        "updatedAt": "2024-02-01T09:00:00Z",
        "archived": False,
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
    }


def _pipeline(identity: str, label: str, stages: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": identity,
        "label": label,
        "displayOrder": 0,
        "stages": stages,
        "createdAt": _EPOCH,
        "updatedAt": "2024-02-01T09:00:00Z",
        "archived": False,
    }


def _owner(person: Employee, company: Company) -> dict[str, Any]:
    return {
        "id": owner_id(person.key),
        "email": person.email,
        "type": "PERSON",
        "firstName": person.first_name,
        "lastName": person.last_name,
        "userId": 5_000_000 + person.number,
        "userIdIncludingInactive": 5_000_000 + person.number,
        "createdAt": stamp(company.shop.created_at),
        "updatedAt": stamp(company.shop.created_at),
        "archived": person.left,
    }


def _history(stages: tuple[StageEntry, ...], ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """The newest first."""
    found: list[dict[str, Any]] = []
    for entry in reversed(stages):
        told: dict[str, Any] = {
            "value": ids[entry.stage],
            "timestamp": stamp(entry.at),
            "sourceType": "CRM_UI" if entry.by else "INTEGRATION",
            "sourceId": f"userId:{5_000_000 + BY_KEY[entry.by].number}" if entry.by else "8813122",
        }
        if entry.by:
            told["updatedByUserId"] = 5_000_000 + BY_KEY[entry.by].number
        found.append(told)
    return found[:HISTORY_KEPT]


def _owned(key: str | None) -> str | None:
    return None if key is None else owner_id(key)


def _company(company: CrmCompany) -> dict[str, str | None]:
    return {
        "name": company.name,
        "domain": company.domain,
        "country": company.country,
        "industry": company.industry,
        "lifecyclestage": company.lifecycle,
        "hubspot_owner_id": _owned(company.owner),
        "erp_customer_id": _text(company.erp_customer_id),
        "numberofemployees": _text(company.employees),
        "notes_last_contacted": _time(company.last_contact_at),
    }


def _contact(contact: CrmContact) -> dict[str, str | None]:
    return {
        "firstname": contact.first_name,
        "lastname": contact.last_name,
        "email": contact.email,
        "phone": "+1 555 0100",
        "jobtitle": contact.title,
        "company": contact.company_name,
        "country": contact.country,
        "lifecyclestage": contact.lifecycle,
        "hs_lead_status": contact.lead_status,
        "hubspot_owner_id": _owned(contact.owner),
        "hs_email_domain": contact.email.rpartition("@")[2] if contact.email else None,
        "hs_analytics_source": contact.source,
        "associatedcompanyid": _text(contact.company_id),
        "num_contacted_notes": _text(contact.touches or None),
        "notes_last_contacted": _time(contact.last_contact_at),
        "hs_last_sales_activity_timestamp": _time(contact.last_contact_at),
    }


def _deal(deal: CrmDeal) -> dict[str, str | None]:
    stage = STAGE_IDS[deal.stage]
    home = None
    if deal.amount is not None:
        home = deal.amount if deal.currency == "USD" else (deal.amount * _EURO).quantize(Decimal("0.01"))
    return {
        "dealname": deal.name,
        "amount": _text(deal.amount),
        "dealstage": stage,
        "pipeline": "default",
        "closedate": _time(deal.close_at),
        "hubspot_owner_id": _owned(deal.owner),
        "dealtype": "existingbusiness" if deal.invoice else "newbusiness",
        "deal_currency_code": deal.currency,
        "amount_in_home_currency": _text(home),
        "hs_is_closed": _truth(deal.stage in ("won", "lost")),
        "hs_is_closed_won": _truth(deal.stage == "won"),
        "hs_deal_stage_probability": _double(_PROBABILITY[stage]),
        "closed_lost_reason": deal.lost_reason,
        "erp_invoice_number": deal.invoice,
        "num_associated_contacts": str(len(deal.contact_ids)),
        "hs_next_step": deal.next_step,
        "num_contacted_notes": _text(deal.touches or None),
        "notes_last_contacted": _time(deal.last_contact_at),
        "hs_last_sales_activity_timestamp": _time(deal.last_contact_at),
    }


def _ticket(ticket: CrmTicket) -> dict[str, str | None]:
    closed, reply = ticket.closed_at, ticket.first_reply_at
    return {
        "subject": ticket.subject,
        "content": ticket.content,
        "hs_pipeline": "0",
        "hs_pipeline_stage": TICKET_STAGE_IDS[ticket.stage],
        "hs_ticket_priority": ticket.priority,
        "hs_ticket_category": ticket.category,
        "hubspot_owner_id": _owned(ticket.owner),
        "source_type": ticket.source,
        "closed_date": _time(closed),
        "first_agent_reply_date": _time(reply),
        "time_to_close": _milliseconds(ticket.created_at, closed),
        "time_to_first_agent_reply": _milliseconds(ticket.created_at, reply),
        "shop_order_name": ticket.order,
    }


def _email(email: LoggedEmail) -> dict[str, str | None]:
    return {
        "hs_timestamp": stamp(email.at),
        "hs_email_direction": "INCOMING_EMAIL" if email.incoming else "EMAIL",
        "hs_email_status": email.status.upper(),
        "hs_email_subject": email.subject,
        "hs_email_text": f"{email.subject}\n\nBest regards",
        "hs_email_from_email": "somebody@mail.example" if email.incoming else f"{email.owner}@northbeam.example",
        "hs_email_to_email": "somebody@mail.example",
        "hs_email_thread_id": str(email.thread),
        "hubspot_owner_id": _owned(email.owner),
    }


def _call(call: LoggedCall) -> dict[str, str | None]:
    return {
        "hs_timestamp": stamp(call.at),
        "hs_call_direction": "INBOUND" if call.incoming else "OUTBOUND",
        "hs_call_status": "COMPLETED",
        "hs_call_disposition": CALL_OUTCOMES[call.outcome] if call.outcome else None,
        "hs_call_duration": _text(call.milliseconds),
        "hs_call_title": "Call",
        "hs_call_to_number": "+1 555 0100",
        "hubspot_owner_id": _owned(call.owner),
    }


def _survey_answer(answer: SurveyAnswer) -> dict[str, str | None]:
    return {
        "hs_survey_type": "CSAT",
        "hs_survey_id": "5",
        "hs_survey_name": "How did we do?",
        "hs_survey_channel": answer.channel,
        "hs_value": str(answer.rating),
        "hs_response_group": ("DETRACTOR", "PASSIVE", "PROMOTER")[answer.rating],
        "hs_submission_timestamp": stamp(answer.at),
        "hs_submission_name": "How did we do? - somebody@mail.example",
        "hs_content": answer.words,
        "hs_contact_id": _text(answer.contact_id),
        "hs_contact_email_rollup": "somebody@mail.example",
    }


def _milliseconds(start: datetime, end: datetime | None) -> str | None:
    return None if end is None else str(int((end - start).total_seconds() * 1000))
