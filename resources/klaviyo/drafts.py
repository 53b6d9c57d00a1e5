"""Drafts of campaigns in Klaviyo: made, and never sent.

Belongs here: the calls that make a list, a template and a campaign in state Draft, each looked for before it is made.
Does not belong here: who may be written to and with what (`ops_platform.approvals.campaigns`), reading (`source.py`).

A campaign is sent by a person in Klaviyo. This module knows no call that sends, and says so to whoever gives it a key:
the scope `campaigns:write` would allow it, so the key stays with the run that hands over.

People are found by their last order: Klaviyo was told of it by the shop, with the shop's number of the order, and knows
whose it was. So no name and no address passes through here.
"""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.approvals.campaign_draft import MadeDraft
from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure
from resources.klaviyo import endpoints as at
from resources.klaviyo.client import OFFICIAL, KlaviyoClient
from resources.klaviyo.source import KlaviyoSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops_platform.approvals.campaign_draft import CampaignDraft, Recipient
    from ops_platform.records import JsonObject
    from ops_platform.settings import Settings

# The endpoints that make something, with Klaviyo's limits. Nothing here sends: that endpoint is not among them.
MAKE_LIST = at.Endpoint("lists", "lists:write", 10, 150)
FILL_LIST = at.Endpoint("lists", "lists:write and profiles:write", 10, 150)
PROFILE = at.Endpoint("profiles", "profiles:write", 75, 750)
TEMPLATES = at.Endpoint("templates", "templates:read", 10, 150, 10)
MAKE_TEMPLATE = at.Endpoint("templates", "templates:write", 10, 150)
MAKE_CAMPAIGN = at.Endpoint("campaigns", "campaigns:write", 10, 150)
ASSIGN_TEMPLATE = at.Endpoint("campaign-message-assign-template", "campaigns:write", 10, 150)
DRAFT = "Draft"
# Klaviyo keeps the second of an order's time, the shop and the warehouse its fraction.
ORDER_LEEWAY = timedelta(minutes=2)
PROFILES_AT_ONCE = 1000
LOOKS_AFTER_DOUBT = 3
#: A person's own texts, on the profile under this name: `ops_winback` → {name: text}.
PROPERTY = "ops_winback_"
_VALUE = re.compile(r"\{\{value:([a-z][a-z0-9_]{0,30})\}\}")
_TEMPLATE_TAG = re.compile(r"\{\{|\}\}|\{%|%\}")


def connect(settings: Settings) -> KlaviyoDrafts | None:
    """The account in which drafts may be made, or None without a key for it. Opens no connection."""
    if settings.klaviyo_drafts_api_key is None:
        return None
    from pydantic import SecretStr

    from resources.http import HttpClient

    key = settings.klaviyo_drafts_api_key.get_secret_value().strip()
    if not key.startswith("pk_"):
        raise ConfigurationError("klaviyo: KLAVIYO_DRAFTS_API_KEY is not a private key (they begin with pk_)")
    http = HttpClient("klaviyo", settings.klaviyo_base_url or OFFICIAL)
    client = KlaviyoClient(http, SecretStr(key), settings.klaviyo_revision)
    return KlaviyoDrafts(client, order_integration=settings.klaviyo_order_integration)


class KlaviyoDrafts:
    """Implements `Drafter`. One account; not for two threads at once."""

    def __init__(self, client: KlaviyoClient, *, order_integration: str) -> None:
        self.client = client
        self._source = KlaviyoSource(client, order_integration=order_integration)

    def make(self, draft: CampaignDraft) -> MadeDraft:
        """The draft of `draft.mark`, made where it is not there yet. Raises as `Drafter.make` does; `PermanentFailure`
        where the campaign of that name is no draft any more."""
        name = f"{draft.name} [{draft.mark}]"
        standing = self._campaign(name, draft.mark)
        if standing is not None and standing["attributes"].get("status") != DRAFT:
            raise PermanentFailure(
                f"klaviyo: the campaign {name!r} is there and is {standing['attributes'].get('status')!r}:"
                " it is left as it is"
            )
        profiles, unknown = self._profiles(draft.recipients)
        if not profiles:
            raise PermanentFailure("klaviyo: it knows none of the recipients: nothing was made")
        for recipient, profile in profiles:
            self._personalise(profile, recipient)
        failpoint("klaviyo.personalised")
        audience = self._made("list", lambda: self._list(name), lambda: self._make_list(name))
        failpoint("klaviyo.list")
        self._fill(audience["id"], [profile for _, profile in profiles])
        template = self._made("template", lambda: self._template(name), lambda: self._make_template(name, draft))
        failpoint("klaviyo.template")
        campaign = standing or self._made(
            "campaign",
            lambda: self._campaign(name, draft.mark),
            lambda: self._make_campaign(name, draft, audience["id"]),
        )
        failpoint("klaviyo.campaign")
        self._assign(campaign["id"], template["id"])
        failpoint("klaviyo.assigned")
        status = self._status(campaign["id"], audience["id"])
        return MadeDraft(campaign["id"], name, status, audience["id"], len(profiles), tuple(unknown))

    def identity(self) -> str:
        """Ask for the sender and the templates: the check that `ops doctor` makes. Changes nothing."""
        sender = self._sender()
        next(iter(self.client.listing(TEMPLATES, {"page[size]": 1})), None)
        return f"drafts are from {sender['default_sender_name'] or sender['default_sender_email']}; it never sends"

    def close(self) -> None:
        self.client.close()

    # -- look, make, look again -----------------------------------------------------------------------------

    def _made(
        self, what: str, look: Callable[[], JsonObject | None], make: Callable[[], JsonObject]
    ) -> JsonObject:  # fmt: skip
        """What is there, or is made. After an answer that did not come it is looked for before anything is repeated."""
        found = look()
        if found is not None:
            return found
        try:
            return make()
        except AmbiguousFailure as doubt:
            for turn in range(LOOKS_AFTER_DOUBT):
                self.client.http.sleep(1.0 + turn)
                found = look()
                if found is not None:
                    return found
            raise TransientFailure(
                f"klaviyo: whether the {what} was made is not known yet ({doubt}); the next try looks for it first"
            ) from doubt

    def _named(self, endpoint: at.Endpoint, filters: str, name: str) -> JsonObject | None:
        """The object of exactly this name; the oldest where a person made a copy."""
        for document in self.client.listing(endpoint, {"filter": filters}):
            for item in document["data"]:
                if isinstance(item, dict) and (item.get("attributes") or {}).get("name") == name:
                    return item
        return None

    # -- people ---------------------------------------------------------------------------------------------

    def _profiles(self, recipients: tuple[Recipient, ...]) -> tuple[list[tuple[Recipient, str]], list[str]]:
        """Whom Klaviyo knows, each with the id of the profile, and the keys of those it does not."""
        metric = self._source.order_metric_id()
        known, unknown, taken = [], [], set()
        for recipient in recipients:
            profile = self._profile_of(metric, recipient)
            if profile is None:
                unknown.append(recipient.key)
            elif profile not in taken:  # two accounts of one person get one message
                taken.add(profile)
                known.append((recipient, profile))
        return known, unknown

    def _profile_of(self, metric: str, recipient: Recipient) -> str | None:
        placed = recipient.ordered_at.astimezone(UTC)
        first, last = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (placed - ORDER_LEEWAY, placed + ORDER_LEEWAY))
        asked: dict[str, str | int] = {
            "filter": f"equals(metric_id,'{metric}'),greater-or-equal(datetime,{first}),less-or-equal(datetime,{last})",
            "fields[event]": "datetime,event_properties",
            "include": "profile",
            "fields[profile]": "updated",  # only whose it is; nothing of the person
        }
        for document in self.client.listing(at.EVENTS, asked):
            for item in document["data"]:
                said = (item.get("attributes") or {}).get("event_properties") or {}
                if str(said.get("$event_id")) == recipient.order:
                    owner = ((item.get("relationships") or {}).get("profile") or {}).get("data") or {}
                    return str(owner["id"]) if owner.get("id") else None
        return None

    def _personalise(self, profile: str, recipient: Recipient) -> None:
        """Put the person's own texts on the profile; the same again changes nothing."""
        properties = {f"{PROPERTY}{name}": value for name, value in recipient.values.items()}
        body = {"data": {"type": "profile", "id": profile, "attributes": {"properties": properties}}}
        self._again(lambda: self.client.write("PATCH", PROFILE, f"{PROFILE.path}/{profile}", body))

    # -- the audience ---------------------------------------------------------------------------------------

    def _list(self, name: str) -> JsonObject | None:
        return self._named(at.LISTS, f"equals(name,{quoted(name)})", name)

    def _make_list(self, name: str) -> JsonObject:
        body = {"data": {"type": "list", "attributes": {"name": name}}}
        return _data(self.client.write("POST", MAKE_LIST, MAKE_LIST.path, body))

    def _fill(self, audience: str, profiles: list[str]) -> None:
        path = f"{FILL_LIST.path}/{audience}/relationships/profiles"
        for part in _parts(profiles, PROFILES_AT_ONCE):
            body = {"data": [{"type": "profile", "id": profile} for profile in part]}
            # Who is in the list already stays in it once.
            self._again(partial(self.client.write, "POST", FILL_LIST, path, body))

    # -- what they would read -------------------------------------------------------------------------------

    def _template(self, name: str) -> JsonObject | None:
        return self._named(TEMPLATES, f"equals(name,{quoted(name)})", name)

    def _make_template(self, name: str, draft: CampaignDraft) -> JsonObject:
        attributes = {
            "name": name, "editor_type": "CODE", "html": as_template(draft.html, escape=True),
            "text": as_template(draft.text, escape=False),
        }  # fmt: skip
        body = {"data": {"type": "template", "attributes": attributes}}
        return _data(self.client.write("POST", MAKE_TEMPLATE, MAKE_TEMPLATE.path, body))

    # -- the campaign ---------------------------------------------------------------------------------------

    def _campaign(self, name: str, mark: str) -> JsonObject | None:
        filters = f"and(equals(messages.channel,'email'),contains(name,{quoted(mark)}))"
        return self._named(at.CAMPAIGNS, filters, name)

    def _make_campaign(self, name: str, draft: CampaignDraft, audience: str) -> JsonObject:
        sender = self._sender()
        content = {
            "subject": plain(draft.subject), "preview_text": plain(draft.preview),
            "from_email": sender["default_sender_email"], "from_label": sender["default_sender_name"],
        }  # fmt: skip
        message = {
            "type": "campaign-message",
            "attributes": {"definition": {"channel": "email", "label": name, "content": content}},
        }
        attributes = {
            "name": name,
            "audiences": {"included": [audience], "excluded": []},
            # Who was written to lately is left out by Klaviyo, too.
            "send_options": {"use_smart_sending": True},
            "campaign-messages": {"data": [message]},
        }
        body = {"data": {"type": "campaign", "attributes": attributes}}
        return _data(self.client.write("POST", MAKE_CAMPAIGN, MAKE_CAMPAIGN.path, body))

    def _sender(self) -> dict[str, str]:
        """The account's own sender, as a person has set it in Klaviyo."""
        for document in self.client.listing(at.ACCOUNTS):
            for item in document["data"]:
                found = (item.get("attributes") or {}).get("contact_information") or {}
                if found.get("default_sender_email"):
                    return {
                        "default_sender_email": str(found["default_sender_email"]),
                        "default_sender_name": str(found.get("default_sender_name") or ""),
                    }
        raise ConfigurationError("klaviyo: the account has no default sender: set one under Settings → Organization")

    def _assign(self, campaign: str, template: str) -> None:
        message = self._message_of(campaign)
        body = {
            "data": {
                "type": "campaign-message", "id": message,
                "relationships": {"template": {"data": {"type": "template", "id": template}}},
            }
        }  # fmt: skip
        self._again(lambda: self.client.write("POST", ASSIGN_TEMPLATE, ASSIGN_TEMPLATE.path, body))

    def _message_of(self, campaign: str) -> str:
        found = self.client.one(at.CAMPAIGNS, f"{at.CAMPAIGNS.path}/{campaign}?include=campaign-messages")
        relation = (_data(found).get("relationships") or {}).get("campaign-messages") or {}
        ids = [str(item["id"]) for item in relation.get("data") or [] if item.get("id")]
        if len(ids) != 1:
            raise TransientFailure(f"klaviyo: the campaign {campaign} has {len(ids)} messages where one was made")
        return ids[0]

    def _status(self, campaign: str, audience: str) -> str:
        """What Klaviyo says of it now. Raises `PermanentFailure` where that is not the draft that was to be made."""
        attributes = _data(self.client.one(at.CAMPAIGNS, f"{at.CAMPAIGNS.path}/{campaign}"))["attributes"]
        if attributes.get("status") != DRAFT or audience not in (attributes.get("audiences") or {}).get("included", []):
            raise PermanentFailure(
                f"klaviyo: the campaign {campaign} is {attributes.get('status')!r} for"
                f" {attributes.get('audiences')}: not the draft that was approved"
            )
        return str(attributes["status"])

    def _again(self, write: Callable[[], Any]) -> None:
        """A write that may be repeated, because the same again changes nothing: once more after a doubt."""
        try:
            write()
        except AmbiguousFailure:
            self.client.http.sleep(1.0)
            write()


# -- small parts ------------------------------------------------------------------------------------------------


def as_template(text: str, *, escape: bool) -> str:
    """Our text as Klaviyo's template: a recipient's own texts are looked up on the profile, and nothing else of the
    text is read as a tag."""
    made, place = [], 0
    for found in _VALUE.finditer(text):
        made.append(_literal(text[place : found.start()]))
        filters = "|escape" if escape else ""
        made.append(f"{{{{ person|lookup:'{PROPERTY}{found.group(1)}'|default:''{filters} }}}}")
        place = found.end()
    made.append(_literal(text[place:]))
    return "".join(made)


def plain(text: str) -> str:
    """A subject line: nothing of it is a tag, nothing breaks the line."""
    return _literal(" ".join(text.split()))


def _literal(text: str) -> str:
    return _TEMPLATE_TAG.sub(lambda tag: " ".join(tag.group()), text)


def quoted(text: str) -> str:
    """A text in Klaviyo's filter language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _data(document: JsonObject) -> JsonObject:
    found = document.get("data")
    if not isinstance(found, dict) or not found.get("id"):
        # It may well have been made: the look that follows tells.
        raise AmbiguousFailure("klaviyo: the answer names nothing that was made")
    return found


def _parts(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
