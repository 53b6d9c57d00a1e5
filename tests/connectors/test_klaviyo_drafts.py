"""Drafts in Klaviyo: made once, for exactly the people meant, and never sent."""

from __future__ import annotations

import inspect
import itertools
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from ops_platform.approvals.campaign_draft import CampaignDraft, Recipient
from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from resources.klaviyo import drafts
from resources.klaviyo.drafts import PROPERTY, KlaviyoDrafts, as_template, plain
from tests.conftest import SCHEMAS
from tests.connectors.conftest import World, hurried, read
from tests.connectors.test_klaviyo_contract import _loosened, exchanged
from tests.connectors.wire import noted

FOLDER = SCHEMAS / "klaviyo" / "categories"

EFFECTS = (
    "list_made", "list_filled", "profile_changed", "template_made", "campaign_drafted", "template_assigned",
    "campaign_sent",
)  # fmt: skip


def writer(world: World, key: str | None = None) -> KlaviyoDrafts:
    settings = world.settings if key is None else world.settings.model_copy(
        update={"klaviyo_drafts_api_key": SecretStr(key)}
    )  # fmt: skip
    found = drafts.connect(settings)
    assert found is not None
    hurried(found.client.http)
    found.client.pace.enabled = False
    return found


def recipients(world: World, count: int) -> tuple[Recipient, ...]:
    """People who bought, by an order of theirs, as the warehouse would name them."""
    rows = [row for row in read(world.klaviyo(), "events").payloads.values() if row["metric_name"] == "Placed Order"]
    return tuple(
        Recipient(f"u{place}", str(row["properties"]["$event_id"]), datetime.fromisoformat(row["datetime"]),
                  {"products": f"Cable {place}"})
        for place, row in enumerate(rows[: count * 37 : 37])
    )  # fmt: skip


_MARKS = itertools.count(1)


def draft(people: tuple[Recipient, ...], **more: str) -> CampaignDraft:
    """A draft of its own: its mark is in the name of all that is made for it."""
    text = {
        "name": "We miss you", "subject": "Your headphones miss you", "preview": "A little something",
        "html": "<p>Hello, have you seen {{value:products}}?</p>", "text": "Have you seen {{value:products}}?",
        **more,
    }  # fmt: skip
    return CampaignDraft(mark=f"ops-{next(_MARKS)}-a", recipients=people, **text)


class Effects:
    """What Klaviyo's side notices from now on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = len(self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        return [row for kind in EFFECTS for row in self._world.ledger(vendor="klaviyo", kind=kind, limit=5000)]

    def _new(self) -> list[dict[str, Any]]:
        return sorted(self._rows(), key=lambda row: row["id"])[self._before :]

    def counts(self) -> Counter[str]:
        return Counter(row["kind"] for row in self._new())

    def details(self, kind: str) -> list[dict[str, Any]]:
        return [row["detail"] for row in self._new() if row["kind"] == kind]


def test_a_draft_for_exactly_these_people(world: World) -> None:
    seen = Effects(world)
    people = recipients(world, 4)
    stranger = Recipient("u9", "999999999", people[0].ordered_at, {"products": "Nothing"})
    wanted = draft((*people, stranger))
    made = writer(world).make(wanted)
    assert (made.status, made.reached, made.unknown) == ("Draft", 4, ("u9",))
    assert seen.counts() == {
        "list_made": 1, "list_filled": 1, "profile_changed": 4, "template_made": 1, "campaign_drafted": 1,
        "template_assigned": 1,
    }  # fmt: skip
    (filled,) = seen.details("list_filled")
    texts = {item["profile"]: item["properties"] for item in seen.details("profile_changed")}
    assert set(filled["profiles"]) == set(texts)
    assert sorted(value[f"{PROPERTY}products"] for value in texts.values()) == [f"Cable {n}" for n in range(4)]
    # A sync sees it as what it is.
    campaigns = read(world.klaviyo(), "campaigns").payloads.values()
    (ours,) = [row for row in campaigns if row["name"] == f"We miss you [{wanted.mark}]"]
    assert ours["status"] == "Draft" and ours["messages"][0]["subject"] == "Your headphones miss you"


def test_the_same_draft_again_makes_nothing_twice(world: World) -> None:
    seen = Effects(world)
    made, wanted = writer(world), draft(recipients(world, 2))
    first, again = made.make(wanted), made.make(wanted)
    assert first == again
    found = seen.counts()
    assert [found[name] for name in ("list_made", "template_made", "campaign_drafted")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "profiles"), ("POST", "lists"), ("POST", "relationships/profiles"), ("POST", "templates"),
        ("POST", "campaigns"), ("POST", "assign-template"),
    ],
)  # fmt: skip
def test_an_answer_that_never_came_makes_nothing_twice(world: World, method: str, path: str) -> None:
    """Klaviyo does its part and the connection drops: what is there is found, not made again."""
    seen = Effects(world)
    people, made = recipients(world, 2), writer(world)
    world.fault("klaviyo", "accept_then_drop", match={"method": method, "path_contains": path})
    result = made.make(draft(people))
    assert result.status == "Draft"
    found = seen.counts()
    assert [found[name] for name in ("list_made", "template_made", "campaign_drafted")] == [1, 1, 1]
    assert found["campaign_sent"] == 0


def test_what_fails_half_way_goes_on_where_it_stopped(world: World) -> None:
    seen = Effects(world)
    made, wanted = writer(world), draft(recipients(world, 2))
    world.fault("klaviyo", "http_503", match={"method": "POST", "path_contains": "campaigns"}, times=None)
    with pytest.raises(TransientFailure):
        made.make(wanted)
    world.control("/faults", method="DELETE")
    assert made.make(wanted).status == "Draft"
    found = seen.counts()
    assert [found[name] for name in ("list_made", "template_made", "campaign_drafted")] == [1, 1, 1]


def test_a_campaign_that_was_sent_since_is_left_alone(world: World) -> None:
    made, wanted = writer(world), draft(recipients(world, 2))
    first = made.make(wanted)
    world.mutate("klaviyo", "upsert", stream="campaigns", id=first.campaign, status="Sent")
    with pytest.raises(PermanentFailure, match="left as it is"):
        made.make(wanted)


def test_a_key_without_a_scope_names_it(world: World) -> None:
    seen = Effects(world)
    people = recipients(world, 1)
    with pytest.raises(PermanentFailure, match="profiles:write"):
        writer(world, "pk_sandbox_no_profiles").make(draft(people))
    assert seen.counts()["campaign_drafted"] == 0
    # The key that reads cannot make anything.
    with pytest.raises(PermanentFailure, match="profiles:write"):
        writer(world, "pk_sandbox").make(draft(people))


def test_nobody_it_knows(world: World) -> None:
    seen = Effects(world)
    person = recipients(world, 1)[0]
    stranger = Recipient("u1", person.order, person.ordered_at + timedelta(days=400))
    with pytest.raises(PermanentFailure, match="knows none"):
        writer(world).make(draft((stranger,)))
    assert not seen.counts()


def test_words_are_never_template_code() -> None:
    assert as_template("Hi {{value:name}} {{ person.email }} {% if x %}", escape=True) == (
        "Hi {{ person|lookup:'ops_winback_name'|default:''|escape }} { { person.email } } { % if x % }"
    )
    assert plain("Hi\r\nBcc: x {{ a }}") == "Hi Bcc: x { { a } }"


def test_the_key_is_tried_without_making_anything(world: World) -> None:
    seen = Effects(world)
    assert writer(world).identity() == "drafts are from Northbeam Audio; it never sends"
    with pytest.raises(PermanentFailure, match="templates:read"):
        writer(world, "pk_sandbox").identity()
    assert not seen.counts()


def test_no_call_here_sends() -> None:
    assert "send-job" not in inspect.getsource(drafts).replace("of send jobs", "")


def test_the_key_is_one() -> None:
    from ops_platform.settings import Settings

    assert drafts.connect(Settings(klaviyo_drafts_api_key=None)) is None
    with pytest.raises(ConfigurationError, match="begin with pk_"):
        drafts.connect(Settings(klaviyo_drafts_api_key=SecretStr("abc")))


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"Klaviyo's schemas are not at {FOLDER}")
def test_every_writing_request_and_answer_conforms(world: World) -> None:
    """Klaviyo's own documents judge what is made: lists, members, profiles, campaigns. Templates have none here."""
    from openapi_core import OpenAPI

    with noted() as answers:
        writer(world).make(draft(recipients(world, 2)))
    seen = [exchanged(each) for each in answers if each.request.method != "GET" and "/api/" in each.request.url.path]
    judged = 0
    for category, paths in (
        ("lists", ("/api/lists", "/api/lists/{id}/relationships/profiles")), ("profiles", ("/api/profiles/{id}",)),
        ("campaigns", ("/api/campaigns", "/api/campaign-message-assign-template")),
    ):  # fmt: skip
        document = _loosened(json.loads((FOLDER / f"{category}.json").read_text(encoding="utf-8")), False)
        document["paths"] = {path: document["paths"][path] for path in paths}
        api = OpenAPI.from_dict(document)
        for each in seen:
            stem = each.path.split("/")[2]
            if stem in {path.split("/")[2] for path in paths}:
                each.parameters.path = _path_parameters(each.path)
                api.validate_request(each)
                judged += 1
    # Two profiles, a list, its members, a campaign, its template.
    assert judged == 6 and all(each.status_code < 300 for each in seen)


def _path_parameters(path: str) -> dict[str, str]:
    parts = path.split("/")
    return {"id": parts[3]} if len(parts) > 3 else {}
