"""What is read of each kind of HubSpot record: its properties, and what a record must be like to land.

Belongs here: names of properties, which of them must exist, checks. Does not belong here: HTTP (`client.py`), which
records are asked for (`source.py`).

Only properties that are asked for come back, so they are listed here. Of people only what a report needs is asked for:
no e-mail address, telephone or postal address of a contact; of an e-mail or a call no subject, text, address or number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ops_platform.ingestion.contract import Stream
from ops_platform.records import JsonObject, Record
from resources.record_checks import (
    INVALID_MONEY,
    INVALID_NUMBER,
    INVALID_SHAPE,
    LARGEST_INT,
    MISSING_FIELD,
    MISSING_ID,
    Flaw,
    currency,
    decimal_text,
    is_integer,
    moment,
    text_id,
)

VENDOR = "hubspot"
# The search index follows the records with a delay of seconds, at times of minutes.
LOOK_BACK = timedelta(minutes=10)
MERGED = "hs_merged_object_ids"

_OWNER_FIELDS = ("id", "type", "firstName", "lastName", "userId", "createdAt", "updatedAt")
_ID = re.compile(r"\d{1,19}")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record. `modified` is the property an incremental read filters by. Without `required` properties the
    stream makes no sense; `optional` ones are asked for where the account has them (features of higher editions,
    custom properties that link to other systems). `filled` ones may never be empty; `empty_means` says what is wrong
    when they are. `created` is the property of the day of creation, `stage` the one whose history is kept."""

    name: str
    description: str
    modified: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    empty_means: str = ""
    created: str = "createdate"
    stage: str | None = None
    associated: tuple[str, ...] = ()

    @property
    def essential(self) -> tuple[str, ...]:
        """What is always asked for: without it nothing can be told about any record."""
        return ("hs_object_id", self.created, self.modified)

    @property
    def properties(self) -> tuple[str, ...]:
        """All that stand in a record as it lands."""
        return (*self.essential, *self.required, MERGED, *self.optional)

    @property
    def stream(self) -> Stream:
        grain = f"one row per record of {self.name}"
        return Stream(VENDOR, self.name, self.description, look_back=LOOK_BACK, ties_out=True, grain=grain)


CONTACTS = Kind(
    "contacts",
    "People at companies, without e-mail address and telephone",
    # Contacts alone keep their time of modification under this name.
    "lastmodifieddate",
    ("firstname", "lastname", "jobtitle", "company", "country", "lifecyclestage", "hs_lead_status", "hubspot_owner_id"),
    (
        "hs_email_domain", "hs_analytics_source", "associatedcompanyid", "notes_last_contacted", "num_contacted_notes",
        "num_associated_deals", "hs_last_sales_activity_timestamp",
    ),
    times=("notes_last_contacted", "hs_last_sales_activity_timestamp"),
    numbers=("num_contacted_notes", "num_associated_deals"),
)  # fmt: skip
COMPANIES = Kind(
    "companies",
    "Companies: dealers and retailers, and those who may become one",
    "hs_lastmodifieddate",
    ("name", "domain", "country", "industry", "lifecyclestage", "hubspot_owner_id"),
    ("erp_customer_id", "numberofemployees", "annualrevenue", "notes_last_contacted", "hs_parent_company_id"),
    times=("notes_last_contacted",),
    numbers=("numberofemployees", "annualrevenue"),
)
DEALS = Kind(
    "deals",
    "Deals of the wholesale pipeline with amount, stage and owner",
    "hs_lastmodifieddate",
    (
        "dealname", "amount", "dealstage", "pipeline", "closedate", "hubspot_owner_id", "dealtype",
    ),
    (
        "deal_currency_code", "amount_in_home_currency", "hs_is_closed", "hs_is_closed_won",
        "hs_deal_stage_probability", "closed_lost_reason", "closed_won_reason", "hs_priority", "erp_invoice_number",
        "notes_last_contacted", "num_contacted_notes", "num_associated_contacts", "hs_next_step",
        "hs_manual_forecast_category", "hs_last_sales_activity_timestamp",
    ),
    times=("closedate", "notes_last_contacted", "hs_last_sales_activity_timestamp"),
    numbers=("hs_deal_stage_probability", "num_contacted_notes", "num_associated_contacts"),
    money=("amount", "amount_in_home_currency"),
    currencies=("deal_currency_code",),
    flags=("hs_is_closed", "hs_is_closed_won"),
    stage="dealstage",
    associated=("companies", "contacts"),
)  # fmt: skip
TICKETS = Kind(
    "tickets",
    "Customers' tickets with stage, priority and text",
    "hs_lastmodifieddate",
    (
        "subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category",
        "hubspot_owner_id", "source_type", "closed_date",
    ),
    ("first_agent_reply_date", "hs_resolution", "time_to_close", "time_to_first_agent_reply", "shop_order_name"),
    times=("closed_date", "first_agent_reply_date"),
    numbers=("time_to_close", "time_to_first_agent_reply"),
    stage="hs_pipeline_stage",
    associated=("companies", "contacts"),
)  # fmt: skip

EMAILS = Kind(
    "emails",
    "E-mails of sales: which way they went, what became of them, by whom; no address, subject or text",
    "hs_lastmodifieddate",
    ("hs_timestamp", "hs_email_direction", "hs_email_status", "hubspot_owner_id"),
    times=("hs_timestamp",),
    filled=("hs_timestamp", "hs_email_direction"),
    empty_means=": HubSpot keeps e-mails from an app without the scope sales-email-read",
    created="hs_createdate",
)
CALLS = Kind(
    "calls",
    "Calls of sales: which way they went, their outcome and length, by whom; no number and no notes",
    "hs_lastmodifieddate",
    ("hs_timestamp", "hs_call_direction", "hubspot_owner_id"),
    ("hs_call_status", "hs_call_disposition", "hs_call_duration"),
    times=("hs_timestamp",),
    numbers=("hs_call_duration",),
    filled=("hs_timestamp",),
    created="hs_createdate",
)

SURVEY_ANSWERS = Kind(
    "feedback_submissions",
    "Answers to customer surveys: which kind of survey, the rating, when; no name, no address, no words",
    "hs_lastmodifieddate",
    ("hs_survey_type", "hs_value"),
    # A rating is a number in every survey but those of one's own making, whose answers may be words.
    ("hs_response_group", "hs_survey_channel", "hs_survey_id", "hs_submission_timestamp"),
    times=("hs_submission_timestamp",),
    created="hs_createdate",
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind for kind in (COMPANIES, CONTACTS, DEALS, TICKETS, EMAILS, CALLS, SURVEY_ANSWERS)
}
STAGED = tuple(kind for kind in KINDS.values() if kind.stage is not None)
OWNERS = Stream(
    VENDOR, "owners", "Owners: who answers for records, those who left too", full_refresh=True, ties_out=True
)
PIPELINES = Stream(
    VENDOR,
    "pipelines",
    "Pipelines of deals and tickets with their stages",
    full_refresh=True,
    ties_out=True,
    grain="one row per pipeline of a kind of record",
)
STAGE_HISTORY = Stream(
    VENDOR,
    "stage_history",
    "Every stage a deal or ticket entered, and when",
    look_back=LOOK_BACK,
    no_tie_out="HubSpot counts no transitions; a second count would read the history of every record again",
    grain="one row per transition",
)
ASSOCIATIONS = Stream(
    VENDOR,
    "associations",
    "Which companies and contacts a deal or ticket belongs to",
    look_back=LOOK_BACK,
    no_tie_out="HubSpot counts no pairs of both kinds; the sweep reads every pair again and compares",
    grain="one row per pair of records",
)
# Small reference entities first: a run that is cut short keeps them.
STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        OWNERS,
        PIPELINES,
        *(kind.stream for kind in KINDS.values()),
        STAGE_HISTORY,
        ASSOCIATIONS,
    )
}


# -- records ------------------------------------------------------------------------------------------------


def record_id(item: Any) -> str:
    """The id of a record, or `Flaw`. Ids are whole numbers, written as text."""
    identity = text_id(item.get("id") if isinstance(item, dict) else None)
    if not _ID.fullmatch(identity):
        raise Flaw(MISSING_ID, f"id is {identity!r}, not a record id")
    return identity


def check_object(kind: Kind, item: Any) -> Record:
    """The record as it lands: the same whichever endpoint it came from. Raises `Flaw`."""
    values = property_values(item)
    identity = record_id(item)
    kept = {name: values.get(name) for name in kind.properties}
    for name, value in kept.items():
        if value is not None and not isinstance(value, str):
            raise Flaw(INVALID_SHAPE, f"{name} is {value!r:.80}, not text as every property value is")
        if value == "":
            # A cleared property comes as null or as empty text, depending on how it was cleared.
            kept[name] = None
    updated = modified_at(kind, item, kept)
    for name in kind.filled:
        if kept.get(name) is None:
            raise Flaw(MISSING_FIELD, f"{name} is missing{kind.empty_means}")
    for name in (kind.created, *kind.times):
        if kept.get(name) is not None:
            moment(kept[name], name)
    for name in kind.numbers:
        if kept.get(name) is not None:
            decimal_text(kept[name], name, INVALID_NUMBER)
    for name in kind.money:
        if kept.get(name) is not None:
            decimal_text(kept[name], name, INVALID_MONEY)
    for name in kind.flags:
        _flag(kept.get(name), name)
    for name in kind.currencies:
        if kept.get(name) is not None:
            currency(kept[name], name)
    if kind.stage is not None and kept.get(kind.stage) is None:
        raise Flaw(MISSING_FIELD, f"{kind.stage} is missing")
    payload: JsonObject = {
        "id": identity,
        "createdAt": item.get("createdAt"),
        "updatedAt": item.get("updatedAt"),
        "archived": bool(item.get("archived", False)),
        "properties": kept,
    }
    return Record(identity, payload, updated)


def _flag(value: Any, where: str) -> None:
    if value not in (None, "", "true", "false"):
        raise Flaw(INVALID_SHAPE, f"{where} is {value!r:.80}, neither true nor false")


def check_pipeline(item: JsonObject) -> Record:
    """A pipeline with its stages, whose numbers and truth values are text; `objectType` says of which kind of record
    it is. Raises `Flaw`."""
    stages = item.get("stages")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) and stage.get("id") for stage in stages):
        raise Flaw(INVALID_SHAPE, "the pipeline has no stages")
    for stage in stages:
        place = stage.get("displayOrder")
        if place is not None and not is_integer(place, LARGEST_INT):
            raise Flaw(INVALID_SHAPE, f"displayOrder of a stage is {place!r:.80}, not a place in a list")
        metadata = stage.get("metadata")
        if not isinstance(metadata, dict):
            continue
        _flag(metadata.get("isClosed"), "isClosed of a stage")
        if metadata.get("probability") not in (None, ""):
            decimal_text(metadata["probability"], "probability of a stage", INVALID_NUMBER)
    return Record(f"{item.get('objectType')}:{text_id(item.get('id'))}", item)


def property_values(item: Any) -> JsonObject:
    """The `properties` of a record, or `Flaw`."""
    values = item.get("properties") if isinstance(item, dict) else None
    if not isinstance(values, dict):
        raise Flaw(INVALID_SHAPE, "the record has no properties")
    return values


def modified_at(kind: Kind, item: JsonObject, values: JsonObject) -> datetime:
    """When the record was last modified: the property that searches filter by, else what stands beside it."""
    value = values.get(kind.modified)
    return moment(value, kind.modified) if value else moment(item.get("updatedAt"), "updatedAt")


def merged_away(item: JsonObject) -> set[str]:
    """The ids of records that were merged into this one and are no longer there."""
    values = item.get("properties")
    text = values.get(MERGED) if isinstance(values, dict) else None
    found = set(_ID.findall(text)) if isinstance(text, str) else set()
    return found - {str(item.get("id"))}


def history(kind: Kind, item: JsonObject) -> list[JsonObject]:
    """The stages a record entered, each as it would land, unchecked. Raises `Flaw` when there is no history.

    The vendor keeps a limited number of past values; rows landed earlier stay, so that none is lost."""
    assert kind.stage is not None
    identity = record_id(item)
    histories = item.get("propertiesWithHistory")
    entries = histories.get(kind.stage) if isinstance(histories, dict) else None
    if not isinstance(entries, list) or not entries:
        if property_values(item).get(kind.stage) in (None, ""):
            return []
        raise Flaw(MISSING_FIELD, f"{kind.name} {identity} came without the history of {kind.stage}")
    if not all(isinstance(entry, dict) for entry in entries):
        raise Flaw(INVALID_SHAPE, "an entry of the history is not an object")
    return [
        {
            "record": f"{kind.name}:{identity}",
            "object_type": kind.name,
            "object_id": identity,
            "property": kind.stage,
            "value": None if entry.get("value") == "" else entry.get("value"),
            "timestamp": entry.get("timestamp"),
            "sourceType": entry.get("sourceType"),
            "sourceId": entry.get("sourceId"),
            "updatedByUserId": entry.get("updatedByUserId"),
        }
        for entry in entries
    ]


def check_transition(payload: JsonObject) -> Record:
    """One entered stage. Raises `Flaw`."""
    value = payload.get("value")
    if value is not None and not isinstance(value, str):
        raise Flaw(INVALID_SHAPE, f"a stage in the history is {value!r:.80}, not text")
    at = moment(payload.get("timestamp"), "timestamp of a stage")
    return Record(transition_id(payload), payload, at)


def transition_id(payload: JsonObject) -> str:
    record = payload.get("record")
    if not isinstance(record, str) or not record:
        raise Flaw(MISSING_ID, "the stage belongs to no record")
    return f"{record}:{payload.get('timestamp')}:{payload.get('value') or ''}"


def check_association(target: JsonObject) -> Record:
    """What a record is associated with; `target` says of which record. Raises `Flaw`."""
    start = f"{target.get('from_type')}:{target.get('from_id')}"
    to_type, to_id = target.get("to_type"), text_id(target.get("toObjectId"), "toObjectId")
    types = target.get("associationTypes")
    if not isinstance(types, list):
        raise Flaw(INVALID_SHAPE, "associationTypes is no list")
    kept = [
        {"category": each.get("category"), "typeId": each.get("typeId"), "label": each.get("label")}
        for each in types
        if isinstance(each, dict)
    ]
    payload: JsonObject = {
        "from": start,
        "from_type": target.get("from_type"),
        "from_id": target.get("from_id"),
        "to_type": to_type,
        "to_id": to_id,
        "types": sorted(kept, key=lambda each: (str(each["category"]), str(each["typeId"]))),
    }
    return Record(f"{start}>{to_type}:{to_id}", payload)


def check_owner(item: JsonObject) -> Record:
    """An owner, by what names a colleague in a report: no e-mail address. Raises `Flaw`."""
    kept: JsonObject = {name: item.get(name) for name in _OWNER_FIELDS}
    return Record(text_id(item.get("id")), {**kept, "archived": bool(item.get("archived", False))})
