"""The shipped Slack app may do what the platform does, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from sandbox.slack.methods import METHODS

ROOT = Path(__file__).resolve().parents[2]
METHOD = re.compile(r'"((?:api|apps|auth|bots|chat|conversations|files|reactions|team|users|views)\.[A-Za-z.]+)"')
# Called with the app-level token, whose one scope is given where it is made.
APP_LEVEL = {"apps.connections.open"}


def manifest() -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load((ROOT / "deploy" / "slack" / "manifest.yaml").read_text(encoding="utf-8"))
    return found


def scopes() -> set[str]:
    return set(manifest()["oauth_config"]["scopes"]["bot"])  # type: ignore[index]


def called() -> set[str]:
    files = [*ROOT.glob("resources/**/*.py"), *ROOT.glob("ops_platform/**/*.py"), *ROOT.glob("assets/**/*.py")]
    return {name for file in files for name in METHOD.findall(file.read_text(encoding="utf-8"))} & set(METHODS)


def test_every_method_is_covered() -> None:
    assert {"chat.postMessage", "files.completeUploadExternal", "conversations.replies", "users.list"} <= called()
    missing = {
        name: METHODS[name].scopes
        for name in called() - APP_LEVEL
        if METHODS[name].scopes and not set(METHODS[name].scopes) & scopes()
    }
    assert missing == {}
    # Private channels need their own: a method that takes either is covered for both.
    either = {scope for name in called() - APP_LEVEL for scope in METHODS[name].scopes}
    assert either == scopes()


def test_no_scope_reaches_further_than_that() -> None:
    reaching = {"chat:write.public", "chat:write.customize", "users:read.email", "channels:join", "admin"}
    assert not scopes() & reaching
    settings = manifest()["settings"]
    assert isinstance(settings, dict)
    assert settings["socket_mode_enabled"] and settings["interactivity"]["is_enabled"]
    assert not settings["org_deploy_enabled"] and "event_subscriptions" not in settings
    assert "user" not in manifest()["oauth_config"]["scopes"]  # type: ignore[index]


def test_the_guide_names_the_same_scopes() -> None:
    guide = (ROOT / "docs" / "connect" / "slack.md").read_text(encoding="utf-8")
    table = guide.split("| scope | for |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"`([a-z]+:[a-z.]+)`", table)) - {"users:read.email"} == scopes()
