"""GitHub as a source: the repositories in which the company tracks its work.

Belongs here: connecting from settings. Does not belong here: the protocol (`client.py`), the streams (`source.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ops_platform.failures import ConfigurationError
from resources.github.source import STREAMS, VENDOR, GitHubSource

if TYPE_CHECKING:
    from ops_platform.settings import Settings

__all__ = ["STREAMS", "VENDOR", "GitHubSource", "connect"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")


def connect(settings: Settings) -> GitHubSource | None:
    """The repositories the settings name, or None when they name neither token nor repository. Opens no
    connection. Raises `ConfigurationError` when one is missing or a name is none."""
    given = [settings.github_repositories or "", settings.github_repository or ""]
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    if settings.github_token is None and not names:
        return None
    if settings.github_token is None:
        raise ConfigurationError("github: GITHUB_TOKEN is missing; docs/connect/github.md says how to get one")
    if not names:
        raise ConfigurationError("github: GITHUB_REPOSITORIES is missing: owner/name, several with commas")
    for name in names:
        if not _NAME.fullmatch(name) or name.endswith(("/.", "/..")):
            raise ConfigurationError(
                f"github: {name!r} is no repository: write owner/name, without https://github.com/"
            )
    from resources.github.client import API, GitHubClient
    from resources.http import HttpClient

    unique: dict[str, str] = {}
    for name in names:
        unique.setdefault(name.casefold(), name)
    http = HttpClient(VENDOR, settings.github_base_url or API)
    return GitHubSource(GitHubClient(http, settings.github_token), list(unique.values()))
