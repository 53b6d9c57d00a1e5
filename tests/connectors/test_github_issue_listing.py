"""The listing of changed issues that work orders stand on: nothing new hides behind an unchanged first page."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import SecretStr

from resources.github.client import GitHubClient
from resources.github.issues import IssueReading
from resources.http import HttpClient
from tests.connectors.conftest import World

REPOSITORY = "northbeam/operations"
SINCE = datetime(2024, 12, 5, 10, 50, tzinfo=UTC)


def test_more_than_a_page_of_changes_within_one_second(own_world: World) -> None:
    reader = IssueReading(GitHubClient(HttpClient("github", own_world.url), SecretStr("github_pat_sandbox")))

    def read(etag: str) -> tuple[int, str]:
        changed = reader.changed(REPOSITORY, SINCE, etag)
        assert changed is not None
        return len(changed.issues), changed.etag or ""

    before, _ = read("")
    for each in range(98 - before):
        own_world.mutate("github", "open_issue", title=f"Storm {each}")
    count, etag = read("")
    # One page: unchanged, it is not read again.
    assert count == 98 and etag and reader.changed(REPOSITORY, SINCE, etag) is None
    # A full page, one more than that, and many more: the first page stays as it is.
    for more in (2, 1, 40):
        for each in range(more):
            own_world.mutate("github", "open_issue", title=f"More {each}")
        count, etag = count + more, read(etag)[1]
        own_world.mutate("github", "open_issue", title="The one that was hidden")
        count += 1
        assert read(etag)[0] == count
