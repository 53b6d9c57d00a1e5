"""GitHub's JSON: what the API shows of the tracker's objects.

Belongs here: one function an object, in the shape of API version 2026-03-10 (and of 2022-11-28, which still has
the singular `assignee`). Does not belong here: which objects are shown (`side.py`).
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sandbox.company.issues import Account
from sandbox.github.code import DEFAULT
from sandbox.github.tracker import Comment, Event, Issue, Label, Milestone, Repository, Tracker

Json = dict[str, Any]
OLD_VERSION = "2022-11-28"
VERSION = "2026-03-10"
VERSIONS = (OLD_VERSION, VERSION)
WEB = "https://github.com"

_REPOSITORY_URLS = (
    ("archive_url", "/{archive_format}{/ref}"), ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"), ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"), ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"), ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"), ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"), ("downloads_url", "/downloads"), ("events_url", "/events"),
    ("forks_url", "/forks"), ("git_commits_url", "/git/commits{/sha}"), ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"), ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"), ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"), ("keys_url", "/keys{/key_id}"), ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"), ("merges_url", "/merges"), ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"), ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"), ("stargazers_url", "/stargazers"), ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"), ("subscription_url", "/subscription"), ("tags_url", "/tags"),
    ("teams_url", "/teams"), ("trees_url", "/git/trees{/sha}"),
)  # fmt: skip
_USER_URLS = (
    ("followers_url", "/followers"), ("following_url", "/following{/other_user}"), ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"), ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"), ("repos_url", "/repos"), ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
)  # fmt: skip
_REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")
_TYPES = {"Bug": (1, "red", "Something broken"), "Feature": (2, "blue", "Something new"), "Task": (3, "yellow", None)}


def stamp(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def node_id(kind: str, identity: int) -> str:
    return f"{kind}_{base64.urlsafe_b64encode(str(identity).encode()).decode().rstrip('=')}"


class Shapes:
    """The shapes at one base URL, in one API version."""

    def __init__(self, tracker: Tracker, base_url: str, version: str) -> None:
        self._tracker = tracker
        self._base = base_url
        self._singular_assignee = version == OLD_VERSION
        self._milestones: dict[int, Counter[tuple[int, str]]] = {}
        self._children: dict[int, dict[int, list[Issue]]] = {}

    def user(self, login: str | None) -> Json | None:
        account = self._tracker.account(login)
        return None if account is None else self._account(account)

    def _account(self, account: Account) -> Json:
        url = f"{self._base}/users/{quote(account.login)}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": node_id("U", account.id),
            "avatar_url": f"https://avatars.githubusercontent.com/u/{account.id}?v=4",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{WEB}/{quote(account.login)}",
            **{key: url + tail for key, tail in _USER_URLS},
            "type": account.kind,
            "user_view_type": "public",
            "site_admin": False,
        }

    def url(self, repository: Repository) -> str:
        return f"{self._base}/repos/{repository.full_name}"

    def repository(self, repository: Repository) -> Json:
        owner, name = repository.full_name.split("/")
        url, web = self.url(repository), f"{WEB}/{repository.full_name}"
        open_issues = sum(1 for issue in repository.issues.values() if issue.closed_at is None)
        return {
            "id": repository.id,
            "node_id": node_id("R", repository.id),
            "name": name,
            "full_name": repository.full_name,
            "private": not repository.public,
            "owner": self._account(Account(owner, 140_000_000, "Organization")),
            "html_url": web,
            "description": repository.description,
            "fork": False,
            "url": url,
            **{key: url + tail for key, tail in _REPOSITORY_URLS},
            "git_url": f"git://github.com/{repository.full_name}.git",
            "ssh_url": f"git@github.com:{repository.full_name}.git",
            "clone_url": f"{web}.git",
            "svn_url": web,
            "homepage": None,
            "language": "TypeScript",
            "license": None,
            "mirror_url": None,
            "default_branch": "main",
            "size": 4096,
            "forks": 0,
            "forks_count": 0,
            "stargazers_count": 0,
            "watchers": 0,
            "watchers_count": 0,
            "network_count": 0,
            "subscribers_count": 3,
            "open_issues": open_issues,
            "open_issues_count": open_issues,
            "has_issues": repository.has_issues,
            "has_projects": True,
            "has_wiki": False,
            "has_pages": False,
            "has_discussions": False,
            "archived": repository.archived,
            "disabled": False,
            "visibility": "public" if repository.public else "private",
            "permissions": {"admin": False, "maintain": False, "push": False, "triage": True, "pull": True},
            "created_at": stamp(repository.created_at),
            "updated_at": stamp(repository.created_at),
            "pushed_at": stamp(repository.created_at),
        }

    def label(self, repository: Repository, label: Label) -> Json:
        return {
            "id": label.id,
            "node_id": node_id("LA", label.id),
            "url": f"{self.url(repository)}/labels/{quote(label.name)}",
            "name": label.name,
            "color": label.color,
            "default": label.name in ("bug", "enhancement"),
            "description": label.description,
        }

    def milestone(self, repository: Repository, milestone: Milestone) -> Json:
        url = f"{self.url(repository)}/milestones/{milestone.number}"
        counts = self._milestone_counts(repository)
        return {
            "url": url,
            "html_url": f"{WEB}/{repository.full_name}/milestone/{milestone.number}",
            "labels_url": f"{url}/labels",
            "id": milestone.id,
            "node_id": node_id("MI", milestone.id),
            "number": milestone.number,
            "title": milestone.title,
            "description": milestone.description,
            "creator": self.user(milestone.creator),
            "open_issues": counts[milestone.number, "open"],
            "closed_issues": counts[milestone.number, "closed"],
            "state": "open" if milestone.closed_at is None else "closed",
            "created_at": stamp(milestone.created_at),
            "updated_at": stamp(milestone.updated_at),
            "due_on": stamp(milestone.due_on),
            "closed_at": stamp(milestone.closed_at),
        }

    def issue(self, repository: Repository, issue: Issue) -> Json:
        url = f"{self.url(repository)}/issues/{issue.number}"
        kind = "pull" if issue.pull else "issues"
        shown: Json = {
            "url": url,
            "repository_url": self.url(repository),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "html_url": f"{WEB}/{repository.full_name}/{kind}/{issue.number}",
            "id": issue.id,
            "node_id": node_id("PR" if issue.pull else "I", issue.id),
            "number": issue.number,
            "title": issue.title,
            "user": self.user(issue.author),
            "labels": [self.label(repository, repository.labels[each]) for each in issue.labels],
            "state": issue.state,
            "locked": issue.locked,
            "assignees": [self.user(login) for login in issue.assignees],
            "milestone": None
            if issue.milestone is None
            else self.milestone(repository, repository.milestones[issue.milestone]),
            "comments": repository.comment_count(issue.number),
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": stamp(issue.closed_at),
            "author_association": self._association(issue.author),
            "active_lock_reason": issue.lock_reason,
            "body": issue.body,
            "closed_by": self.user(issue.closed_by),
            "reactions": {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(_REACTIONS, 0)},
            "timeline_url": f"{url}/timeline",
            "performed_via_github_app": None,
            "state_reason": issue.state_reason,
        }
        if self._singular_assignee:
            shown["assignee"] = shown["assignees"][0] if shown["assignees"] else None
        if issue.pull:
            pull = f"{self.url(repository)}/pulls/{issue.number}"
            web = f"{WEB}/{repository.full_name}/pull/{issue.number}"
            shown["draft"] = issue.draft
            shown["pull_request"] = {
                "url": pull,
                "html_url": web,
                "diff_url": f"{web}.diff",
                "patch_url": f"{web}.patch",
                "merged_at": stamp(issue.merged_at),
            }
        else:
            shown["type"] = self._type(issue.type)
            children = self._children_of(repository).get(issue.number, [])
            done = sum(1 for child in children if child.closed_at is not None)
            shown["sub_issues_summary"] = {
                "total": len(children),
                "completed": done,
                "percent_completed": done * 100 // len(children) if children else 0,
            }
            shown["issue_dependencies_summary"] = {
                "blocked_by": 0, "total_blocked_by": 0, "blocking": 0, "total_blocking": 0,
            }  # fmt: skip
            if issue.parent is not None:
                shown["parent_issue_url"] = f"{self.url(repository)}/issues/{issue.parent}"
        return shown

    def found(self, repository: Repository, issue: Issue) -> Json:
        """As the search shows it."""
        shown = self.issue(repository, issue)
        for key in ("closed_by", "parent_issue_url"):
            shown.pop(key, None)
        return {**shown, "score": 1.0}

    def comment(self, repository: Repository, comment: Comment) -> Json:
        url = f"{self.url(repository)}/issues/comments/{comment.id}"
        kind = "pull" if repository.issue(comment.number).pull else "issues"
        return {
            "url": url,
            "html_url": f"{WEB}/{repository.full_name}/{kind}/{comment.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.url(repository)}/issues/{comment.number}",
            "id": comment.id,
            "node_id": node_id("IC", comment.id),
            "user": self.user(comment.author),
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "body": comment.body,
            "author_association": self._association(comment.author),
            "reactions": {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(_REACTIONS, 0)},
            "performed_via_github_app": None,
        }

    def event(self, repository: Repository, event: Event) -> Json:
        detail = event.detail
        shown: Json = {
            "id": event.id,
            "node_id": node_id("EV", event.id),
            "url": f"{self.url(repository)}/issues/events/{event.id}",
            "actor": self.user(event.actor),
            "event": event.kind,
            "commit_id": None,
            "commit_url": None,
            "created_at": stamp(event.created_at),
        }
        if "label" in detail:
            colours = {each.name: each.color for each in repository.labels.values()}
            shown["label"] = {"name": detail["label"], "color": colours.get(detail["label"], "ededed")}
        if "assignee" in detail:
            shown["assignee"] = self.user(detail["assignee"])
            shown["assigner"] = self.user(detail.get("assigner"))
        if "milestone" in detail:
            shown["milestone"] = {"title": detail["milestone"]}
        if "renamed_from" in detail:
            shown["rename"] = {"from": detail["renamed_from"], "to": detail["renamed_to"]}
        for key in ("lock_reason", "state_reason"):
            if key in detail:
                shown[key] = detail[key]
        shown["issue"] = self.issue(repository, repository.issue(event.number))
        shown["performed_via_github_app"] = None
        return shown

    def pull(self, repository: Repository, issue: Issue, *, whole: bool = False) -> Json:
        """A pull request; `whole` as it is shown by itself."""
        url = f"{self.url(repository)}/pulls/{issue.number}"
        web = f"{WEB}/{repository.full_name}/pull/{issue.number}"
        of_issue = f"{self.url(repository)}/issues/{issue.number}"
        tips = repository.code.branches
        owner = self._account(Account(repository.full_name.split("/")[0], 140_000_000, "Organization"))
        shown_repository = self.repository(repository)

        def side(branch: str) -> Json:
            return {
                "label": f"{owner['login']}:{branch}", "ref": branch, "sha": tips.get(branch, tips[DEFAULT]),
                "user": owner, "repo": shown_repository,
            }  # fmt: skip

        head = issue.head or f"change-{issue.number}"
        links = {
            "comments": f"{of_issue}/comments", "commits": f"{url}/commits", "statuses": f"{url}/statuses",
            "html": web, "issue": of_issue, "review_comments": f"{url}/comments",
            "review_comment": f"{url}/comments{{/number}}", "self": url,
        }  # fmt: skip
        shown: Json = {
            "url": url,
            "id": issue.id,
            "node_id": node_id("PR", issue.id),
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "issue_url": of_issue,
            "commits_url": f"{url}/commits",
            "review_comments_url": f"{url}/comments",
            "review_comment_url": f"{url}/comments{{/number}}",
            "comments_url": f"{of_issue}/comments",
            "statuses_url": f"{self.url(repository)}/statuses/{tips.get(head, tips[DEFAULT])}",
            "number": issue.number,
            "state": issue.state,
            "locked": issue.locked,
            "title": issue.title,
            "user": self.user(issue.author),
            "body": issue.body,
            "labels": [self.label(repository, repository.labels[each]) for each in issue.labels],
            "milestone": None,
            "active_lock_reason": issue.lock_reason,
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": stamp(issue.closed_at),
            "merged_at": stamp(issue.merged_at),
            "assignees": [self.user(login) for login in issue.assignees],
            "requested_reviewers": [],
            "requested_teams": [],
            "head": side(head),
            "base": side(DEFAULT),
            "_links": {name: {"href": address} for name, address in links.items()},
            "author_association": self._association(issue.author),
            "auto_merge": None,
            "draft": issue.draft,
        }
        if self._singular_assignee:
            shown["assignee"] = shown["assignees"][0] if shown["assignees"] else None
            shown["merge_commit_sha"] = None
        if whole:
            shown |= {
                "merged": issue.merged_at is not None, "mergeable": True, "rebaseable": True,
                "mergeable_state": "blocked", "merged_by": None, "comments": repository.comment_count(issue.number),
                "review_comments": 0, "maintainer_can_modify": False, "commits": 1, "additions": 1, "deletions": 0,
                "changed_files": 1,
            }  # fmt: skip
        return shown

    # Small parts ------------------------------------------------------------------------------------------

    def _type(self, name: str | None) -> Json | None:
        if name is None:
            return None
        identity, colour, text = _TYPES[name]
        return {
            "id": identity,
            "node_id": node_id("IT", identity),
            "name": name,
            "description": text,
            "color": colour,
            "is_enabled": True,
        }

    def _association(self, login: str | None) -> str:
        account = self._tracker.account(login)
        return "NONE" if account is None else account.association

    def _children_of(self, repository: Repository) -> dict[int, list[Issue]]:
        if repository.id not in self._children:
            found = self._children[repository.id] = {}
            for issue in repository.issues.values():
                if issue.parent is not None:
                    found.setdefault(issue.parent, []).append(issue)
        return self._children[repository.id]

    def _milestone_counts(self, repository: Repository) -> Counter[tuple[int, str]]:
        if repository.id not in self._milestones:
            self._milestones[repository.id] = Counter(
                (each.milestone, each.state) for each in repository.issues.values() if each.milestone is not None
            )
        return self._milestones[repository.id]
