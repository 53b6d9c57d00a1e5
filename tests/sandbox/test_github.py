"""GitHub's side of the sandbox: what it refuses, how it pages, what a change does along; and the story behind it."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox.company import generate
from sandbox.company.issues import _INCIDENT_WORK, APP, OPERATIONS, build_issues, incidents
from sandbox.company.model import Company
from sandbox.company.staff import STAFF
from tests.sandbox.conftest import Served

TOKEN = {"Authorization": "Bearer github_pat_sandbox", "X-GitHub-Api-Version": "2026-03-10"}
ISSUES = f"/repos/{APP}/issues"


def get(served: Served, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
    return served.http.get(path, params=params or None, headers=TOKEN if headers is None else headers)


def test_strangers_are_told_as_little_as_github_tells_them(early: Served) -> None:
    assert get(early, ISSUES, {"Authorization": "Bearer nonsense"}).status_code == 401
    assert get(early, ISSUES, {}).status_code == 404
    assert get(early, ISSUES, {"Authorization": "Bearer github_pat_sandbox_elsewhere"}).status_code == 404
    refused = get(early, ISSUES, {"Authorization": "Bearer github_pat_sandbox_metadata"})
    assert (
        refused.status_code == 403
        and refused.headers["x-accepted-github-permissions"] == "issues=read; pull_requests=read"
    )
    assert refused.json()["status"] == "403"
    assert get(early, ISSUES, {**TOKEN, "User-Agent": ""}).status_code == 403
    assert get(early, ISSUES, {**TOKEN, "X-GitHub-Api-Version": "1999-01-01"}).status_code == 400


def test_a_listing_shows_the_open_ones_newest_first_and_no_more_than_a_hundred(early: Served) -> None:
    issues = early.sandbox.sides["github"].tracker.named(APP).issues.values()  # type: ignore[attr-defined]
    shown = get(early, ISSUES).json()
    assert len(shown) == sum(issue.state == "open" for issue in issues) and {each["state"] for each in shown} == {
        "open"
    }
    assert [each["created_at"] for each in shown] == sorted((each["created_at"] for each in shown), reverse=True)
    whole = get(early, ISSUES, state="all", per_page=1000)
    assert len(whole.json()) == 100 and 'rel="next"' in whole.headers["link"]
    following = re.search(r'<([^>]+)>; rel="next"', whole.headers["link"])
    assert following is not None and len(get(early, following.group(1)).json()) == len(issues) - 100
    wrongs: tuple[dict[str, Any], ...] = ({"state": "gone"}, {"since": "yesterday"}, {"sort": "size"})
    for wrong in wrongs:
        assert get(early, ISSUES, **wrong).status_code == 422


def test_an_unchanged_listing_costs_nothing(early: Served) -> None:
    first = get(early, ISSUES)
    again = get(early, ISSUES, {**TOKEN, "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert get(early, f"{ISSUES}?page=1", {**TOKEN, "If-None-Match": first.headers["etag"]}).status_code == 200
    early.control(
        "/mutate", {"vendor": "github", "op": "comment", "data": {"repository": APP, "number": 1, "body": "x"}}
    )
    assert get(early, ISSUES, {**TOKEN, "If-None-Match": first.headers["etag"]}).status_code == 200


def test_the_search_counts_and_asks_what_is_meant(early: Served) -> None:
    found = get(early, "/search/issues", q=f"repo:{APP} is:issue created:2024-12-01..2024-12-02").json()
    assert found["total_count"] == len(found["items"]) > 0 and found["incomplete_results"] is False
    assert get(early, "/search/issues", q=f"repo:{APP}").status_code == 422
    assert get(early, "/search/issues", q="repo:no/body is:issue").status_code == 422
    # A space between two repositories means "and".
    assert get(early, "/search/issues", q=f"repo:{APP} repo:{OPERATIONS} is:issue").json()["total_count"] == 0


def test_where_an_issue_went(early: Served) -> None:
    def change(op: str, **data: Any) -> Any:
        return early.control("/mutate", {"vendor": "github", "op": op, "data": {"repository": APP, **data}})["result"]

    change("delete_issue", number=2)
    moved = change("transfer_issue", number=3, to=OPERATIONS)
    assert get(early, f"{ISSUES}/2").status_code == 410
    there = get(early, f"{ISSUES}/3")
    assert there.status_code == 301
    assert get(early, there.headers["location"]).json()["number"] == moved["number"] >= 90_001
    change("rename_repository", to="northbeam/mobile")
    renamed = get(early, ISSUES)
    assert renamed.status_code == 301 and get(early, renamed.headers["location"]).status_code == 200
    early.control("/mutate", {"vendor": "github", "op": "disable_issues", "data": {"repository": "northbeam/mobile"}})
    assert get(early, "/repos/northbeam/mobile/issues").status_code == 410


def test_changes_outlive_a_move_of_the_clock(early: Served) -> None:
    data = {"title": "Mine", "labels": ["P0"]}
    made = early.control("/mutate", {"vendor": "github", "op": "open_issue", "data": data})["result"]
    early.control("/clock", {"now": "2024-12-12T06:00:00-05:00"})
    shown = get(early, f"/repos/{OPERATIONS}/issues/{made['number']}").json()
    assert (shown["title"], [each["name"] for each in shown["labels"]]) == ("Mine", ["P0"])
    assert shown["created_at"] == "2024-12-05T11:00:00Z"


def test_limits_have_their_headers(early: Served) -> None:
    early.control("/profile", {"profile": "restricted"})
    answers = [get(early, ISSUES, per_page=1) for _ in range(61)]
    assert answers[0].headers["x-ratelimit-limit"] == "60" and answers[0].headers["x-ratelimit-remaining"] == "59"
    assert answers[-1].status_code == 403 and answers[-1].headers["x-ratelimit-remaining"] == "0"
    assert int(answers[-1].headers["x-ratelimit-reset"]) > datetime.now(UTC).timestamp()
    assert get(early, "/rate_limit").status_code == 200


# The story --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def company() -> Company:
    return generate(7, datetime(2025, 6, 2, 11, tzinfo=UTC))


def test_what_issues_name_exists_and_existed(company: Company) -> None:
    orders = {order.name: order.created_at for order in company.orders}
    purchases = {purchase.number: purchase.created_at for purchase in company.purchase_orders}
    skus = {variant.sku for product in company.products for variant in product.variants}
    named: Counter[str] = Counter()
    for repository in company.part(build_issues).repositories:
        for issue in repository.issues:
            text = f"{issue.title} {issue.body or ''}"[:2000]
            for sku in re.findall(r"\bNB-[A-Z0-9]+-[A-Z0-9]+\b", text):
                assert sku in skus, text
                named["sku"] += 1
            for number in re.findall(r"\bPO-\d+\b", text):
                assert purchases[number] < issue.created_at
                named["purchase order"] += 1
            if repository.full_name == OPERATIONS:
                for name in re.findall(r"#\d{4,}", text):
                    assert orders[name] < issue.created_at
                    named["order"] += 1
    assert min(named[each] for each in ("sku", "purchase order", "order")) > 3, named


def test_every_incident_has_its_work_order(company: Company) -> None:
    titles = {issue.title: issue for issue in company.part(build_issues).repository(OPERATIONS).issues}
    planted = [
        each for each in company.incidents if each.kind in _INCIDENT_WORK and each.start < datetime(2025, 6, 1).date()
    ]
    assert len(planted) > 5
    for incident in planted:
        _, title, _ = _INCIDENT_WORK[incident.kind]
        words = {"entity": incident.entity.partition(":")[2] or incident.entity, "start": incident.start.isoformat()}
        issue = titles[title.format(**words)]
        assert issue.created_at.date() == incident.start + timedelta(days=1)


def test_people_merges_and_milestones_agree(company: Company) -> None:
    story = company.part(build_issues)
    staff = {each.github for each in STAFF if each.github}
    for repository in story.repositories:
        by_number = {issue.number: issue for issue in repository.issues}
        assert list(by_number) == list(range(1, len(by_number) + 1))
        for issue in repository.issues:
            assert set(issue.assignees) <= staff and (issue.author is None or issue.author in story.accounts)
            assert issue.created_at <= issue.updated_at <= company.clock
            assert set(issue.labels) <= {label.name for label in repository.labels}
            closes = re.findall(r"Closes #(\d+)", issue.body or "") if issue.pull and issue.merged_at else []
            for number in closes:
                assert by_number[int(number)].closed_at is not None
                assert issue.merged_at in {e.at for e in by_number[int(number)].events if e.kind == "closed"}
    ids = [comment.id for r in story.repositories for i in r.issues for comment in i.comments]
    ids += [event.id for r in story.repositories for i in r.issues for event in i.events]
    assert len(ids) == len(set(ids)) and max(ids) < 2**53


def test_a_later_clock_only_adds(company: Company) -> None:
    before = generate(7, company.clock - timedelta(days=60)).part(build_issues)
    for repository in before.repositories:
        later = {issue.number: issue for issue in company.part(build_issues).repository(repository.full_name).issues}
        for issue in repository.issues:
            same = later[issue.number]
            assert (same.id, same.created_at, same.author) == (issue.id, issue.created_at, issue.author)
            assert same.comments[: len(issue.comments)] == issue.comments or any(c.edited_at for c in same.comments)
            assert same.events[: len(issue.events)] == issue.events, issue


def test_the_planted_disagreements_are_there(company: Company) -> None:
    untrue, milestone = incidents(company)
    story = company.part(build_issues)
    number = int(untrue.expected["issue"].rpartition("#")[2])
    issue = next(each for each in story.repository(OPERATIONS).issues if each.number == number)
    purchase = next(each for each in company.purchase_orders if each.number == untrue.expected["purchase_order"])
    assert issue.state_reason == "completed" and issue.closed_at is not None
    assert any(
        line.quantity > sum(r.quantity for r in line.receipts if r.at <= issue.closed_at) for line in purchase.lines
    )
    assert milestone.entity == "milestone:App 1.4" and APP in milestone.expected["issues"]
