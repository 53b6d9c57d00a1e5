"""NetSuite: transactions and lines, items, stock, purchase orders and the small tables of one account.

Belongs here: turning settings into a source. Does not belong here: anything another vendor would share
(`resources/http.py`, `resources/record_checks.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.netsuite.client import NetSuiteClient
from resources.netsuite.source import NetSuiteSource
from resources.netsuite.tables import TABLES

if TYPE_CHECKING:
    from ops_platform.ingestion.contract import Stream
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "NetSuiteClient", "NetSuiteSource", "connect"]

STREAMS: dict[str, Stream] = {name: table.stream for name, table in TABLES.items()}


def connect(settings: Settings, *, account_zone: str | None = None) -> NetSuiteSource | None:
    """The account the settings name, or None when they name none. Opens no connection.

    `account_zone` is the IANA zone in which the account shows times (Setup > Company > Company Information); by
    default the company's own, as the fleet file or OPS_TIMEZONE says.
    Raises `ConfigurationError` naming what is missing when only some of the credentials are there."""
    from resources.http import HttpClient

    given = {
        "NETSUITE_ACCOUNT_ID": settings.netsuite_account_id,
        "NETSUITE_CLIENT_ID": settings.netsuite_client_id,
        "NETSUITE_CERTIFICATE_ID": settings.netsuite_certificate_id,
        "NETSUITE_PRIVATE_KEY": settings.netsuite_private_key,
    }
    missing = [name for name, value in given.items() if not value]
    if len(missing) == len(given):
        return None
    if missing:
        raise ConfigurationError(f"netsuite: {' and '.join(missing)} not set; all of {', '.join(given)} are needed")
    account, client_id = settings.netsuite_account_id or "", settings.netsuite_client_id or ""
    certificate_id, private_key = settings.netsuite_certificate_id or "", settings.netsuite_private_key
    assert private_key is not None
    if not re.fullmatch(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*", account):
        raise ConfigurationError(f"netsuite: NETSUITE_ACCOUNT_ID {account!r} is not an account id such as 1234567_SB1")
    host = account.lower().replace("_", "-")
    base = settings.netsuite_base_url or f"https://{host}.suitetalk.api.netsuite.com"
    # The vendor allows a request fifteen minutes; a large page of lines can take a good part of one.
    http = HttpClient("netsuite", base, timeout_seconds=180.0)
    client = NetSuiteClient(http, account, client_id, certificate_id, private_key)
    if account_zone is None:
        from ops_platform.fleet import load_fleet

        account_zone = load_fleet(settings.ops_fleet_file, settings).company.timezone
    return NetSuiteSource(client, zone=account_zone)
