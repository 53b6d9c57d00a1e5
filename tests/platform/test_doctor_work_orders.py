"""What the doctor says of the account that answers work orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_platform.commands.doctor_work_orders import work_order_findings
from ops_platform.failures import PermanentFailure
from ops_platform.settings import Settings
from ops_platform.work_orders.label_catalogue import catalogue, put
from ops_platform.work_orders.policy import get_work_policy
from resources.github import writing
from tests.work_orders.effect_orders import REPOSITORY, GitHub, github


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHub]:
    with github(tmp_path_factory.mktemp("sandbox")) as there:
        yield there


def settings(hub: GitHub, **more: Any) -> Settings:
    given = {
        "github_write_token": "github_pat_sandbox_writer", "github_base_url": hub.url, "github_repository": REPOSITORY,
        "github_webhook_secret": "a-long-random-webhook-secret", "github_token": "github_pat_sandbox",
    }  # fmt: skip
    return Settings(**{**given, **more})


def said(hub: GitHub, **more: Any) -> list[tuple[str, str]]:
    return [(each.check, each.state) for each in work_order_findings(settings(hub, **more))]


def test_what_is_missing_is_named(hub: GitHub) -> None:
    assert said(hub, github_write_token=None) == [("answers", "not connected")]
    assert said(hub, github_repository=None) == [("answers", "failed")]
    (revoked,) = work_order_findings(settings(hub, github_write_token="github_pat_revoked_0000000000000"))
    assert revoked.state == "failed" and "github_pat_revoked" not in revoked.detail
    (same,) = work_order_findings(settings(hub, github_token="github_pat_sandbox_writer"))
    assert same.state == "failed" and "must be another" in same.detail


def test_nothing_is_written_where_anybody_may_read(tmp_path: Path) -> None:
    with github(tmp_path) as there:
        there.mutate("publish_repository")
        assert ("repository", "failed") in said(there)
        writer = writing.connect(settings(there))
        assert writer is not None
        attempts: list[Callable[[], Any]] = [
            lambda: writer.comment(REPOSITORY, 1, "Net sales were 12,345.67 USD."),
            lambda: writer.edit_comment(REPOSITORY, 1, "Net sales were 12,345.67 USD."),
            lambda: writer.open_issue(REPOSITORY, "Sales", "Net sales were 12,345.67 USD.", []),
            lambda: writer.put_file(REPOSITORY, "docs/sales.md", "work/1-sales", b"12,345.67", "Sales", None),
            lambda: writer.open_pull(REPOSITORY, "work/1-sales", "Sales", "12,345.67 USD"),
        ]
        for attempt in attempts:
            with pytest.raises(PermanentFailure, match="is public"):
                attempt()
        assert there.written() == [] and there.calls("POST") == []


def test_labels_and_webhooks_are_looked_for_and_nothing_is_written(hub: GitHub) -> None:
    found = said(hub, github_webhook_secret=None)
    assert found == [("answers", "ok"), ("labels", "warning"), ("webhook", "not connected")]
    assert hub.written() == [] and hub.calls("POST") == []
    writer = writing.connect(settings(hub))
    assert writer is not None
    assert put(catalogue(get_work_policy()), REPOSITORY, writer)
    assert said(hub) == [("answers", "ok")]
