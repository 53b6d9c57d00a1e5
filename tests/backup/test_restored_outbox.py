"""An outbox restored from a backup that is older than what was sent: nothing is lost, nothing is sent again.

Slack's side is the sandbox, whose ledger is the judge. The time between the backup and the restore is the hard part:
messages waited that were sent since, and others were made and sent of which the restored database knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ops_platform.backup.making import make
from ops_platform.backup.restoring import restore
from ops_platform.delivery import OutboxRow, Posters, State, deliver, enqueue
from ops_platform.delivery.states import Event
from ops_platform.evidence.model import Period
from ops_platform.settings import reset_settings
from resources.slack_posting import SlackPoster
from tests import killed
from tests.backup import victim
from tests.backup.conftest import Server
from tests.delivery.conftest import FAST
from tests.delivery.sandboxed import Sandbox, running_sandbox

THURSDAY = Period(date(2026, 11, 19), date(2026, 11, 19), "yesterday")
MANY = 12
killed.preload("psycopg", "slack_sdk", "ops_platform.delivery", "resources.slack_posting")


@pytest.fixture(scope="module")
def slack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def company(slack: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "OPS_HOME": str(tmp_path), "SLACK_CHANNEL_EXECUTIVE": "C0EXEC", "SLACK_CHANNEL_ALERTS": "C0ALERT",
        "SLACK_CHANNEL_TEAM": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    reset_settings()
    slack.calm()
    yield
    slack.calm()
    reset_settings()


@dataclass
class Company:
    """What puts messages in the outbox of one server and delivers them."""

    server: Server
    slack: Sandbox

    def put(self, name: str, thread_of: UUID | None = None, channel: str = "C0EXEC", **more: Any) -> OutboxRow:
        key = "alerts" if channel == "C0ALERT" else "executive"
        with self.server.connect() as connection:
            arguments: dict[str, Any] = {
                "kind": "pulse", "period": THURSDAY, "channel_key": key, "channel": channel, "dedupe_key": name,
                "payload": {"text": name}, "thread_of": thread_of, **more,
            }  # fmt: skip
            return enqueue(connection, **arguments)

    def deliver(self) -> Any:
        poster = SlackPoster("xoxb-sandbox", base_url=self.slack.url, timeout=5)
        return deliver(self.server.connect, Posters(channels=poster), policy=FAST, patience=3)

    def states(self) -> dict[str, str]:
        with self.server.connect() as connection:
            return dict(connection.execute("select dedupe_key, state from ops.outbox").fetchall())

    def reset(self) -> None:
        """A new installation, so that earlier tests' messages in the same channels are a stranger's."""
        with self.server.connect() as connection:
            connection.execute("update ops.installation set id = gen_random_uuid()")


def shown(slack: Sandbox, since: int) -> list[str]:
    """The texts Slack's side shows, beyond the first `since`, in order of name."""
    return sorted(message["text"] for message in slack.posted()[since:])


def a_morning(before: Company) -> tuple[Any, list[str]]:
    """What happens up to the backup and after it on the server that is lost; the backup, and all that was said."""
    old = before.put("told")
    answered = before.put("told answer", thread_of=old.id)
    failed = before.put("failed then")
    with before.server.connect() as connection:
        from ops_platform.delivery.outbox import advance

        advance(connection, failed.id, Event.CLAIMED, attempts=1)
        advance(connection, failed.id, Event.REFUSED, error="channel_not_found")
    before.deliver()
    waits_sent = before.put("waits, sent after the backup")
    before.put("waits, never sent", channel="C0ALERT")
    with before.server.connect() as connection:
        # Held back while the backup is made.
        connection.execute("update ops.outbox set not_before = now() + interval '1 day' where state = 'pending'")
    backup = make(settings=before.server.settings)
    with before.server.connect() as connection:
        connection.execute("update ops.outbox set not_before = null where id = %s", (waits_sent.id,))
    before.put("failed then")  # asked for again, and sent
    lost = before.put("made and sent after the backup")
    before.put("answer to what is lost", thread_of=lost.id)
    before.put("late answer to what is known", thread_of=old.id)
    before.put("alert after the backup", channel="C0ALERT")
    assert not before.deliver().failed
    assert answered.thread_of == old.id
    return backup, [name for name in before.states() if name != "waits, never sent"]


def repeat_everything(after: Company) -> None:
    """The jobs of the morning run again: the same documents, the same keys."""
    ids = {"told": after.put("told").id}
    after.put("told answer", thread_of=ids["told"])
    for name in ("failed then", "waits, sent after the backup"):
        after.put(name)
    lost = after.put("made and sent after the backup")
    after.put("answer to what is lost", thread_of=lost.id)
    after.put("late answer to what is known", thread_of=ids["told"])
    for name in ("waits, never sent", "alert after the backup"):
        after.put(name, channel="C0ALERT")
    after.put("news of the day after")


def into(target: Server, backup: Any) -> None:
    restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    with target.connect() as connection:
        connection.execute("update ops.outbox set not_before = null where state = 'pending'")


def test_nothing_is_lost_and_nothing_sent_again(source: Server, target: Server, slack: Sandbox) -> None:
    before, after = Company(source, slack), Company(target, slack)
    before.reset()
    earlier = len(slack.posted())
    backup, said = a_morning(before)
    assert shown(slack, earlier) == sorted(said)
    into(target, backup)
    repeat_everything(after)
    report = after.deliver()
    assert not report.failed
    after.deliver()
    assert shown(slack, earlier) == sorted([*said, "waits, never sent", "news of the day after"])
    assert set(after.states().values()) == {"sent"}


def test_nothing_is_posted_until_the_channels_were_read(source: Server, target: Server, slack: Sandbox) -> None:
    before, after = Company(source, slack), Company(target, slack)
    before.reset()
    earlier = len(slack.posted())
    backup, said = a_morning(before)
    into(target, backup)
    slack.fault("slack", "http_500", "conversations.history", times=50)
    repeat_everything(after)
    report = after.deliver()
    assert report.blocked is not None
    assert "not reconciled" in str(report)
    assert shown(slack, earlier) == sorted(said)
    slack.calm()
    after.deliver()
    assert shown(slack, earlier) == sorted([*said, "waits, never sent", "news of the day after"])


@pytest.mark.parametrize("point", ["restore.read", "restore.adopted", "outbox.sending", "outbox.posted"])
def test_killed_while_it_resumes(point: str, source: Server, target: Server, slack: Sandbox) -> None:
    before, after = Company(source, slack), Company(target, slack)
    before.reset()
    earlier = len(slack.posted())
    backup, said = a_morning(before)
    into(target, backup)
    repeat_everything(after)
    with target.connect() as connection:
        info = connection.info
        dsn = f"host={info.host} port={info.port} dbname={info.dbname} user={info.user}"
    for _ in range(2):
        assert killed.ended(killed.start(victim.delivery, dsn, slack.url, point)) in (-9, 0)
    assert killed.ended(killed.start(victim.delivery, dsn, slack.url, "")) == 0
    assert shown(slack, earlier) == sorted([*said, "waits, never sent", "news of the day after"])
    assert set(after.states().values()) == {"sent"}


def test_what_cannot_be_looked_up_is_held_for_a_person(source: Server, target: Server, slack: Sandbox) -> None:
    before, after = Company(source, slack), Company(target, slack)
    before.reset()
    email: dict[str, Any] = {"channel_key": "email", "channel": "ceo@example.com"}
    before.put("told")
    before.deliver()
    before.put("e-mail that waited", **email)
    backup = make(settings=source.settings)
    parent = before.put("pack")
    before.deliver()
    into(target, backup)
    after.deliver()
    after.put("e-mail of the same days", **email)
    later = Period(date.today() + timedelta(days=40), date.today() + timedelta(days=40), "later")
    after.put("e-mail of later days", period=later, **email)
    again = after.put("pack")
    assert again.id == parent.id
    assert again.state is State.SENT
    with target.connect() as connection:
        row = connection.execute(
            "insert into ops.files (sha256, content, created_at) values (encode(sha256('x'), 'hex'), 'x', now())"
            " returning sha256"
        ).fetchone()
    assert row is not None
    payload = {"text": "pack's files", "files": [{"name": "a.pdf", "sha256": row[0], "title": "a"}]}
    after.put("pack's files", thread_of=again.id, payload=payload)
    after.deliver()
    states = after.states()
    assert states["e-mail that waited"] == states["e-mail of the same days"] == states["pack's files"] == "held"
    assert states["e-mail of later days"] == "pending"


def test_new_numbers_begin_well_after_those_people_have_seen(source: Server, target: Server) -> None:
    with source.connect() as connection:
        connection.execute(
            "insert into ops.sync_runs (vendor, stream, status, started_at) values ('app', 'users', 'failed', now())"
        )
    backup = make(settings=source.settings)
    restore(backup, maintenance="postgres", replace=False, settings=target.settings)
    with target.connect() as connection:
        row = connection.execute(
            "insert into ops.sync_runs (vendor, stream, status, started_at) values ('app', 'users', 'failed', now())"
            " returning id"
        ).fetchone()
        said = connection.execute("select backup, restored_at, reconciled_at from ops.restores").fetchone()
    assert row == (1002,)
    assert said is not None
    assert said[0] == backup.name
    assert datetime.now(UTC) - said[1] < timedelta(minutes=5)
    assert said[2] is None
