"""Slack through the loader into a real warehouse: its freshness is true, however little comes through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from ops_platform.database import ensure_raw_tables
from ops_platform.ingestion.sync import sync_stream
from resources import slack
from tests.connectors.conftest import NOW, World

Connect = Callable[[], "psycopg.Connection[Any]"]


@pytest.fixture
def connection(warehouse: Connect) -> Any:
    with warehouse() as opened:
        ensure_raw_tables(opened, [(each.vendor, each.name, each.description) for each in slack.STREAMS.values()])
        opened.commit()
        opened.autocommit = True
        yield opened


def sync(connection: Any, source: Any, name: str, **more: Any) -> Any:
    return sync_stream(connection, source, source.streams[name], **{"now": NOW, "today": date(2024, 12, 5), **more})


def fresh_to(connection: Any) -> Any:
    return connection.execute(
        "select fresh_to from ops.cursors where vendor = 'slack' and stream = 'messages'"
    ).fetchone()[0]


def test_every_stream_lands_and_rests(own_world: World, connection: Any) -> None:
    source = own_world.slack()
    for name in source.streams:
        first, second = sync(connection, source, name), sync(connection, source, name)
        assert (first.status, first.error) == ("succeeded", None) and first.inserted > 0, (name, first)
        assert (second.status, second.changed) == ("succeeded", 0), (name, second)
    assert fresh_to(connection) == NOW


def test_a_late_reply_and_an_edit_arrive(own_world: World, connection: Any) -> None:
    source = own_world.slack()
    sync(connection, source, "messages")
    channel, ts = connection.execute(
        "select payload ->> 'channel', payload ->> 'ts' from raw_slack.messages"
        " where not payload ? 'thread_ts' order by id limit 1"
    ).fetchone()
    later = NOW + timedelta(hours=6)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("slack", "add_message", channel=channel, user="U0DAN", text="late <!channel>", thread_ts=ts)
    own_world.mutate("slack", "edit_message", channel=channel, ts=ts, text="put right")
    result = sync(connection, source, "messages", now=later)
    assert (result.inserted, result.updated, result.fresh_to) == (1, 1, later)


def test_what_the_limits_left_over_is_not_called_fresh(
    own_world: World, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack, "READING_SECONDS", 1.0)
    own_world.control("/profile", {"profile": "restricted"})
    source = own_world.slack()
    first = sync(connection, source, "messages")
    assert first.status == "succeeded" and first.inserted > 0
    assert fresh_to(connection) == NOW - source.history
    later = NOW + timedelta(minutes=30)
    own_world.control("/profile", {"profile": "generous"})
    rest = sync(connection, source, "messages", now=later)
    # The round ended: everything up to its begin is there.
    assert rest.inserted > 0 and rest.updated == 0 and fresh_to(connection) == NOW
    again = sync(connection, own_world.slack(), "messages", now=later)
    assert (again.status, again.changed, fresh_to(connection)) == ("succeeded", 0, later)
