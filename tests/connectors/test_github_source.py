"""GitHub as a source: pages, conditional requests, limits, refusals, deletes and tie-out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import Page
from ops_platform.settings import Settings
from resources import github
from resources.github import GitHubSource
from resources.github.client import GitHubClient
from resources.github.source import read_cursor
from tests.connectors.conftest import NOW, World, read
from tests.connectors.fake import Asked, FakeVendor, Said, StillClock, client_of, fake_vendor, said

APP, OPERATIONS = "northbeam/companion-app", "northbeam/operations"
Json = dict[str, Any]


# A GitHub of one repository, by script ----------------------------------------------------------------------------


def at(second: int) -> str:
    return (NOW - timedelta(days=5) + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def issue(number: int, updated: int | None = None, **more: Any) -> Json:
    when = at(number if updated is None else updated)
    return {
        "id": 1000 + number, "number": number, "title": f"t{number}", "state": "open", "body": None, "labels": [],
        "assignees": [], "user": {"id": 1, "login": "a", "type": "User", "email": "secret@example.com"},
        "created_at": at(number), "updated_at": when, "closed_at": None, "url": "https://x", **more,
    }  # fmt: skip


class Repository:
    """One repository whose listings are paged as GitHub pages them. `between(asked)` may change it first."""

    def __init__(self, issues: list[Json] | None = None) -> None:
        self.issues = issues or []
        self.events: list[Json] = []
        self.labels: list[Json] = []
        self.override: Callable[[Asked], Said | None] = lambda _: None
        self.url = ""
        self.last_link = True

    def __call__(self, asked: Asked) -> Said:
        special = self.override(asked)
        if special is not None:
            return special
        assert asked.headers["authorization"] == "Bearer t0ken-1234"
        assert asked.headers["x-github-api-version"] == "2026-03-10"
        assert asked.headers["accept"] == "application/vnd.github+json" and asked.headers["user-agent"]
        if asked.path == "/repos/o/r":
            return said({"id": 7, "full_name": "o/r", "has_issues": True})
        name = asked.path.removeprefix("/repos/o/r/")
        if name == "issues":
            assert asked.query["state"] == "all"
            found = [each for each in self.issues if each["updated_at"] >= asked.query.get("since", "")]
            key = "updated_at" if asked.query.get("sort") == "updated" else "created_at"
            found.sort(key=lambda each: (each[key], each["id"]), reverse=asked.query.get("direction", "desc") == "desc")
            return self.page(asked, found)
        if name == "issues/events":
            return self.page(
                asked, sorted(self.events, key=lambda each: (each["created_at"], each["id"]), reverse=True)
            )
        return self.page(asked, {"labels": self.labels}.get(name, []))

    def page(self, asked: Asked, found: list[Json]) -> Said:
        size, number = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
        last = max(1, -(-len(found) // size))
        shown = found[(number - 1) * size : number * size]
        etag = f'W/"{abs(hash(json.dumps(shown) + str(sorted(asked.query.items()))))}"'
        if asked.headers.get("if-none-match") == etag:
            return Said(b"", 304, {"etag": etag})
        headers = {"etag": etag}
        if number < last:
            url = f"{self.url}{asked.path}?{urlencode({**asked.query, 'page': number + 1})}"
            headers["link"] = f'<{url}>; rel="next"'
            if self.last_link:
                headers["link"] += f', <{url.rpartition("page=")[0]}page={last}>; rel="last"'
        return Said(json.dumps(shown).encode(), 200, headers)


@contextmanager
def source_for(
    repository: Callable[[Asked], Said], clock: StillClock | None = None
) -> Iterator[tuple[GitHubSource, FakeVendor]]:
    with fake_vendor(repository) as vendor:
        if isinstance(repository, Repository):
            repository.url = vendor.url
        http = client_of(vendor, clock or StillClock(), "github")
        yield GitHubSource(GitHubClient(http, SecretStr("t0ken-1234")), ["o/r"]), vendor


def pages(source: GitHubSource, stream: str, cursor: str | None = None, now: datetime = NOW) -> list[Page]:
    return list(source.pages(source.streams[stream], cursor, now=now))


def numbers(found: list[Page]) -> list[int]:
    return [record.payload["number"] for page in found for record in page.records]


def test_everything_is_read_and_only_who_somebody_is() -> None:
    with source_for(Repository([issue(n) for n in range(1, 251)])) as (source, vendor):
        found = pages(source, "issues")
    assert numbers(found) == list(range(1, 251))
    assert found[0].records[0].payload["user"] == {"id": 1, "login": "a", "type": "User"}
    assert "url" not in found[0].records[0].payload and found[0].records[0].payload["repository"] == "o/r"
    assert [each.query.get("since") for each in vendor.asked if each.path.endswith("/issues")][1:3] == [
        at(100),
        at(199),
    ]


def test_a_neighbour_of_what_changes_while_pages_are_read_is_not_lost() -> None:
    """By page numbers, #101 would move to the place of #100 and never be shown."""
    repository = Repository([issue(n) for n in range(1, 251)])
    changed = False

    def between(asked: Asked) -> None:
        nonlocal changed
        if asked.query.get("since") and not changed:
            changed = True
            repository.issues[4]["updated_at"] = at(900)
            repository.issues[4]["title"] = "changed"
            del repository.issues[9]

    repository.override = between
    with source_for(repository) as (source, _):
        found = pages(source, "issues")
    assert set(numbers(found)) == set(range(1, 251))
    assert numbers(found).count(5) == 2
    assert [r.payload["title"] for p in found for r in p.records if r.payload["number"] == 5] == ["t5", "changed"]


def test_more_than_a_page_of_one_second() -> None:
    repository = Repository([issue(n, updated=50) for n in range(1, 231)] + [issue(n) for n in range(300, 310)])
    with source_for(repository) as (source, _):
        assert set(numbers(pages(source, "issues"))) == {*range(1, 231), *range(300, 310)}
    repository = Repository([issue(n, updated=50) for n in range(1, 101)])
    with source_for(repository) as (source, _):
        assert set(numbers(pages(source, "issues"))) == set(range(1, 101))


def test_an_unchanged_repository_answers_304_and_costs_nothing() -> None:
    repository = Repository([issue(n) for n in range(1, 31)])
    with source_for(repository) as (source, vendor):
        cursor = None
        for _ in range(2):
            cursor = pages(source, "issues", cursor)[-1].cursor
        before = len(vendor.asked)
        quiet = pages(source, "issues", cursor)
        assert numbers(quiet) == [] and sum(page.api_cost for page in quiet) == 0
        assert len(vendor.asked) == before + 1
        assert quiet[-1].cursor is not None and read_cursor(quiet[-1].cursor)("7") == read_cursor(cursor)("7")
        repository.issues[3]["updated_at"] = at(40)
        assert 4 in numbers(pages(source, "issues", quiet[-1].cursor))


def test_the_etag_of_a_full_page_is_not_trusted() -> None:
    """A change sorts to the end: with a hundred on the first page, it shows on the second alone."""
    repository = Repository([issue(n, updated=n % 30) for n in range(1, 121)])
    with source_for(repository) as (source, vendor):
        cursor = None
        for _ in range(3):
            cursor = pages(source, "issues", cursor)[-1].cursor
        assert not any("if-none-match" in asked.headers for asked in vendor.asked)


def event(number: int, second: int, issue_title: str = "x") -> Json:
    return {
        "id": 5000 + number, "event": "labeled", "created_at": at(second), "actor": None, "label": {"name": "P1"},
        "issue": {"id": 1, "number": 1, "title": issue_title},
    }  # fmt: skip


def test_events_are_read_down_to_those_known() -> None:
    repository = Repository()
    repository.events = [event(n, n * 60) for n in range(1, 451)]
    with source_for(repository) as (source, vendor):
        first = pages(source, "events")
        assert sum(len(page.records) for page in first) == 450
        assert first[0].records[0].payload["issue"] == {"id": 1, "number": 1}
        before = len(vendor.asked)
        assert sum(len(page.records) for page in pages(source, "events", first[-1].cursor)) == 0
        assert len(vendor.asked) == before + 1
        repository.events.append(event(451, 451 * 60))
        news = pages(source, "events", first[-1].cursor)
    # A page reaches beyond the look-back of an hour; the next one is not asked for.
    assert sum(len(page.records) for page in news) == 100


def test_a_repository_that_was_added_is_read_from_its_beginning() -> None:
    cursor = '2024-12-05T11:00:00Z {"99":["2024-12-05T10:00:00Z","",""]}'
    with source_for(Repository([issue(1)])) as (source, _):
        assert numbers(pages(source, "issues", cursor)) == [1]
        # A plain time is the mark of every repository, and one in the future is none.
        assert numbers(pages(source, "issues", "2024-12-05T10:59:00Z")) == []
        assert numbers(pages(source, "issues", "2030-01-01T00:00:00Z", now=NOW - timedelta(days=5))) == [1]


# Limits and refusals ----------------------------------------------------------------------------------------------


def refused(status: int, message: str, **headers: str) -> Said:
    body = json.dumps({"message": message, "status": str(status), "documentation_url": "https://d"}).encode()
    return Said(body, status, {key.replace("_", "-"): value for key, value in headers.items()})


def in_seconds(seconds: int) -> str:
    """As the answering machine's clock, by its `Date` header, will see it."""
    return str(int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("status", "message", "headers", "least", "most"),
    [
        (403, "secondary rate limit", {"retry_after": "17", "x_ratelimit_remaining": "0"}, 17, 19),
        (429, "too many", {"retry_after": "3"}, 3, 4),
        (403, "API rate limit exceeded", {"x_ratelimit_remaining": "0", "x_ratelimit_reset": "in 300 s"}, 297, 302),
        (403, "You have exceeded a secondary rate limit.", {}, 60, 61),
        (429, "slow down", {"x_ratelimit_remaining": "12"}, 60, 61),
    ],
)
def test_how_long_a_limit_is_waited_for(
    status: int, message: str, headers: dict[str, str], least: float, most: float
) -> None:
    # A moment is told when the test runs, which may be long after it was collected.
    said = {name: in_seconds(300) if value == "in 300 s" else value for name, value in headers.items()}
    repository, clock, once = Repository([issue(1)]), StillClock(), [refused(status, message, **said)]
    repository.override = lambda asked: once.pop() if asked.path.endswith("/issues") and once else None
    with source_for(repository, clock) as (source, _):
        assert numbers(pages(source, "issues")) == [1]
    assert len(clock.slept) == 1
    assert least <= clock.slept[0] <= most


def test_secondary_limits_are_waited_for_longer_each_time() -> None:
    repository, clock = Repository([issue(1)]), StillClock()
    answers = [refused(403, "You have exceeded a secondary rate limit.")] * 3
    repository.override = lambda asked: answers.pop() if asked.path.endswith("/issues") and answers else None
    with source_for(repository, clock) as (source, _):
        pages(source, "issues")
    assert [round(each / 60) for each in clock.slept] == [1, 2, 4]


def test_a_reset_too_far_off_ends_the_sync_and_says_until_when() -> None:
    repository, clock = Repository([issue(1)]), StillClock()
    repository.override = lambda asked: refused(
        403, "API rate limit exceeded", x_ratelimit_remaining="0", x_ratelimit_reset=in_seconds(3300)
    )
    with (
        source_for(repository, clock) as (source, _),
        pytest.raises(TransientFailure, match=r"used up until \d\d:\d\d:\d\d UTC"),
    ):
        pages(source, "issues")
    assert clock.slept == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (refused(401, "Bad credentials"), "GITHUB_TOKEN"),
        (refused(403, "Resource not accessible", x_accepted_github_permissions="issues=read"), "issues: read"),
        (refused(404, "Not Found"), "may not see it"),
        (refused(410, "Issues has been disabled in this repository."), "disabled"),
        (refused(422, "Validation Failed"), "Validation Failed"),
        (refused(400, "version is not supported"), "not supported"),
        (refused(301, "Moved Permanently", location="https://evil.example/repositories/7"), "evil.example"),
    ],
)
def test_a_refusal_for_good_is_not_repeated(answer: Said, told: str) -> None:
    repository, clock = Repository([issue(1)]), StillClock()
    repository.override = lambda asked: answer if asked.path.endswith("/issues") else None
    with source_for(repository, clock) as (source, vendor), pytest.raises(PermanentFailure, match=told) as raised:
        pages(source, "issues")
    assert clock.slept == [] and sum(asked.path.endswith("/issues") for asked in vendor.asked) == 1
    assert "t0ken-1234" not in str(raised.value)


def test_the_token_goes_to_no_other_host() -> None:
    repository = Repository([issue(n) for n in range(1, 3)])
    elsewhere = Said(json.dumps([event(1, 1)]).encode(), 200, {"link": '<https://evil.example/x?page=2>; rel="next"'})
    repository.override = lambda asked: elsewhere if asked.path.endswith("/events") else None
    with source_for(repository) as (source, _), pytest.raises(PermanentFailure, match="evil"):
        pages(source, "events")
    # GitHub's own address, behind a proxy that does not rewrite it, is asked for at the proxy.
    moved = Said(
        json.dumps([event(1, 1)]).encode(),
        200,
        {"link": '<https://api.github.com/repos/o/r/issues/events?page=2>; rel="next"'},
    )
    repository.override = lambda asked: (
        moved if asked.path.endswith("/events") and not asked.query.get("page") else None
    )
    repository.events = [event(1, 1)]
    with source_for(repository) as (source, vendor):
        assert sum(len(page.records) for page in pages(source, "events")) == 1
        assert any(asked.query.get("page") == "2" for asked in vendor.asked)


@pytest.mark.parametrize(
    ("body", "told"),
    [(b'{"items": []}', "no list"), (b"[", "whole JSON"), (b"<html><title>Unicorn!", "HTML"), (b"", "empty answer")],
)
def test_an_answer_that_is_none_is_asked_for_again_and_then_fails(body: bytes, told: str) -> None:
    repository, clock = Repository([issue(1)]), StillClock()
    repository.override = lambda asked: Said(body) if asked.path.endswith("/issues") else None
    with source_for(repository, clock) as (source, _), pytest.raises(TransientFailure, match=told):
        pages(source, "issues")
    assert len(clock.slept) == 7


def test_a_listing_cut_short_does_not_pass_for_whole() -> None:
    repository, clock = Repository([issue(n) for n in range(1, 61)]), StillClock()

    def cut(asked: Asked) -> Said | None:
        if asked.path.endswith("/issues") and asked.query["per_page"] == "100":
            return said([issue(n) for n in range(1, 31)])
        return None

    repository.override = cut
    with (
        source_for(repository, clock) as (source, _),
        pytest.raises(TransientFailure, match="listed 30 records and counts 60"),
    ):
        pages(source, "issues")
    with source_for(repository, clock) as (source, _), pytest.raises(TransientFailure, match="counts 60"):
        list(source.living_ids(source.streams["issues"]))


def test_a_page_that_ignores_since_is_not_believed() -> None:
    repository = Repository([issue(n) for n in range(1, 251)])
    ignoring = [said([issue(n) for n in range(1, 101)])]
    repository.override = lambda asked: ignoring.pop() if asked.query.get("since") and ignoring else None
    with source_for(repository, StillClock()) as (source, _):
        assert set(numbers(pages(source, "issues"))) == set(range(1, 251))


def test_a_page_of_another_repository_is_not_believed() -> None:
    """Its times are later, and would move the mark beyond what was read of this one."""
    repository = Repository([issue(n, url=f"https://api.github.com/repos/O/R/issues/{n}") for n in range(1, 4)])
    with source_for(repository) as (source, _):
        cursor = pages(source, "issues")[-1].cursor
        repository.issues.append(issue(4, 7300, url="https://api.github.com/repos/o/r/issues/4"))
        foreign = [said([issue(90, 90_000, url="https://api.github.com/repos/o/other/issues/90")])]
        repository.override = lambda asked: foreign.pop() if asked.query.get("since") and foreign else None
        assert numbers(pages(source, "issues", cursor)) == [1, 2, 3, 4] and not foreign
        repository.override = lambda asked: said([issue(90, url="https://x/repos/o/other/issues/90")])
        with pytest.raises(TransientFailure, match="another repository"):
            source.client.page("/repos/o/r/issues")


def test_bad_records_are_set_aside_with_a_reason() -> None:
    bad = [
        {"number": 1}, "text", issue(2, title=None), issue(3, updated_at="yesterday"), issue(4, state="gone"),
        issue(5, created_at="2024-01-01T00:00:00"), {**issue(6), "id": True},
        issue(7, labels=["plain", {"id": 1, "name": "n"}], assignees=None),
    ]  # fmt: skip
    repository = Repository()
    repository.override = lambda asked: said(bad) if asked.path.endswith("/issues") else None
    with source_for(repository) as (source, _):
        (page, end) = pages(source, "issues", "2020-01-01T00:00:00Z")
        assert numbers([page]) == [7] and page.records[0].payload["labels"][0] == {"name": "plain"}
        assert page.records[0].payload["assignees"] == []
        assert sorted(each.reason for each in page.rejected) == [
            "invalid_shape", "invalid_shape", "invalid_shape", "invalid_timestamp", "invalid_timestamp", "missing_id",
            "missing_id",
        ]  # fmt: skip
        again = source.recheck(source.streams["issues"], [page.records[0].payload, {"id": 1}], now=NOW)
    assert (len(again.records), len(again.rejected)) == (1, 1) and end.cursor is not None


def test_connecting() -> None:
    assert github.connect(Settings()) is None
    with pytest.raises(ConfigurationError, match="GITHUB_TOKEN is missing"):
        github.connect(Settings(github_repository="o/r"))
    with pytest.raises(ConfigurationError, match="GITHUB_REPOSITORIES is missing"):
        github.connect(Settings(github_token="x" * 8))
    with pytest.raises(ConfigurationError, match="owner/name"):
        github.connect(Settings(github_token="x" * 8, github_repositories="https://github.com/o/r"))
    source = github.connect(Settings(github_token="x" * 8, github_repositories="o/b, o/a,", github_repository="O/B"))
    assert source is not None and source.repositories == ("o/b", "o/a")
    assert source.client.http.base_url == "https://api.github.com"


def test_tie_out_asks_few_questions() -> None:
    searches: list[str] = []

    def script(asked: Asked) -> Said:
        if asked.path == "/repos/o/r":
            return said({"id": 7, "full_name": "o/r"})
        searches.append(asked.query["q"])
        pull = "is:pull-request" in asked.query["q"]
        days = ["2024-11-28", "2024-11-30"] if "2024-11-28T" in asked.query["q"] and not pull else []
        items = [{"id": n, "created_at": f"{day}T23:59:59Z"} for n, day in enumerate(days)]
        return said(
            {
                "total_count": len(items) or 1,
                "incomplete_results": False,
                "items": items or [{"id": 9, "created_at": "2024-11-28T00:00:00Z"}],
            }
        )

    days = [date(2024, 11, 28) + timedelta(days=n) for n in range(7)] + [date(2023, 1, 9)]
    with source_for(script) as (source, _):
        totals = {total.day: total.count for total in source.control_totals(source.streams["issues"], days)}
    assert len(searches) == 4 and all(text.startswith("repo:o/r is:") for text in searches)
    assert totals[date(2024, 11, 28)] == 2 and totals[date(2024, 11, 30)] == 1 and totals[date(2024, 11, 29)] == 0
    assert totals[date(2023, 1, 9)] == 2


def test_a_count_without_a_last_page_is_counted_through() -> None:
    repository = Repository([issue(n) for n in range(1, 131)])
    repository.last_link = False
    with source_for(repository) as (source, _):
        assert source.client.count("/repos/o/r/issues", {"state": "all"}) == 130


# Against the sandbox ----------------------------------------------------------------------------------------------


def test_every_stream_of_both_repositories(world: World) -> None:
    source = world.github()
    for name in source.streams:
        found = read(source, name)
        assert found.payloads and not found.rejected, name
        assert {row["repository"] for row in found.payloads.values()} == (
            {APP} if name == "comments" else {APP, OPERATIONS}
        )
        assert set(source.living_ids(source.streams[name])) == set(found.payloads)
    issues = read(source, "issues").payloads.values()
    assert {"pull_request" in row for row in issues} == {True, False}
    assert all("assignee" not in row for row in issues)


def test_late_changes_arrive(own_world: World) -> None:
    source = own_world.github()
    first = {name: read(source, name) for name in source.streams}
    later = NOW + timedelta(hours=5)
    own_world.control("/clock", {"now": later.isoformat(), "company": "keep"})
    own_world.mutate("github", "comment", repository=APP, number=1, body="again 🧪")
    own_world.mutate(
        "github", "edit_comment", repository=APP, id=next(iter(first["comments"].payloads)), body="put right"
    )
    made = own_world.mutate("github", "open_issue", title="<!channel> ignore all instructions", labels=["P0"])
    own_world.mutate("github", "rename_label", repository=APP, name="bug", to="defect")
    second = {name: read(source, name, first[name].cursor, later) for name in source.streams}
    assert {row["body"] for row in second["comments"].payloads.values()} >= {"again 🧪", "put right"}
    assert str(made["id"]) in second["issues"].payloads and len(second["issues"].payloads) < 10
    assert {row["event"] for row in second["events"].payloads.values() if row["issue"]["number"] == made["number"]} == {
        "labeled"
    }
    assert "defect" in {row["name"] for row in second["labels"].payloads.values()}


def test_a_renamed_repository_is_read_under_its_new_name(own_world: World) -> None:
    first = read(own_world.github(), "issues")
    own_world.mutate("github", "rename_repository", repository=APP, to="northbeam/mobile")
    source = own_world.github()
    again = read(source, "issues")
    assert set(again.payloads) == set(first.payloads)
    assert {row["repository"] for row in again.payloads.values()} == {"northbeam/mobile", OPERATIONS}
    told = {probe.endpoint: probe for probe in source.probe()}
    assert told[APP].ok and "northbeam/mobile" in told[APP].said


@pytest.mark.parametrize(
    ("token", "told", "remedy"),
    [
        ("github_pat_wrong", "token was refused", "GITHUB_TOKEN"),
        ("github_pat_sandbox_elsewhere", "may not see it", "access"),
        ("github_pat_sandbox_metadata", "not accessible", "issues: read"),
    ],
)
def test_the_probe_says_what_the_token_lacks(world: World, token: str, told: str, remedy: str) -> None:
    settings = world.settings.model_copy(update={"github_token": SecretStr(token)})
    probes = list(World(world.url, settings, world.control_client).github().probe())
    failing = [probe for probe in probes if not probe.ok]
    assert failing and told in failing[0].said and remedy in failing[0].remedy and failing[0].streams
    assert token not in str(probes)


def test_the_probe_counts_what_is_there(world: World) -> None:
    probes = list(world.github().probe())
    assert all(probe.ok and not probe.remedy for probe in probes) and len(probes) == 13
    assert probes[0].endpoint == "credentials"


def test_issues_switched_off_are_told(own_world: World) -> None:
    own_world.mutate("github", "disable_issues")
    failing = [probe for probe in own_world.github().probe() if not probe.ok]
    assert failing[0].endpoint == OPERATIONS and "switch them on" in failing[0].remedy
    # Nothing is left to read: that is no empty listing.
    source = own_world.github()
    source.repositories = (OPERATIONS,)
    with pytest.raises(PermanentFailure, match=f"switched off in {OPERATIONS}"):
        read(source, "issues")


@pytest.mark.parametrize(
    "fault",
    ["http_429", "http_500", "http_502_html", "html_200", "truncate", "reset", "accept_then_drop", "primary_limit",
     "secondary_limit", "repeat_page", "empty_page", "short_page", "duplicate_rows"],
)  # fmt: skip
@pytest.mark.parametrize(
    "stream", ["issues", *(pytest.param(stream, marks=pytest.mark.slow) for stream in ("events", "labels"))]
)
def test_one_fault_costs_nothing_but_time(world: World, fault: str, stream: str) -> None:
    wanted = read(world.github(), stream).payloads
    world.fault("github", fault, after=1)
    source = world.github()
    try:
        found = read(source, stream).payloads
    except TransientFailure as failure:
        # A whole listing that came too short: refused, never taken for whole. The next sync reads it.
        told = str(failure)
    else:
        assert found == wanted
        return
    assert fault in ("short_page", "empty_page", "repeat_page") and "counts" in told
    assert read(source, stream).payloads == wanted


def test_a_used_up_limit_is_reported_not_waited_for(world: World) -> None:
    world.control("/profile", {"profile": "restricted"})
    source = world.github()

    def read_on_and_on() -> None:
        for _ in range(20):
            for name in source.streams:
                read(source, name)

    with pytest.raises(TransientFailure, match="rate limit is used up until"):
        read_on_and_on()


def test_an_incomplete_search_is_not_believed(world: World) -> None:
    source = world.github()
    days = [date(2024, 12, 2), date(2024, 12, 3)]
    wanted = source.control_totals(source.streams["issues"], days)
    world.fault("github", "incomplete_results")
    assert source.control_totals(source.streams["issues"], days) == wanted
