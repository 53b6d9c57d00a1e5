"""A database that the tests of approvals share: emptied before each, for making one takes longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.database.fresh_database import fresh_database

# The record refuses to be emptied; only as a replica, where no trigger speaks, can a test do it.
_EMPTY = """
set session_replication_role = replica;
truncate ops.approvals, ops.approval_versions, ops.approval_events, ops.outbox, ops.documents, ops.evidence_bundles,
    ops.alert_presses, ops.alerts, ops.action_items, ops.action_item_events, ops.campaign_handovers,
    ops.campaign_recipients, ops.approval_attachments cascade;
alter table ops.action_items alter column id restart with 1;
alter table ops.approvals alter column id restart with 1;
alter table ops.documents alter column id restart with 1;
"""


@pytest.fixture(scope="module")
def shared_database(server_home: Path, migrated: str) -> Iterator[Connect]:
    with fresh_database(server_home, migrated, "approvals") as connect:
        yield connect


@pytest.fixture
def warehouse(shared_database: Connect) -> Connect:
    """A function that opens connections to a migrated database without a single request."""
    with shared_database() as connection:
        connection.execute(_EMPTY.encode())
    return shared_database
