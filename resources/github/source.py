"""GitHub as a source: issues and pull requests, their comments and events, milestones and labels.

Belongs here: the streams, how each is read and tied out. Does not belong here: headers, limits and paging
(`client.py`); telling issues from pull requests by the key `pull_request` (dbt, staging).

Issues and comments are read upward by `updated_at`: each request asks from the last update seen on, so that a
record which changes, moves or vanishes while pages are read pushes none of its neighbours out of sight. Events
know no `since`: they are read from the newest down to those known. Milestones and labels are short and read
whole. The cursor holds, for each repository by its id, how far it was read and the ETag of the first page: a
repository in which nothing happened answers 304 and costs nothing of the rate limit.

No list shows what was deleted or moved to another repository: `living_ids` walks all numbers that live.

Tie-out. Issues, with pull requests, by the UTC day they were created: the search's own count of each run of closed
days, or, for the first sync and for many days, a second listing in another order. Everything else by GitHub's
count of the whole listing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from ops_platform.failures import OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.github.client import (
    PAGE_SIZE,
    WHOLE_RETRY,
    GitHubClient,
    Listed,
    NotModified,
    PaginationLimited,
    Refused,
    identity_of,
)
from resources.record_checks import (
    INVALID_SHAPE,
    LARGEST_INT,
    MISSING_FIELD,
    MISSING_ID,
    Flaw,
    is_integer,
    moment,
    optional_flags,
    optional_integers,
    optional_moments,
    rejected,
    small_enough,
    utc_text,
)

log = logging.getLogger(__name__)

VENDOR = "github"
LOOK_BACK = timedelta(hours=1)
# Runs of days that are searched for; with more of them, listing everything is fewer requests.
MOST_SEARCHES = 6
MOST_FOUND = 1000

STREAMS = {
    stream.name: stream
    for stream in (
        Stream(VENDOR, "labels", "Labels of the repositories", full_refresh=True, ties_out=True),
        Stream(VENDOR, "milestones", "Milestones of the repositories", full_refresh=True, ties_out=True),
        Stream(VENDOR, "issues", "Issues and pull requests, open and closed", look_back=LOOK_BACK, ties_out=True),
        Stream(
            VENDOR, "comments", "Comments on issues and pull requests", look_back=LOOK_BACK, ties_out=True
        ),
        Stream(
            VENDOR, "events", "What happened to issues: labelled, assigned, closed and so on", look_back=LOOK_BACK,
            ties_out=True,
        ),
    )
}  # fmt: skip

_PATHS = {
    "labels": "/labels", "milestones": "/milestones", "issues": "/issues", "comments": "/issues/comments",
    "events": "/issues/events",
}  # fmt: skip
# What each listing needs to show everything: issues and milestones hide the closed ones.
_EVERYTHING: dict[str, dict[str, str]] = {"issues": {"state": "all"}, "milestones": {"state": "all"}}
_PERMISSION = "give the token the repository permission Issues: read"
_SWITCH_ON = "switch them on, or take it out of GITHUB_REPOSITORIES"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far one repository was read. `url` is the first page that `etag` was given for."""

    since: str | None = None
    etag: str = ""
    url: str = ""


class GitHubSource:
    """The configured repositories (`owner/name`) as one vendor."""

    vendor = VENDOR

    def __init__(self, client: GitHubClient, repositories: Sequence[str]) -> None:
        self.client = client
        self.repositories = tuple(dict.fromkeys(repositories))
        self.streams: dict[str, Stream] = dict(STREAMS)
        self._told_off: set[str] = set()

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield the stream of every repository. The last page is empty and has the cursor: pages of several
        repositories do not come in the order of any one time. The cost of a page is in requests that counted."""
        read = {"issues": self._upward, "comments": self._upward, "events": self._downward}.get(stream.name, self._all)
        before, known, marks = self.client.spent, read_cursor(cursor), dict[str, Mark]()
        for repository in self._read():
            marker: dict[str, Mark] = {}
            for items in read(stream, repository, known(str(repository["id"])), now, marker):
                good, bad = self._checked(stream, repository["full_name"], items)
                yield Page(good, bad, None, Decimal(self.client.spent - before))
                before = self.client.spent
            marks |= marker
        text = None if stream.full_refresh else write_cursor(marks, now)
        yield Page((), (), text, Decimal(self.client.spent - before))

    def _read(self) -> list[JsonObject]:
        """The repositories that are read. One whose issues were switched off has none, and keeps none of the others
        from being read; when they are switched on again it is read from its beginning, for it left no mark.

        Raises `PermanentFailure` where nothing is left to read."""
        found = [self.client.repository(name) for name in self.repositories]
        read = [repository for repository in found if _has_issues(repository)]
        off = {str(repository["full_name"]) for repository in found if repository not in read}
        if off and not read:
            raise PermanentFailure(f"github: issues are switched off in {', '.join(sorted(off))}; {_SWITCH_ON}")
        for name in sorted(off - self._told_off):
            log.warning("github: issues are switched off in %s: nothing is read there; %s", name, _SWITCH_ON)
        self._told_off |= off
        return read

    def _upward(
        self, stream: Stream, repository: JsonObject, mark: Mark, now: datetime, marker: dict[str, Mark]
    ) -> Iterator[list[Any]]:
        """Records by rising `updated_at`, each request from the last one seen on."""
        path = f"/repos/{repository['full_name']}{_PATHS[stream.name]}"
        begin = _since(mark, now, stream.look_back)
        newest, etag = mark.since or "", ""
        asked = url = _first_page(path, stream, begin)
        since, ids, versions = begin, set[str](), set[tuple[str, str]]()
        while True:

            def accept(items: list[Any], _: Any, since: str | None = since) -> None:
                times = _moments(items, "updated_at")
                if since is not None and times and min(times) < since:
                    raise TransientFailure("github: the page holds what was not asked for")

            try:
                unchanged = mark.etag if asked == mark.url else ""
                listed = self.client.page(asked, etag=unchanged, accept=accept, of=repository["full_name"])
            except NotModified:
                marker[str(repository["id"])] = mark
                return
            times = _moments(listed.items, "updated_at")
            newest = max([newest, *times])
            if asked == url and listed.following is None and len(listed.items) < PAGE_SIZE:
                # Only of a page with room on it: a change would show there and nowhere else.
                etag = listed.etag or ""
            fresh = []
            for item in listed.items:
                identity = identity_of(item)
                version = (identity or "", str(item.get("updated_at")) if isinstance(item, dict) else "")
                if identity is None or version not in versions:
                    fresh.append(item)
                if identity is not None:
                    ids.add(identity)
                    versions.add(version)
            if fresh:
                yield fresh
            further = self._further(path, stream, listed, times, since)
            if further is None:
                break
            asked, since = further
        if begin is None:
            self._check_whole(stream, repository, len(ids))
        marker[str(repository["id"])] = Mark(newest or None, etag, url if etag else "")

    def _further(
        self, path: str, stream: Stream, listed: Listed, times: Sequence[str], since: str | None
    ) -> tuple[str, str | None] | None:
        """Where to go on after a page, None at the end: from its last update; by GitHub's own link where that leads
        nowhere, as in a page of one second or one that is not in order."""
        if listed.following is None and len(listed.items) < PAGE_SIZE:
            return None
        if list(times) == sorted(times) and times and times[-1] > (since or ""):
            return _first_page(path, stream, times[-1]), times[-1]
        return (listed.following, since) if listed.following is not None else None

    def day_pages(self, stream: Stream, days: Sequence[date], *, now: datetime) -> Iterator[Page]:
        """Every issue and pull request created on these days in UTC, out of the listing from the newest down."""
        before, wanted = self.client.spent, set(days)
        query: dict[str, str | int] = {"state": "all", "sort": "created", "direction": "desc", "per_page": PAGE_SIZE}
        for repository in self._read():
            full_name = str(repository["full_name"])
            for listed in self.client.walk(f"/repos/{full_name}/issues", query):
                good, bad = self._checked(stream, full_name, [item for item in listed.items if _day(item) in wanted])
                yield Page(good, bad, None, Decimal(self.client.spent - before))
                before = self.client.spent
                if listed.items and _day(listed.items[-1]) < min(wanted):
                    break

    def _downward(
        self, stream: Stream, repository: JsonObject, mark: Mark, now: datetime, marker: dict[str, Mark]
    ) -> Iterator[list[Any]]:
        """Events from the newest down to those known, and the look-back further."""
        path = f"/repos/{repository['full_name']}{_PATHS[stream.name]}"
        known = _since(mark, now, stream.look_back)
        url = f"{path}?per_page={PAGE_SIZE}"
        newest, etag, read = mark.since or "", "", set[str]()
        try:
            for listed in self.client.walk(path, {"per_page": PAGE_SIZE}, etag=mark.etag if mark.url == url else ""):
                times = _moments(listed.items, "created_at")
                newest, etag = max([newest, *times]), etag or listed.etag or ""
                read.update(identity for identity in map(identity_of, listed.items) if identity)
                if listed.items:
                    yield listed.items
                if known is not None and times and min(times) < known:
                    break
            else:
                if known is None:
                    self._check_whole(stream, repository, len(read))
        except NotModified:
            marker[str(repository["id"])] = mark
            return
        except PaginationLimited as limited:
            log.warning("%s; older events of %s are not read", limited, repository["full_name"])
        marker[str(repository["id"])] = Mark(newest or None, etag, url if etag else "")

    def _all(
        self, stream: Stream, repository: JsonObject, mark: Mark, now: datetime, marker: dict[str, Mark]
    ) -> Iterator[list[Any]]:
        path = f"/repos/{repository['full_name']}{_PATHS[stream.name]}"
        yield self.client.whole(path, _EVERYTHING.get(stream.name, {}))

    def _check_whole(self, stream: Stream, repository: JsonObject, read: int) -> None:
        """After a first read: a listing that was cut short would leave a gap that no later sync looks for."""
        path = f"/repos/{repository['full_name']}{_PATHS[stream.name]}"
        counted = self.client.count(path, _EVERYTHING.get(stream.name, {}))
        if read < counted:
            raise TransientFailure(f"github: {path} listed {read} records and counts {counted}")

    def _checked(self, stream: Stream, repository: str, items: Sequence[Any]) -> tuple[list[Record], list[Rejected]]:
        return _records(stream.name, [_lean(item, repository) for item in items])

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """Check again what was set aside; asks GitHub nothing."""
        good, bad = _records(stream.name, payloads)
        return Page(good, bad)

    # -- deletes ------------------------------------------------------------------------------------------

    def living_ids(self, stream: Stream) -> Iterator[str]:
        """The ids of everything that lives in the configured repositories. A listing that does not have as many
        as GitHub counts is read again, and raises when that does not help."""
        query: dict[str, str | int] = dict(_EVERYTHING.get(stream.name, {}))
        if stream.name in ("issues", "comments"):
            # Upward by creation nothing moves but what is deleted, which the count shows.
            query |= {"sort": "created", "direction": "asc"}
        for repository in self._read():
            path = f"/repos/{repository['full_name']}{_PATHS[stream.name]}"

            def attempt(path: str = path) -> list[str]:
                found = {
                    identity
                    for listed in self.client.walk(path, {**query, "per_page": PAGE_SIZE})
                    for identity in map(identity_of, listed.items)
                    if identity
                }
                self.client.check_count(path, query, len(found))
                return sorted(found)

            yield from self.client.http.repeat(attempt, f"all ids of {path}", WHOLE_RETRY)

    # -- tie-out ------------------------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        names = [str(repository["full_name"]) for repository in self._read()]
        if stream.name != "issues":
            query = _EVERYTHING.get(stream.name, {})
            counted = sum(self.client.count(f"/repos/{name}{_PATHS[stream.name]}", query) for name in names)
            return [ControlTotal(stream.name, None, counted)]
        runs = _runs(days) if days is not None else []
        if days is not None and len(runs) <= MOST_SEARCHES:
            counts = self._searched(names, runs)
        else:
            counts = self._listed(names, min(days) if days else None)
        wanted = set(days) if days is not None else set(counts)
        return [ControlTotal("issues", day, counts[day]) for day in sorted(wanted)]

    def _searched(self, names: Sequence[str], runs: Sequence[tuple[date, date]]) -> Counter[date]:
        """Counts by day from the search, a run of days at a time; one repository and one kind a search, because
        between qualifiers a space means "and"."""
        counts: Counter[date] = Counter()
        for first, last in runs:
            for name in names:
                for kind in ("issue", "pull-request"):
                    span = f"{first}T00:00:00+00:00..{last}T23:59:59+00:00"
                    total, items = self.client.search(f"repo:{name} is:{kind} created:{span}")
                    if first == last:
                        counts[first] += total
                        continue
                    if total > MOST_FOUND or len(items) != total:
                        counts.update(self._listed([name], first, kind))
                        continue
                    counts.update(_day(item) for item in items)
        return counts

    def _listed(self, names: Sequence[str], oldest: date | None, kind: str | None = None) -> Counter[date]:
        """Counts by day from a listing in the order of creation, newest first, down to `oldest`."""
        counts: Counter[date] = Counter()
        query: dict[str, str | int] = {"state": "all", "sort": "created", "direction": "desc", "per_page": PAGE_SIZE}
        for name in names:
            seen: dict[str, Any] = {}
            for listed in self.client.walk(f"/repos/{name}/issues", query):
                seen |= {identity: item for item in listed.items if (identity := identity_of(item))}
                if oldest is not None and listed.items and _day(listed.items[-1]) < oldest:
                    break
            for item in seen.values():
                if kind is None or ("pull_request" in item) == (kind == "pull-request"):
                    counts[_day(item)] += 1
        return counts

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        if stream.name == "issues":
            day = "((payload ->> 'created_at')::timestamptz at time zone 'UTC')::date"
            sql = (
                f"select {day} as day, count(*), null::numeric from raw_github.issues where deleted_at is null"
                f" and (%(days)s::date[] is null or {day} = any(%(days)s::date[])) group by 1"
            )
            return LandedQuery("issues", sql, day, "UTC")
        sql = f"select null::date, count(*), null::numeric from raw_github.{stream.name} where deleted_at is null"
        return LandedQuery(stream.name, sql)

    # -- health -------------------------------------------------------------------------------------------

    def probe(self) -> Iterator[Probe]:
        """Credentials by the rate limit (asking it is free), then every repository and every listing of it."""
        try:
            answer = self.client.get("/rate_limit")
            core = answer.data["resources"]["core"]
        except (OpsError, KeyError, TypeError) as error:
            known = error if isinstance(error, OpsError) else "the rate limit was answered without its figures"
            yield Probe("credentials", False, str(known), "make a new token and set GITHUB_TOKEN", tuple(STREAMS))
            return
        # Only a classic token says its scopes, and each of them reaches further than reading issues.
        classic = tuple(scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip())
        said = f"{core.get('remaining')} of {core.get('limit')} requests left this hour"
        remedy = "use a fine-grained token of these repositories, read only" if classic else ""
        yield Probe("credentials", True, said, remedy, excess=classic)
        for name in self.repositories:
            try:
                repository = self.client.repository(name)
            except OpsError as error:
                remedy = f"give the token access to {name}, or take it out of GITHUB_REPOSITORIES"
                yield Probe(name, False, str(error), remedy, tuple(STREAMS))
                continue
            yield self._standing(name, repository)
            for stream in STREAMS:
                yield self._listing(name, repository, stream)

    def _standing(self, name: str, repository: JsonObject) -> Probe:
        full_name = str(repository["full_name"])
        if not _has_issues(repository):
            return Probe(name, False, "issues are switched off", _SWITCH_ON, tuple(STREAMS))
        said = f"{repository.get('open_issues_count')} open issues and pull requests"
        if repository.get("archived"):
            said += ", archived"
        if full_name.casefold() != name.casefold():
            said += f"; it is called {full_name} now: change GITHUB_REPOSITORIES"
        return Probe(name, True, said)

    def _listing(self, name: str, repository: JsonObject, stream: str) -> Probe:
        path = f"/repos/{repository['full_name']}{_PATHS[stream]}"
        try:
            counted = self.client.count(path, _EVERYTHING.get(stream, {}))
        except Refused as refused:
            remedy = f"give the token {refused.permission} for {name}" if refused.permission else _PERMISSION
            return Probe(f"{name} {stream}", False, str(refused), remedy, (stream,))
        except OpsError as error:
            return Probe(f"{name} {stream}", False, str(error), "try again later", (stream,))
        return Probe(f"{name} {stream}", True, f"{counted:,} {stream}")

    def close(self) -> None:
        self.client.http.close()


def _has_issues(repository: JsonObject) -> bool:
    return repository.get("has_issues") is not False


# -- the cursor -----------------------------------------------------------------------------------------------


def read_cursor(text: str | None) -> Callable[[str], Mark]:
    """The marks of a cursor, by repository id; a plain time is the mark of every repository."""
    if text is None:
        return lambda _: Mark()
    head, _, state = text.partition(" ")
    if not state:
        return lambda _: Mark(head)
    marks = {key: Mark(*value) for key, value in orjson.loads(state).items()}
    # A repository that was added since is read from its beginning.
    return lambda identity: marks.get(identity, Mark())


def write_cursor(marks: Mapping[str, Mark], now: datetime) -> str:
    """The marks as text. It begins with the time of the sync, because the loader keeps the cursor that sorts last."""
    state = {identity: [mark.since, mark.etag, mark.url] for identity, mark in sorted(marks.items())}
    return f"{utc_text(now)} {orjson.dumps(state).decode()}"


def _since(mark: Mark, now: datetime, look_back: timedelta) -> str | None:
    if mark.since is None:
        return None
    return utc_text(min(datetime.fromisoformat(mark.since), now) - look_back)


def _first_page(path: str, stream: Stream, since: str | None) -> str:
    """The address of a listing upward by update; built the same way every time, because an ETag belongs to it."""
    query = "&".join(f"{key}={value}" for key, value in _EVERYTHING.get(stream.name, {}).items())
    begin = f"&since={since}" if since is not None else ""
    return f"{path}?{query}{'&' if query else ''}sort=updated&direction=asc&per_page={PAGE_SIZE}{begin}"


# -- records --------------------------------------------------------------------------------------------------


def _moments(items: Sequence[Any], key: str) -> list[str]:
    """The times of these records, in their order, as GitHub writes them (UTC, whole seconds: they sort as text).
    What is no time is left out: its record will be set aside, and must not become the cursor."""
    found = []
    for item in items:
        try:
            found.append(utc_text(moment(item.get(key) if isinstance(item, dict) else None, key)))
        except Flaw:
            continue
    return found


def _day(item: Any) -> date:
    try:
        return moment(item.get("created_at"), "created_at").astimezone(UTC).date()
    except (Flaw, AttributeError):
        raise TransientFailure("github: a listed issue does not say when it was created") from None


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """The runs of consecutive days among `days`: (first, last) each."""
    runs: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _lean(item: Any, repository: str) -> Any:
    """A record without what would only weigh: links, reactions, and of people everything but who they are. What an
    event repeats of its issue changes with the issue, so that only its number and id are kept."""
    if not isinstance(item, dict):
        return item
    lean = {key: _lean_value(value) for key, value in item.items() if not _weighs(key)}
    if "issue" in item:
        issue = item["issue"] if isinstance(item["issue"], dict) else {}
        lean["issue"] = {"id": issue.get("id"), "number": issue.get("number")} if issue else None
    if isinstance(item.get("issue_url"), str):
        number = item["issue_url"].rpartition("/")[2]
        lean["issue_number"] = int(number) if number.isdigit() else None
    if isinstance(item.get("parent_issue_url"), str):
        number = item["parent_issue_url"].rpartition("/")[2]
        lean["parent_number"] = int(number) if number.isdigit() else None
    if isinstance(item.get("milestone"), dict):
        # Its counts change with every other issue of it.
        lean["milestone"] = {key: item["milestone"].get(key) for key in ("id", "number", "title")}
    lean["repository"] = repository
    return lean


def _weighs(key: str) -> bool:
    return (key.endswith("_url") and key != "html_url") or key in ("url", "reactions", "node_id", "repository")


def _lean_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_lean_value(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "login" in value:
        return {key: value.get(key) for key in ("id", "login", "type")}
    return {key: _lean_value(each) for key, each in value.items() if not _weighs(key)}


def _records(name: str, items: Sequence[Any]) -> tuple[list[Record], list[Rejected]]:
    good: list[Record] = []
    bad: list[Rejected] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            good.append(_CHECKS[name](item))
        except Flaw as flaw:
            bad.append(rejected(item, flaw, identity_of(item)))
    return good, bad


def _identity(item: JsonObject) -> str:
    identity = identity_of(item)
    if identity is None:
        raise Flaw(MISSING_ID, f"id is {item.get('id')!r}")
    return identity


def _text(item: JsonObject, key: str, *, may_be_null: bool = False) -> None:
    value = item.get(key)
    if not (isinstance(value, str) or (may_be_null and value is None)):
        raise Flaw(INVALID_SHAPE, f"{key} is {type(value).__name__}, not text")


def _number(item: JsonObject, key: str) -> None:
    if not is_integer(item.get(key), LARGEST_INT):
        raise Flaw(MISSING_FIELD, f"{key} is {item.get(key)!r}")


def _counts(item: JsonObject, *keys: str) -> None:
    optional_integers(item, "", *keys, most=LARGEST_INT)


def _check_issue(item: JsonObject) -> Record:
    identity = _identity(item)
    _number(item, "number")
    _text(item, "title")
    _text(item, "body", may_be_null=True)
    if item.get("state") not in ("open", "closed"):
        raise Flaw(INVALID_SHAPE, f"state is {item.get('state')!r}, neither open nor closed")
    if item.get("assignees") is None:
        item["assignees"] = []
    if not isinstance(item.get("labels"), list) or not isinstance(item["assignees"], list):
        raise Flaw(INVALID_SHAPE, "labels or assignees are no list")
    # An old form of a label is its bare name.
    item["labels"] = [{"name": each} if isinstance(each, str) else each for each in item["labels"]]
    moment(item.get("created_at"), "created_at")
    optional_moments(item, "", "closed_at")
    _counts(item, "comments", "parent_number")
    optional_flags(item, "", "locked", "draft")
    if isinstance(item.get("sub_issues_summary"), dict):
        _counts(item["sub_issues_summary"], "total", "completed")
    if isinstance(item.get("pull_request"), dict):
        optional_moments(item["pull_request"], "pull_request", "merged_at")
    small_enough(len(item.get("body") or ""))
    return Record(identity, item, moment(item.get("updated_at"), "updated_at"))


def _check_comment(item: JsonObject) -> Record:
    identity = _identity(item)
    _number(item, "issue_number")
    _text(item, "body", may_be_null=True)
    moment(item.get("created_at"), "created_at")
    return Record(identity, item, moment(item.get("updated_at"), "updated_at"))


def _check_event(item: JsonObject) -> Record:
    identity = _identity(item)
    _text(item, "event")
    if isinstance(item.get("issue"), dict):
        _counts(item["issue"], "number")
    return Record(identity, item, moment(item.get("created_at"), "created_at"))


def _check_milestone(item: JsonObject) -> Record:
    identity = _identity(item)
    _number(item, "number")
    _text(item, "title")
    optional_moments(item, "", "due_on", "closed_at", "created_at")
    _counts(item, "open_issues", "closed_issues")
    return Record(identity, item, moment(item.get("updated_at"), "updated_at"))


def _check_label(item: JsonObject) -> Record:
    identity = _identity(item)
    _text(item, "name")
    return Record(identity, item)


_CHECKS: dict[str, Callable[[JsonObject], Record]] = {
    "issues": _check_issue,
    "comments": _check_comment,
    "events": _check_event,
    "milestones": _check_milestone,
    "labels": _check_label,
}
