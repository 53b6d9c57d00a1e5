"""What clients make in the Klaviyo account: lists, templates, campaigns, texts on profiles.

Belongs here: the writing endpoints, what they refuse, what is kept. Does not belong here: reading (`side.py`), the
story (`account.py`).

What was made outlives the process, in the ledger's documents; each making is an effect. Klaviyo lets two things have
one name, so a client that repeats itself makes two. Sending is served like everything else: whether a client sends
shows in the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from sandbox.company.campaigns import mailed_orders, short_id, ulid
from sandbox.klaviyo.account import Account, Json, Resource, iso

if TYPE_CHECKING:
    from sandbox.hooks import Clock
    from sandbox.ledger import SqliteLedger

COLLECTION = "klaviyo_made"
LISTS_A_DAY = 150
PROFILES_AT_ONCE = 1000
NAME_MOST = 255
SUBJECT_MOST = 998
BODY_MOST = 100_000
# A tag that Klaviyo's template language cannot read is refused when the template is saved.
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_READABLE = re.compile(
    r"\{\{\s*(?:person|event|organization|unsubscribe_url)(?:[|.][\w:'\"{}\- ]+)*\s*\}\}|\{%\s*[\w .'\"|:]+\s*%\}"
)


class NotMade(Exception):
    """A refusal. `pointer` names the part of the body."""

    def __init__(self, status: int, detail: str, pointer: str = "/data/") -> None:
        super().__init__(detail)
        self.status = status
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Operation:
    """A writing endpoint: the scopes it wants and the limit it counts under."""

    name: str
    scopes: tuple[str, ...]
    limit: str
    make: Callable[[Drafts, Json, str], tuple[int, Json | None]]


class Drafts:
    """The writing half of the account."""

    def __init__(self, ledger: SqliteLedger | None, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._made: dict[str, Json] = dict(ledger.documents(COLLECTION)) if ledger is not None else {}
        self._account: Account | None = None
        self._profiles: frozenset[str] = frozenset()

    def enter(self, account: Account) -> None:
        """What was made is in this account (built anew when the clock moves)."""
        self._account = account
        self._profiles = frozenset()
        account.objects.setdefault("template", {})
        for body in self._made.values():
            if body["kind"] in account.objects:
                account.objects[body["kind"]][body["id"]] = Resource(
                    body["kind"], body["id"], body["attributes"],
                    {name: (kind, ids) for name, (kind, ids) in body["related"].items()}, body["more"],
                )  # fmt: skip

    @property
    def account(self) -> Account:
        assert self._account is not None
        return self._account

    # -- the endpoints ----------------------------------------------------------------------------------------

    def make_list(self, asked: Json, _: str) -> tuple[int, Json | None]:
        attributes = _attributes(asked, "list")
        name = _text(attributes, "name", NAME_MOST)
        today = self._now().date().isoformat()
        made = sum(
            body["kind"] == "list" and body["attributes"]["created"].startswith(today) for body in self._made.values()
        )
        if made >= LISTS_A_DAY:
            raise NotMade(429, "Request was throttled.")
        process = attributes.get("opt_in_process") or "single_opt_in"
        if process not in ("single_opt_in", "double_opt_in"):
            raise NotMade(400, f"'{process}' is not a valid opt-in process.", "/data/attributes/opt_in_process")
        now = iso(self._now())
        found = self._keep(
            "list", {"name": name, "created": now, "updated": now, "opt_in_process": process}, effect="list_made"
        )
        return 201, {"data": _shown(found)}

    def fill_list(self, asked: Json, identity: str) -> tuple[int, Json | None]:
        if identity not in self.account.objects["list"]:
            raise NotMade(404, f"A list with id {identity} does not exist.")
        data = asked.get("data")
        if not isinstance(data, list) or not 1 <= len(data) <= PROFILES_AT_ONCE:
            raise NotMade(400, f"Between 1 and {PROFILES_AT_ONCE} profiles can be added at once.", "/data")
        wanted = [str(item.get("id")) for item in data if isinstance(item, Mapping) and item.get("type") == "profile"]
        unknown = sorted(set(wanted) - self._known_profiles())
        if unknown or len(wanted) != len(data):
            raise NotMade(404, f"Profile(s) with id(s) {', '.join(unknown) or '?'} do not exist.")
        key = f"members:{identity}"
        members = dict.fromkeys([*self._made.get(key, {}).get("ids", ()), *wanted])
        body = {"kind": "members", "id": identity, "ids": list(members)}
        self._write({key: body}, "list_filled", {"list": identity, "profiles": wanted})
        return 204, None

    def change_profile(self, asked: Json, identity: str) -> tuple[int, Json | None]:
        if identity not in self._known_profiles():
            raise NotMade(404, f"A profile with id {identity} does not exist.")
        data = asked.get("data")
        if not isinstance(data, Mapping) or data.get("id") != identity:
            raise NotMade(400, "The id of the body is not that of the address.", "/data/id")
        properties = _attributes(asked, "profile").get("properties")
        if not isinstance(properties, Mapping) or not properties:
            raise NotMade(400, "Nothing to change.", "/data/attributes")
        if len(orjson.dumps(asked)) > BODY_MOST:
            raise NotMade(400, "The payload is larger than 100 KB.")
        key = f"profile:{identity}"
        before = self._made.get(key, {}).get("properties", {})
        body = {"kind": "profile", "id": identity, "properties": {**before, **properties}}
        self._write({key: body}, "profile_changed", {"profile": identity, "properties": dict(properties)})
        return 200, {"data": {"type": "profile", "id": identity, "attributes": {"properties": body["properties"]}}}

    def make_template(self, asked: Json, _: str) -> tuple[int, Json | None]:
        attributes = _attributes(asked, "template")
        name = _text(attributes, "name", NAME_MOST)
        if attributes.get("editor_type") not in ("CODE", "USER_DRAGGABLE"):
            raise NotMade(400, "editor_type must be CODE or USER_DRAGGABLE.", "/data/attributes/editor_type")
        markup = _text(attributes, "html", BODY_MOST)
        for text, where in ((markup, "html"), (str(attributes.get("text") or ""), "text")):
            for tag in _TAG.findall(text):
                if not _READABLE.fullmatch(tag):
                    raise NotMade(400, f"Invalid template syntax: {tag[:60]}", f"/data/attributes/{where}")
        now = iso(self._now())
        found = self._keep(
            "template",
            {"name": name, "editor_type": attributes["editor_type"], "html": markup, "text": attributes.get("text"),
             "created": now, "updated": now},
            effect="template_made",
        )  # fmt: skip
        return 201, {"data": _shown(found)}

    def make_campaign(self, asked: Json, _: str) -> tuple[int, Json | None]:
        attributes = _attributes(asked, "campaign")
        name = _text(attributes, "name", NAME_MOST)
        included, excluded = self._audiences(attributes)
        content, label = _message(attributes)
        now = iso(self._now())
        identity = ulid(f"campaign|{name}|{len(self._made)}", self._now())
        message_id = ulid(f"message|{identity}", self._now())
        message = Resource(
            "campaign-message", message_id,
            {"definition": {"channel": "email", "label": label, "content": content}, "send_times": [],
             "created_at": now, "updated_at": now},
            {"campaign": ("campaign", [identity])},
        )  # fmt: skip
        campaign = Resource(
            "campaign", identity,
            {"name": name, "status": "Draft", "archived": False,
             "audiences": {"included": included, "excluded": excluded},
             "send_options": attributes.get("send_options") or {"use_smart_sending": True},
             "tracking_options": {"is_tracking_opens": True, "is_tracking_clicks": True, "add_tracking_params": False,
                                  "custom_tracking_params": []},
             "send_strategy": {"method": "immediate"}, "created_at": now, "scheduled_at": None, "updated_at": now,
             "send_time": None},
            {"campaign-messages": ("campaign-message", [message_id])}, {"messages.channel": "email"},
        )  # fmt: skip
        documents = {f"campaign:{identity}": _kept(campaign), f"campaign-message:{message_id}": _kept(message)}
        for made in (campaign, message):
            self.account.objects[made.kind][made.id] = made
        self._write(documents, "campaign_drafted", {"campaign": identity, "name": name, "audiences": included})
        return 201, {"data": _shown(campaign)}

    def assign_template(self, asked: Json, _: str) -> tuple[int, Json | None]:
        data = asked.get("data")
        found = data if isinstance(data, Mapping) and data.get("type") == "campaign-message" else {}
        message = self.account.objects["campaign-message"].get(str(found.get("id")))
        template = ((found.get("relationships") or {}).get("template") or {}).get("data") or {}
        if message is None:
            raise NotMade(404, "The campaign message does not exist.")
        if str(template.get("id")) not in self.account.objects["template"]:
            raise NotMade(404, "The template does not exist.", "/data/relationships/template/data/id")
        campaign = self.account.objects["campaign"][message.related["campaign"][1][0]]
        if campaign.attributes["status"] != "Draft":
            raise NotMade(409, "Only a draft's template can be changed.")
        message.related["template"] = ("template", [str(template["id"])])
        detail = {"campaign": campaign.id, "message": message.id, "template": str(template["id"])}
        self._write({f"campaign-message:{message.id}": _kept(message)}, "template_assigned", detail)
        return 200, {"data": _shown(message)}

    def send(self, asked: Json, _: str) -> tuple[int, Json | None]:
        data = asked.get("data")
        campaign = self.account.objects["campaign"].get(str(data.get("id") if isinstance(data, Mapping) else None))
        if campaign is None:
            raise NotMade(404, "The campaign does not exist.")
        if campaign.attributes["status"] != "Draft":
            raise NotMade(409, "Only a draft can be sent.")
        campaign.attributes["status"] = "Sending"
        self._write({f"campaign:{campaign.id}": _kept(campaign)}, "campaign_sent", {"campaign": campaign.id})
        return 202, {"data": {"type": "campaign-send-job", "id": campaign.id, "attributes": {"status": "queued"}}}

    # -- parts --------------------------------------------------------------------------------------------------

    def _audiences(self, attributes: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        given = attributes.get("audiences")
        if not isinstance(given, Mapping) or not isinstance(given.get("included"), list) or not given["included"]:
            raise NotMade(400, "A campaign needs an included audience.", "/data/attributes/audiences/included")
        included, excluded = list(given["included"]), list(given.get("excluded") or [])
        for identity in (*included, *excluded):
            if not any(identity in self.account.objects[kind] for kind in ("list", "segment")):
                raise NotMade(400, f"The audience {identity} does not exist.", "/data/attributes/audiences")
        return included, excluded

    def _known_profiles(self) -> frozenset[str]:
        if not self._profiles:
            people = {customer.id: customer for customer in self.account.company.customers}
            bought = {order.customer_id for order in mailed_orders(self.account.company)}
            self._profiles = frozenset(
                ulid(f"profile|{number}", people[number].created_at) for number in bought if number in people
            )
        return self._profiles

    def _keep(self, kind: str, attributes: Json, *, effect: str) -> Resource:
        found = Resource(kind, short_id(f"{kind}|{attributes['name']}|{len(self._made)}"), attributes)
        self.account.objects[kind][found.id] = found
        self._write({f"{kind}:{found.id}": _kept(found)}, effect, {kind: found.id, "name": attributes["name"]})
        return found

    def _write(self, documents: Mapping[str, Json], effect: str, detail: Json) -> None:
        self._made.update(documents)
        if self._ledger is not None:
            kept = {(COLLECTION, key): body for key, body in documents.items()}
            self._ledger.record_with("klaviyo", effect, detail, kept)

    def _now(self) -> datetime:
        return self._clock.now().astimezone(UTC)


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/api/lists"): Operation("lists", ("lists:write",), "lists-write", Drafts.make_list),
    ("POST", "/api/lists/{identity}/relationships/profiles"): Operation(
        "list-profiles", ("lists:write", "profiles:write"), "lists-write", Drafts.fill_list
    ),
    ("PATCH", "/api/profiles/{identity}"): Operation(
        "profiles", ("profiles:write",), "profiles-write", Drafts.change_profile
    ),
    ("POST", "/api/templates"): Operation("templates", ("templates:write",), "templates", Drafts.make_template),
    ("POST", "/api/campaigns"): Operation("campaigns", ("campaigns:write",), "campaigns", Drafts.make_campaign),
    ("POST", "/api/campaign-message-assign-template"): Operation(
        "campaign-message-assign-template", ("campaigns:write",), "campaigns", Drafts.assign_template
    ),
    ("POST", "/api/campaign-send-jobs"): Operation(
        "campaign-send-jobs", ("campaigns:write",), "campaigns", Drafts.send
    ),
}  # fmt: skip


def _attributes(asked: Json, kind: str) -> Mapping[str, Any]:
    data = asked.get("data")
    if not isinstance(data, Mapping):
        raise NotMade(400, "The payload provided in the request is invalid.", "/data")
    if data.get("type") != kind:
        raise NotMade(400, f"'{data.get('type')}' is not the type of this resource.", "/data/type")
    found = data.get("attributes")
    if not isinstance(found, Mapping):
        raise NotMade(400, "'attributes' is a required field.", "/data/attributes")
    return found


def _text(attributes: Mapping[str, Any], name: str, most: int) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not value.strip():
        raise NotMade(400, f"'{name}' is a required field.", f"/data/attributes/{name}")
    if len(value) > most:
        raise NotMade(400, f"'{name}' has more than {most} characters.", f"/data/attributes/{name}")
    return value


def _message(attributes: Mapping[str, Any]) -> tuple[Json, str]:
    """The content and label of the one message."""
    where = "/data/attributes/campaign-messages"
    given = (attributes.get("campaign-messages") or {}).get("data")
    if not isinstance(given, list) or len(given) != 1:
        raise NotMade(400, "An e-mail campaign has exactly one message.", where)
    definition = (given[0].get("attributes") or {}).get("definition") or {}
    if definition.get("channel") != "email":
        raise NotMade(400, "Only e-mail is set up in this account.", where)
    content = dict(definition.get("content") or {})
    subject = content.get("subject")
    if subject is not None and (not isinstance(subject, str) or len(subject) > SUBJECT_MOST or "\n" in subject):
        raise NotMade(400, "The subject is not one line.", f"{where}/content/subject")
    if "@" not in str(content.get("from_email") or ""):
        raise NotMade(400, "'from_email' is not an e-mail address.", f"{where}/content/from_email")
    return content, str(definition.get("label") or "")


def _kept(resource: Resource) -> Json:
    return {
        "kind": resource.kind, "id": resource.id, "attributes": resource.attributes,
        "related": {name: [kind, ids] for name, (kind, ids) in resource.related.items()}, "more": resource.more,
    }  # fmt: skip


def _shown(resource: Resource) -> Json:
    found: Json = {"type": resource.kind, "id": resource.id, "attributes": resource.attributes}
    if resource.related:
        found["relationships"] = {
            name: {"data": [{"type": kind, "id": each} for each in ids]}
            for name, (kind, ids) in resource.related.items()
        }
    return found
