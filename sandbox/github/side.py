"""GitHub over HTTP: tokens, versions, conditional requests, rate limits, paging and the paths that are read.

Belongs here: what GitHub answers to whom. Does not belong here: state (`tracker.py`), the JSON of an object
(`shapes.py`), the search's language (`search.py`), what clients change (`writes.py`, `code_paths.py`).

The world is built at the first request. A listing honours `state`, `since`, `sort`, `direction`, `labels`,
`assignee`, `milestone`, `creator`, `per_page` (more than 100 counts as 100) and `page`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import parse_instant
from sandbox.company import Company
from sandbox.company.issues import APP, OPERATIONS, build_issues
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.github import search, webhooks
from sandbox.github.answers import Call, Refused, invalid
from sandbox.github.changes import Changes
from sandbox.github.code import CodeRefused
from sandbox.github.code_paths import CodePaths
from sandbox.github.limits import RateLimits, Standing
from sandbox.github.shapes import OLD_VERSION, VERSIONS, Shapes
from sandbox.github.tracker import Comment, Event, Issue, NoSuch, Repository, Tracker
from sandbox.github.writes import Writes
from sandbox.hooks import Clock
from sandbox.mutation import MutationRefused
from sandbox.vendor_side import MadeOnce, Side

if TYPE_CHECKING:
    from sandbox.ledger import SqliteLedger

TOKEN = "github_pat_sandbox"  # noqa: S105
WRITE_TOKEN = "github_pat_sandbox_writer"  # noqa: S105
MACHINE = "northbeam-ops"
READ_ISSUES = frozenset({"metadata=read", "issues=read", "pull_requests=read"})
WRITE = frozenset({
    "metadata=read", "issues=write", "pull_requests=write", "contents=write", "checks=read", "statuses=read",
})  # fmt: skip
# Tokens and their permissions; one that may see no repository of ours, and any other is refused.
TOKENS: dict[str, frozenset[str]] = {
    TOKEN: READ_ISSUES,
    WRITE_TOKEN: WRITE,
    # Comments and labels, no code.
    "github_pat_sandbox_issues": frozenset({"metadata=read", "issues=write"}),
    "github_pat_sandbox_metadata": frozenset({"metadata=read"}),
    "github_pat_sandbox_elsewhere": frozenset(),
}
MOST_FOUND = 1000
# Pages of events that GitHub shows before it says that pagination is limited.
MOST_EVENT_PAGES = 400
_PAGE_FAULTS = frozenset({"repeat_page", "empty_page", "short_page", "duplicate_rows"})
_REFUSALS = frozenset({"primary_limit", "secondary_limit", "incomplete_results"})
SEMANTIC_FAULTS = _PAGE_FAULTS | _REFUSALS | webhooks.FAULTS

Json = dict[str, Any]


class GitHubSide(Side):
    """The GitHub side of the sandbox."""

    vendor = "github"

    def __init__(
        self, company: Company, *, clock: Clock, faults: FaultPlan, profile: str = "generous",
        ledger: SqliteLedger | None = None,
    ) -> None:  # fmt: skip
        self._company = company
        self._clock = clock
        self._faults = faults
        self.limits = RateLimits(profile)
        self._tracker = MadeOnce(self._open_tracker)
        # The last whole listing answered to a token, for the fault that shows it again.
        self._last_page: dict[str, tuple[bytes, str | None]] = {}
        self.webhooks = webhooks.Webhooks(ledger, faults)
        self.changes = Changes(ledger, lambda happened: self.webhooks.told(self.tracker, happened))
        code = CodePaths(self._make)
        self._paths = {**Writes(self._make).table(), **code.table()}

    @property
    def tracker(self) -> Tracker:
        return self._tracker()

    def _open_tracker(self) -> Tracker:
        tracker = Tracker(self._company.part(build_issues))
        self.changes.again(tracker)
        return tracker

    def load(self, company: Company) -> None:
        """Serve another company (the clock moved); what was changed since is made again."""
        self._company = company
        self._tracker.forget()

    def warm(self) -> None:
        self._tracker()

    def at(self, url: str) -> None:
        self.webhooks.base_url = url

    def close(self) -> None:
        self.webhooks.close()

    @property
    def profile(self) -> str:
        return self.limits.profile

    @profile.setter
    def profile(self, name: str) -> None:
        self.limits.profile = name

    def environment(self, url: str) -> dict[str, str]:
        if self._company.source == "csv":
            return {}
        return {
            "GITHUB_BASE_URL": url,
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_WRITE_TOKEN": WRITE_TOKEN,
            "GITHUB_WEBHOOK_SECRET": webhooks.SECRET,
            "GITHUB_REPOSITORY": OPERATIONS,
            "GITHUB_REPOSITORIES": f"{APP},{OPERATIONS}",
        }

    def routes(self) -> list[Route]:
        read = [
            Route(path, self._serve, methods=["GET"])
            for path in ("/rate_limit", "/versions", "/search/issues", "/user")
        ]
        methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
        return [
            *read,
            *(Route(f"/{top}/{{path:path}}", self._serve, methods=methods) for top in ("repos", "repositories")),
        ]

    # HTTP -------------------------------------------------------------------------------------------------

    async def _serve(self, request: Request) -> Response:
        path = request.url.path
        headers = {"x-github-request-id": hashlib.sha256(path.encode()).hexdigest()[:20].upper()}
        try:
            token, permissions = self._authorise(request)
            version = request.headers.get("x-github-api-version", OLD_VERSION)
            if version not in VERSIONS:
                raise Refused(400, f"X-GitHub-Api-Version {version!r} is not supported: use {', '.join(VERSIONS)}.")
            headers["x-github-api-version-selected"] = version
            resource = "search" if path.startswith("/search/") else "core"
            standing = self.limits.take(
                token, resource, cost=0 if path == "/rate_limit" else 1, writes=request.method != "GET"
            )
            headers |= standing.headers
            self._limit(standing)
            base = str(request.base_url).rstrip("/")
            login = MACHINE if token else ""
            call = Call(
                self.tracker, Shapes(self.tracker, base, version), request.query_params, base, permissions, login
            )
            if request.method != "GET":
                status, data = self._change(call, request.method, path, await request.body())
                content = b"" if data is None else orjson.dumps(data)
                return Response(content, status, headers=headers, media_type="application/json; charset=utf-8")
            data, link = self._answer(call, path, token, standing)
        except Refused as refused:
            body = orjson.dumps(refused.body)
            return Response(
                body,
                refused.status,
                headers={**headers, **refused.headers},
                media_type="application/json; charset=utf-8",
            )
        body = orjson.dumps(data)
        if link:
            headers["link"] = link
        accept = request.headers.get("accept", "")
        mark = hashlib.sha256(b"|".join((body, token.encode(), accept.encode(), str(request.url).encode()))).hexdigest()
        headers |= {
            "etag": f'W/"{mark}"',
            "vary": "Accept, Authorization, Cookie",
            "cache-control": "private, max-age=60",
        }
        wanted = request.headers.get("if-none-match", "")
        if wanted.removeprefix("W/").strip('"') == mark:
            self.limits.give_back(token, resource)
            remaining = int(headers["x-ratelimit-remaining"]) + 1
            return Response(status_code=304, headers={**headers, "x-ratelimit-remaining": str(remaining)})
        return Response(body, headers=headers, media_type="application/json; charset=utf-8")

    def _authorise(self, request: Request) -> tuple[str, frozenset[str]]:
        if not request.headers.get("user-agent"):
            raise Refused(
                403, "Request forbidden by administrative rules. Please make sure your request has a User-Agent"
            )
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token:
            return "", frozenset()
        if token not in TOKENS:
            raise Refused(401, "Bad credentials")
        return token, TOKENS[token]

    def _limit(self, standing: Standing) -> None:
        armed = self._faults.take_fault("github", standing.resource, _REFUSALS - {"incomplete_results"})
        refused = standing.refused
        if armed is not None:
            refused = "primary" if armed.name == "primary_limit" else "secondary"
        if refused == "primary":
            reset = standing.reset
            if armed is not None:
                reset = int(datetime.now(UTC).timestamp()) + int(armed.options.get("seconds", 2))
            said = {**standing.headers, "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
            raise Refused(403, "API rate limit exceeded for user ID 150000014.", said)
        if refused == "secondary":
            wait = None if armed is None else armed.options.get("retry_after")
            after = {"retry-after": str(wait)} if armed is None or wait is not None else {}
            if armed is None:
                after = {"retry-after": "60"}
            raise Refused(403, "You have exceeded a secondary rate limit. Please wait a few minutes.", after)

    # Paths ------------------------------------------------------------------------------------------------

    def _answer(self, call: Call, path: str, token: str, standing: Standing) -> tuple[Any, str | None]:
        if path == "/rate_limit":
            note(operation="rate_limit")
            return {"resources": self._standings(token)}, None
        if path == "/versions":
            return list(reversed(VERSIONS)), None
        if path == "/user":
            note(operation="user")
            if not call.login:
                raise Refused(401, "Requires authentication")
            return call.shapes.user(call.login), None
        if path == "/search/issues":
            note(operation="search/issues")
            return self._search(call)
        repository, rest = self._repository(call, path)
        note(operation=f"repos{re.sub(r'[0-9]+', '{n}', rest)}")
        if rest == "":
            call.allow("metadata=read")
            return call.shapes.repository(repository), None
        for pattern, serve in self._reads().items():
            found = re.fullmatch(pattern, rest)
            if found is not None:
                call.allow("issues=read", "pull_requests=read")
                if not repository.has_issues and not rest.startswith("/labels"):
                    raise Refused(410, "Issues has been disabled in this repository.")
                return serve(call, repository, token, path, *map(int, found.groups()))
        found = re.fullmatch(r"/collaborators/([^/]+)/permission", rest)
        if found is not None:
            call.allow("metadata=read")
            return self._permission(call, unquote(found.group(1))), None
        return self._by_table(call, "GET", repository, rest, None)[1], None

    def _change(self, call: Call, method: str, path: str, content: bytes) -> tuple[int, Any]:
        """A request that changes something."""
        repository, rest = self._repository(call, path)
        note(operation=f"{method} repos{re.sub(r'[0-9]+', '{n}', rest)}"[:120])
        try:
            body = orjson.loads(content) if content else {}
        except orjson.JSONDecodeError:
            raise Refused(400, "Problems parsing JSON") from None
        if not isinstance(body, dict | list):
            raise Refused(400, "Body should be a JSON object")
        if rest.startswith("/issues") and not repository.has_issues:
            raise Refused(410, "Issues has been disabled in this repository.")
        if repository.archived:
            raise Refused(403, "Repository was archived so is read-only.")
        return self._by_table(call, method, repository, rest, body)

    def _by_table(self, call: Call, method: str, repository: Repository, rest: str, body: Any) -> tuple[int, Any]:
        for (wanted, pattern), (permissions, handle) in self._paths.items():
            found = re.fullmatch(pattern, rest)
            if wanted != method or found is None:
                continue
            call.allow(*permissions)
            if isinstance(body, list) and not pattern.endswith("labels"):
                raise Refused(400, "Body should be a JSON object")
            return handle(call, repository, body, *(int(each) if each.isdigit() else each for each in found.groups()))
        raise Refused(404, "Not Found")

    def _make(self, call: Call, op: str, repository: Repository, data: Mapping[str, Any]) -> Json:
        at = self._clock.now().replace(microsecond=0)
        return self.changes.make(call.tracker, op, data, repository, call.login, at, via="api")

    def _permission(self, call: Call, login: str) -> Json:
        account = call.tracker.known(login)
        if account is None:
            raise Refused(404, f"{login} is not a user")
        role = call.tracker.role(account.login)
        shown = {"maintain": "write", "triage": "read"}.get(role, role)
        return {"permission": shown, "role_name": role, "user": call.shapes.user(account.login)}

    def _repository(self, call: Call, path: str) -> tuple[Repository, str]:
        found = re.fullmatch(r"/repositories/(\d+)(/.*)?", path)
        if found is not None:
            repository, rest = call.tracker.by_id.get(int(found.group(1))), found.group(2) or ""
        else:
            parts = path.split("/", 4)
            if len(parts) < 4:
                raise Refused(404, "Not Found")
            name, rest = f"{parts[2]}/{parts[3]}", f"/{parts[4]}" if len(parts) == 5 else ""
            repository = call.tracker.named(name)
            if repository is None and call.permissions and (moved := call.tracker.formerly(name)) is not None:
                url = f"{call.base_url}/repositories/{moved.id}{rest}"
                raise Refused(301, "Moved Permanently", {"location": url}, url=url)
        if repository is None or not call.permissions:
            # Whoever may not see a private repository is not told that it is there.
            raise Refused(404, "Not Found")
        return repository, rest

    def _reads(self) -> dict[str, Callable[..., tuple[Any, str | None]]]:
        return {
            r"/issues": self._issues,
            r"/issues/comments": self._all_comments,
            r"/issues/events": self._all_events,
            r"/issues/(\d+)": self._issue,
            r"/issues/(\d+)/comments": self._issue_comments,
            r"/issues/(\d+)/events": self._issue_events,
            r"/issues/(\d+)/timeline": self._timeline,
            r"/issues/comments/(\d+)": self._comment,
            r"/milestones": self._milestones,
            r"/milestones/(\d+)": self._milestone,
            r"/labels": self._labels,
        }

    def _issues(self, call: Call, repository: Repository, token: str, path: str) -> tuple[Any, str | None]:
        state = call.choice("state", "open", ("open", "closed", "all"))
        sort = call.choice("sort", "created", ("created", "updated", "comments"))
        direction = call.choice("direction", "desc", ("asc", "desc"))
        since = call.since()
        wanted = {name for name in call.query.get("labels", "").split(",") if name}
        names = {label.id: label.name for label in repository.labels.values()}
        assignee, milestone, creator = (call.query.get(key) for key in ("assignee", "milestone", "creator"))
        found = [
            issue
            for issue in repository.issues.values()
            if (state == "all" or issue.state == state)
            and (since is None or issue.updated_at >= since)
            and wanted <= {names[each] for each in issue.labels}
            and (assignee is None or _matches(assignee, issue.assignees))
            and (milestone is None or _matches(milestone, [] if issue.milestone is None else [str(issue.milestone)]))
            and (creator is None or creator == issue.author)
        ]
        counts = (
            {issue.number: len(repository.comments_of(issue.number)) for issue in found} if sort == "comments" else {}
        )

        def key(issue: Issue) -> tuple[Any, int]:
            if sort == "comments":
                return counts[issue.number], issue.id
            # To the second, as they are shown.
            at = issue.updated_at if sort == "updated" else issue.created_at
            return at.replace(microsecond=0), issue.id

        found.sort(key=key, reverse=direction == "desc")
        return self._page(call, token, path, found, lambda each: call.shapes.issue(repository, each))

    def _all_comments(self, call: Call, repository: Repository, token: str, path: str) -> tuple[Any, str | None]:
        sort = call.choice("sort", "created", ("created", "updated"))
        direction = call.choice("direction", "asc" if sort == "created" else "desc", ("asc", "desc"))
        since = call.since()
        found = [each for each in repository.comments.values() if since is None or each.updated_at >= since]
        found.sort(
            key=lambda each: (
                (each.updated_at if sort == "updated" else each.created_at).replace(microsecond=0),
                each.id,
            ),
            reverse=direction == "desc",
        )
        return self._page(call, token, path, found, lambda each: call.shapes.comment(repository, each))

    def _all_events(self, call: Call, repository: Repository, token: str, path: str) -> tuple[Any, str | None]:
        if call.number("page", 1) > MOST_EVENT_PAGES:
            raise Refused(422, "In order to keep the API fast for everyone, pagination is limited for this resource.")
        found = sorted(repository.events.values(), key=lambda each: (each.created_at, each.id), reverse=True)
        return self._page(call, token, path, found, lambda each: call.shapes.event(repository, each))

    def _issue(self, call: Call, repository: Repository, token: str, path: str, number: int) -> tuple[Any, str | None]:
        return call.shapes.issue(repository, self._one(call, repository, number)), None

    def _issue_comments(
        self, call: Call, repository: Repository, token: str, path: str, number: int
    ) -> tuple[Any, str | None]:
        self._one(call, repository, number)
        since = call.since()
        found = [each for each in repository.comments_of(number) if since is None or each.updated_at >= since]
        found.sort(key=lambda each: each.id)
        return self._page(call, token, path, found, lambda each: call.shapes.comment(repository, each))

    def _issue_events(
        self, call: Call, repository: Repository, token: str, path: str, number: int
    ) -> tuple[Any, str | None]:
        self._one(call, repository, number)
        found = sorted(repository.events_of(number), key=lambda each: each.id)

        def shown(event: Any) -> Json:
            whole = call.shapes.event(repository, event)
            del whole["issue"]
            return whole

        return self._page(call, token, path, found, shown)

    def _timeline(
        self, call: Call, repository: Repository, token: str, path: str, number: int
    ) -> tuple[Any, str | None]:
        """Everything that happened to an issue, in its order: its events and its comments."""
        self._one(call, repository, number)
        everything: list[Event | Comment] = [*repository.events_of(number), *repository.comments_of(number)]
        found = sorted(
            everything,
            key=lambda each: (each.created_at, each.id),
        )

        def shown(each: Any) -> Json:
            if isinstance(each, Comment):
                said = call.shapes.comment(repository, each)
                return {**said, "event": "commented", "actor": said["user"]}
            whole = call.shapes.event(repository, each)
            del whole["issue"]
            return whole

        return self._page(call, token, path, found, shown)

    def _comment(
        self, call: Call, repository: Repository, token: str, path: str, number: int
    ) -> tuple[Any, str | None]:
        comment = repository.comments.get(number)
        if comment is None:
            raise Refused(404, "Not Found")
        return call.shapes.comment(repository, comment), None

    def _milestones(self, call: Call, repository: Repository, token: str, path: str) -> tuple[Any, str | None]:
        state = call.choice("state", "open", ("open", "closed", "all"))
        found = [
            each
            for each in repository.milestones.values()
            if state == "all" or (each.closed_at is None) == (state == "open")
        ]
        late = datetime.max.replace(tzinfo=UTC)
        found.sort(key=lambda each: (each.due_on or late, each.number), reverse=call.query.get("direction") == "desc")
        return self._page(call, token, path, found, lambda each: call.shapes.milestone(repository, each))

    def _milestone(
        self, call: Call, repository: Repository, token: str, path: str, number: int
    ) -> tuple[Any, str | None]:
        if number not in repository.milestones:
            raise Refused(404, "Not Found")
        return call.shapes.milestone(repository, repository.milestones[number]), None

    def _labels(self, call: Call, repository: Repository, token: str, path: str) -> tuple[Any, str | None]:
        found = sorted(repository.labels.values(), key=lambda each: each.name.casefold())
        return self._page(call, token, path, found, lambda each: call.shapes.label(repository, each))

    def _search(self, call: Call) -> tuple[Any, str | None]:
        if not call.query.get("q"):
            raise Refused(422, "Validation Failed", errors=[{"resource": "Search", "field": "q", "code": "missing"}])
        try:
            query = search.parse(call.query["q"])
        except search.BadQuery as error:
            raise invalid("Search", "q", str(error)) from None
        if not call.permissions & {"issues=read"} or (
            query.repositories
            and not any(call.tracker.named(name) for name in query.repositories if name != "/")
            and query.repositories != ["/"]
        ):
            text = "The listed users and repositories cannot be searched either because the resources do not exist or "
            raise invalid("Search", "q", text + "you do not have permission to view them.")
        found = search.run(call.tracker, query)
        size, page = call.per_page, call.number("page", 1)
        if (page - 1) * size >= MOST_FOUND:
            raise Refused(422, "Only the first 1000 search results are available")
        incomplete = self._faults.take_fault("github", "search", frozenset({"incomplete_results"})) is not None
        shown = found[(page - 1) * size : page * size]
        note(records=len(shown))
        data = {
            "total_count": len(found) // (2 if incomplete else 1),
            "incomplete_results": incomplete,
            "search_type": "lexical",
            "items": [call.shapes.found(*pair) for pair in shown],
        }
        return data, _link(call, "/search/issues", page, size, min(len(found), MOST_FOUND))

    def _one(self, call: Call, repository: Repository, number: int) -> Issue:
        return call.one(repository, number)

    def _page(
        self, call: Call, token: str, path: str, found: Sequence[Any], show: Callable[[Any], Json]
    ) -> tuple[Any, str | None]:
        size, page = call.per_page, call.number("page", 1)
        shown = [show(each) for each in found[(page - 1) * size : page * size]]
        link = _link(call, path, page, size, len(found))
        armed = self._faults.take_fault("github", path.rsplit("/", 1)[-1], _PAGE_FAULTS)
        match armed.name if armed is not None else None:
            case "repeat_page" if token in self._last_page:
                body, link = self._last_page[token]
                return orjson.loads(body), link
            case "empty_page":
                shown = []
            case "short_page":
                shown = shown[: len(shown) // 2]
            case "duplicate_rows":
                shown = [each for each in shown for _ in range(2)]
        note(records=len(shown))
        if armed is None:
            self._last_page[token] = (orjson.dumps(shown), link)
        return shown, link

    def _standings(self, token: str) -> Json:
        shown: Json = {}
        for resource in ("core", "search"):
            standing = self.limits.take(token, resource, cost=0)
            left = max(0, standing.limit - standing.used)
            shown[resource] = {
                "limit": standing.limit, "remaining": left, "reset": standing.reset, "used": standing.used,
            }  # fmt: skip
        return shown

    # Changes made by tests --------------------------------------------------------------------------------

    def mutate(self, op: str, data: Mapping[str, Any]) -> Json:
        """Change the repositories from outside. `repository` names one (the operations' where absent), `actor` who
        does it. Operations: `open_issue` (title; body, labels, assignees, pull, created_at), `edit_issue` (number;
        title, body), `close_issue`, `reopen_issue`, `merge_pull`, `delete_issue` (number), `transfer_issue` (number,
        to), `comment` (number, body), `edit_comment` (id, body), `delete_comment` (id), `label_issue`,
        `unlabel_issue` (number, label), `assign_issue`, `unassign_issue` (number, login), `create_label`,
        `delete_label` (name), `rename_label` (name, to), `close_milestone` (number), `rename_repository` (to),
        `disable_issues`, `enable_issues`, `publish_repository` (anybody may read it from then on),
        `set_permission` (login, permission), `check_run` (name; ref, conclusion, output), `make_branch`,
        `write_file`."""
        if "kept" in data:
            # The sandbox makes its changes again on another company; ours are made again by themselves.
            return dict(self.changes.result_of(int(data["kept"])) or {})
        repository = self.tracker.named(str(data.get("repository") or OPERATIONS))
        if repository is None:
            raise MutationRefused(f"There is no repository {data.get('repository')!r}.")
        at = parse_instant(str(data["at"])) if data.get("at") else self._clock.now()
        actor = str(data.get("actor") or "mei-zhao")
        given = {key: value for key, value in data.items() if key not in ("repository", "actor", "at")}
        try:
            return self.changes.make(self.tracker, op, given, repository, actor, at.replace(microsecond=0))
        except (NoSuch, CodeRefused, ValueError) as error:
            raise MutationRefused(str(error)) from None

    def replayed(self, data: Mapping[str, Any], result: Any) -> dict[str, Any]:
        return {"kept": self.changes.last}


def _matches(wanted: str, held: Sequence[str]) -> bool:
    return bool(held) if wanted == "*" else not held if wanted == "none" else wanted in held


def _link(call: Call, path: str, page: int, size: int, total: int) -> str | None:
    """The Link header, with the relations that GitHub gives."""
    last = max(1, -(-total // size))
    targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page >= last:
        del targets["next"], targets["last"]
    if page <= 1:
        del targets["prev"], targets["first"]
    query = {key: value for key, value in call.query.items() if key != "page"}
    parts = [
        f'<{call.base_url}{path}?{urlencode({**query, "page": number})}>; rel="{name}"'
        for name, number in targets.items()
    ]
    return ", ".join(parts) or None
