"""What was set aside of Klaviyo before it was cut down to what is needed is purged by a migration.

Belongs here: that one statement, run over entries of both kinds. Does not belong here: what is kept today
(`tests/connectors/test_klaviyo_source.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops_platform.database.migrations import MIGRATIONS
from ops_platform.ingestion import quarantine, quarantine_retry
from ops_platform.ingestion.contract import Rejected
from resources.klaviyo import STREAMS, KlaviyoSource, records
from tests.conftest import Connect
from tests.ingestion.test_sync import NOW, TODAY

EVENT = {
    "type": "event",
    "id": "5kUC",
    "attributes": {
        "timestamp": 1_700_000_000,
        "datetime": "no time",
        "uuid": "3a9e",
        "event_properties": {"$value": 20, "Customer Email": "ada@example.org", "$extra": {"id": 9, "phone": "+1 555"}},
    },
    "relationships": {"profile": {"data": {"type": "profile", "id": "01GDDK"}}, "metric": {"data": {"id": "UWi"}}},
}
ACCOUNT = {
    "type": "account",
    "id": "AbC",
    "attributes": {
        "timezone": "Nowhere/Land",
        "preferred_currency": "USD",
        "contact_information": {"default_sender_email": "ada@example.org", "organization_name": "Acme"},
    },
}


class Checking(KlaviyoSource):
    """The checks alone, which ask Klaviyo nothing."""

    def __init__(self) -> None:
        """Without a client."""


def purge() -> bytes:
    text = Path(MIGRATIONS / "0022_days_read_again.sql").read_text(encoding="utf-8")
    return text[text.index("create function pg_temp.holds_only") :].encode()


def text(value: Any) -> str:
    return json.dumps(value)


def test_old_payloads_go_and_what_is_known_of_them_stays(warehouse: Connect) -> None:
    kept_event = records.kept_event(EVENT, {"id": "UWi", "name": "Placed Order"}, {})
    kept_account = records.kept_account(ACCOUNT)
    entries = {
        "events": [("old", text(EVENT)), ("new", text(kept_event)), ("broken", '{"email": "ada@exa'), ("list", "[1]")],
        "accounts": [("old account", text(ACCOUNT)), ("new account", text(kept_account))],
        "lists": [("list of people", text({"id": "L", "attributes": {"name": "VIP"}}))],
    }
    with warehouse() as connection:
        connection.autocommit = True
        for stream, kept in entries.items():
            refused = [Rejected("invalid_timestamp", "datetime is 'no time'", raw, name) for name, raw in kept]
            quarantine.keep(connection, "klaviyo", stream, 1, refused, NOW)
        quarantine.keep(connection, "hubspot", "events", 1, [Rejected("x", "y", text(EVENT), "not Klaviyo's")], NOW)
        for _ in range(2):
            connection.execute(purge().replace(b"create function", b"create or replace function"))
        found = {entry.record_id: entry for entry in quarantine.find(connection, with_raw=True)}
        gone = {name for name, entry in found.items() if not entry.raw}
        assert gone == {"old", "broken", "list", "old account"}
        assert found["new"].raw == text(kept_event) and found["new account"].raw == text(kept_account)
        assert {found[name].reason for name in gone} == {"invalid_timestamp"}
        assert found["old"].detail == "the payload was deleted, it held personal data; datetime is 'no time'"
        every = " ".join(str(entry.raw) + entry.detail for entry in found.values() if entry.vendor == "klaviyo")
        assert "ada@" not in every and "555" not in every and "01GDDK" not in every
        # An emptied entry can be tried without harm: it stays what it is.
        result = quarantine_retry.retry(connection, Checking(), STREAMS["events"], now=NOW, today=TODAY, which="old")
        assert (result.tried, result.landed, result.remaining) == (1, 0, 1)
        (entry,) = quarantine.find(connection, which="old", with_raw=True)
        assert (entry.reason, entry.raw) == ("invalid_timestamp", "")
