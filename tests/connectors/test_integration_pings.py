"""Every integration asked at its vendor's side: who answers, who does not, who is not connected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ops_platform.fleet import get_fleet
from ops_platform.playbooks.integrations import Pinged
from ops_platform.settings import Settings
from resources import integration_pings
from resources.integration_pings import OTHERS, labels, ping
from resources.vendors import VENDORS
from tests.connectors.conftest import World

QUICK = ("hubspot", "klaviyo", "anthropic")
Ask = Callable[..., dict[str, Pinged]]


@pytest.fixture
def ask(world: World, monkeypatch: pytest.MonkeyPatch) -> Ask:
    def pinged(*names: str, seconds: float = 20.0, **changes: object) -> dict[str, Pinged]:
        settings: Settings = world.settings.model_copy(update=changes)
        monkeypatch.setattr(integration_pings, "get_settings", lambda: settings)
        return {one.integration: one for one in ping(names, seconds=seconds)}

    return pinged


def test_each_is_asked_and_has_a_name(ask: Ask) -> None:
    assert [*VENDORS, *OTHERS] == list(labels(get_fleet()))
    found = ask(*QUICK, seconds=60.0)
    assert tuple(found) == QUICK
    for name in QUICK:
        one = found[name]
        assert one.state == "online" and one.latency_ms is not None and one.detail, one


def test_a_refusal_a_broken_line_and_a_missing_key(world: World, ask: Ask) -> None:
    world.fault("hubspot", "http_401", times=None)
    world.fault("airtable", "slow", times=None, seconds=5)
    found = ask("hubspot", "airtable", "klaviyo", "email", seconds=2.0, klaviyo_api_key=None, smtp_url=None)
    assert found["hubspot"].state == "offline" and "HUBSPOT_TOKEN" in found["hubspot"].detail
    assert (found["airtable"].state, found["airtable"].detail) == ("offline", "no answer within 2 s")
    assert found["email"].state == found["klaviyo"].state == "not_connected"


def test_what_they_say_carries_no_secret(world: World, ask: Ask) -> None:
    from pydantic import SecretStr

    found = ask("hubspot", hubspot_token=SecretStr("pat-na1-00000000-dead-beef-0000-canary000000"))
    assert found["hubspot"].state == "offline" and "canary" not in found["hubspot"].detail


def test_a_defect_of_one_ask_hides_no_other(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str, settings: Settings) -> Callable[[], str]:
        raise ZeroDivisionError

    monkeypatch.setattr(integration_pings, "_ASKS", {"hubspot": broken})
    found = ask("hubspot", "klaviyo")
    assert found["hubspot"].detail == "the ask itself failed (ZeroDivisionError)"
    assert found["klaviyo"].state == "online"
