"""Files in Slack by its three steps, against the sandbox's Slack: shown once, however its process or its line ends."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_platform.delivery import OutboxRow, State, deliver, find_row
from ops_platform.delivery.files import contents, keep
from resources.slack_posting import SlackPoster
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.delivery.conftest import FAST, Put
from tests.delivery.mailing import FILES, TOKEN, evening
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.killed import ended, points_in, preload, start

SUMS = {hashlib.sha256(content).hexdigest() for content in FILES.values()}
TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "1"))
ROOT = Path(__file__).resolve().parents[2]
preload("psycopg", "tests.delivery.mailing")


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(vendor: Sandbox) -> Iterator[Sandbox]:
    yield vendor
    vendor.calm()


@pytest.fixture
def poster(sandbox: Sandbox, warehouse: Connect) -> SlackPoster:
    return SlackPoster(TOKEN, base_url=sandbox.url, timeout=5, contents=lambda files: contents(warehouse, files))


def shared(sandbox: Sandbox, thread: str | None) -> list[dict[str, Any]]:
    """What the vendor's side shows of files in a thread."""
    entries = sandbox.control("GET", "ledger?vendor=slack&kind=file_shared")
    return [entry["detail"] for entry in entries if entry["detail"].get("thread_ts") == thread]


def read(warehouse: Connect, row: OutboxRow) -> OutboxRow:
    with warehouse() as conn:
        found = find_row(conn, row.id)
    assert found is not None
    return found


@pytest.fixture
def pack(put: Put, warehouse: Connect) -> tuple[OutboxRow, OutboxRow]:
    """A message, and its files in its thread."""
    message = put("pack")
    with warehouse() as conn:
        kept = [keep(conn, name, content).reference() for name, content in FILES.items()]
    return message, put("pack files", thread_of=message.id, payload={"text": "The pack &amp; more", "files": kept})


def test_all_files_at_once_in_the_thread(
    pack: tuple[OutboxRow, OutboxRow], warehouse: Connect, sandbox: Sandbox, poster: SlackPoster
) -> None:
    message, files = pack
    for _ in range(3):
        deliver(warehouse, poster, policy=FAST)
    (shown,) = shared(sandbox, read(warehouse, message).external_id)
    assert set(shown["sha256"].values()) == SUMS
    assert [file["name"] for file in shown["files"]] == list(FILES)
    assert shown["text"] == "The pack &amp; more"
    after = read(warehouse, files)
    assert (after.state, after.external_id) == (State.SENT, shown["files"][0]["id"])


@pytest.mark.parametrize("fault", ["accept_then_drop", "reset", "http_500", "http_429", "truncate"])
@pytest.mark.parametrize("step", ["files.getUploadURLExternal", "/upload/v1", "files.completeUploadExternal"])
def test_a_fault_at_each_step(
    fault: str, step: str, pack: tuple[OutboxRow, OutboxRow], warehouse: Connect, sandbox: Sandbox, poster: SlackPoster
) -> None:
    message, files = pack
    deliver(warehouse, poster, policy=FAST, limit=1)
    sandbox.fault("slack", fault, step)
    deliver(warehouse, poster, policy=FAST, patience=5)
    (shown,) = shared(sandbox, read(warehouse, message).external_id)
    assert set(shown["sha256"].values()) == SUMS
    assert read(warehouse, files).state is State.SENT


def test_what_is_refused_says_why(
    pack: tuple[OutboxRow, OutboxRow], warehouse: Connect, sandbox: Sandbox, poster: SlackPoster
) -> None:
    message, files = pack
    deliver(warehouse, poster, policy=FAST, limit=1)
    with warehouse() as conn:
        conn.execute("delete from ops.files")
    deliver(warehouse, poster, policy=FAST)
    after = read(warehouse, files)
    assert (after.state, after.error) == (State.FAILED, "not kept any more: " + ", ".join(FILES))
    assert shared(sandbox, read(warehouse, message).external_id) == []


def test_without_the_scope_the_message_is_there_and_the_files_say_what_is_missing(
    put: Put, warehouse: Connect, sandbox: Sandbox
) -> None:
    reader = SlackPoster(
        "xoxb-sandbox-readonly", base_url=sandbox.url, contents=lambda files: contents(warehouse, files)
    )
    with warehouse() as conn:
        kept = [keep(conn, "a.pdf", b"x").reference()]
    row = put("alone", payload={"text": "x", "files": kept})
    deliver(warehouse, reader, policy=FAST)
    assert "files:write" in (read(warehouse, row).error or "")


def test_bytes_go_to_slacks_own_address_alone(put: Put, warehouse: Connect) -> None:
    from ops_platform.failures import PermanentFailure
    from resources.slack_files import _checked

    assert _checked("https://files.slack.com/upload/v1/abc", "https://slack.com")
    for url, origin in (
        ("https://files.slack.com.evil.example/x", "https://slack.com"), ("http://files.slack.com/x", "https://slack.com"),
        ("https://a@files.slack.com/x", "https://slack.com"), ("http://169.254.169.254/x", "http://127.0.0.1:1"),
        ("https://files.slack.com/x", "http://127.0.0.1:1"),
    ):  # fmt: skip
        with pytest.raises(PermanentFailure, match="not its own"):
            _checked(url, origin)


POINTS = [
    "outbox.claimed", "outbox.before_post", "slack.uploaded", "slack.uploaded@2", "outbox.before_handover",
    "outbox.handed_over", "outbox.posted", "outbox.marked", "outbox.sent",
]  # fmt: skip


# Those that every message passes are killed at in test_kill.py, too: here with the long proofs.
SHARED = {"outbox.claimed", "outbox.before_post", "outbox.marked", "outbox.sent"}


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=pytest.mark.slow if point in SHARED else ()) for point in POINTS]
)
def test_killed_at(point: str, warehouse: Connect, sandbox: Sandbox) -> None:
    """The whole once: whatever a killed worker had done, the next one finds out and finishes."""
    dsn = dsn_of(warehouse)
    for day in range(TRIALS):
        name = f"pack {point} {day}"
        # Each first post is the message, so the files are the second time for points that both pass.
        both = point.startswith("outbox.") and "hand" not in point
        where = point if not both else f"{point}@2"
        assert ended(start(evening, dsn, sandbox.url, name, where)) == -signal.SIGKILL
        assert ended(start(evening, dsn, sandbox.url, name)) == 0
        with warehouse() as conn:
            rows = dict(conn.execute("select kind, external_id from ops.outbox where kind like %s", (f"{name}%",)))
            assert conn.execute("select count(*) from ops.outbox where state <> 'sent'").fetchone() == (0,)
        (shown,) = shared(sandbox, rows[name])
        assert set(shown["sha256"].values()) == SUMS
        assert rows[f"{name} files"] == shown["files"][0]["id"]


def test_every_point_of_files_is_killed_at() -> None:
    points = points_in([ROOT / "resources" / "slack_files.py", ROOT / "ops_platform" / "delivery" / "handover.py"])
    assert points <= {point.partition("@")[0] for point in POINTS}
