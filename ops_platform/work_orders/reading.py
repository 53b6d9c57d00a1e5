"""What intake needs of GitHub, and who may start work.

Belongs here: the reader's shape, authority, a repository's name. Does not belong here: GitHub's protocol
(`resources.github.issues`), deliveries (`intake.py`), polling (`polling.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ops_platform.failures import DataFailure
from ops_platform.records import JsonObject
from ops_platform.work_orders.policy import WorkPolicy

if TYPE_CHECKING:
    import psycopg

Connect = Callable[[], "psycopg.Connection[Any]"]


@dataclass(frozen=True, slots=True)
class Changed:
    """Issues as GitHub lists them, oldest change first, and the tag of an unchanged listing."""

    issues: Sequence[JsonObject]
    etag: str | None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An issue that is not where it was: deleted, or at `moved_to` (owner/name#number)."""

    moved_to: str | None


class IssueReader(Protocol):
    """What intake asks GitHub. All raise `TransientFailure` where asking again later may help."""

    def repository(self, name: str) -> tuple[str, int]:
        """A repository's name as it is now, and its id."""
        ...

    def permission(self, repository: str, login: str) -> str:
        """`admin`, `maintain`, `write`, `triage`, `read` or `none`."""
        ...

    def changed(self, repository: str, since: datetime | None, etag: str) -> Changed | None:
        """Issues changed since, of every state; without `since` the open ones. None where `etag` still stands."""
        ...

    def issue(self, repository: str, number: int) -> JsonObject | Elsewhere: ...

    def timeline(self, repository: str, number: int) -> Sequence[JsonObject]:
        """Everything that happened to an issue, oldest first."""
        ...


@dataclass(slots=True)
class Authority:
    """Who may start work: by the policy, and by what GitHub says, asked once for each person."""

    policy: WorkPolicy
    reader: IssueReader
    _known: dict[tuple[str, str], bool] = field(default_factory=dict)

    def holds(self, repository: str, login: str) -> bool:
        """Whether what this account sets counts. Our own never does, nobody's neither, an app's by its name alone."""
        name = login.lower()
        rules = self.policy.intake
        if not name or name == "ghost" or name in {each.lower() for each in rules.own_logins}:
            return False
        if name in {each.lower() for each in rules.authorised.logins}:
            return True
        if name.endswith("[bot]") or not rules.authorised.permissions:
            return False
        key = (repository.lower(), name)
        if key not in self._known:
            self._known[key] = self.reader.permission(repository, login) in rules.authorised.permissions
        return self._known[key]


def know_repository(connection: psycopg.Connection[Any], name: str, repository_id: int) -> None:
    """A repository is known by its id: renamed, its orders go with it."""
    name = name.lower()
    row = connection.execute(
        "select repository from ops.work_repositories where repository_id = %s", (repository_id,)
    ).fetchone()
    if row is None or row[0] == name:
        return
    taken = connection.execute("select 1 from ops.work_issues where repository = %s limit 1", (name,)).fetchone()
    if taken is not None:
        raise DataFailure(f"{row[0]} is called {name} now, and another repository had that name: a person must look")
    connection.execute("delete from ops.work_repositories where repository = %s", (name,))
    connection.execute(
        "update ops.work_repositories set repository = %s, etag = null where repository_id = %s", (name, repository_id)
    )
    connection.execute("update ops.work_issues set repository = %s where repository = %s", (name, row[0]))
