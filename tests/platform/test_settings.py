"""Settings are read once, say what is wrong without saying the value, and keep secrets to themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_platform.failures import ConfigurationError
from ops_platform.settings import Environment, Settings, get_settings, load_env_file, reset_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh() -> object:
    reset_settings()
    yield
    reset_settings()


def test_secrets_never_print(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOPIFY_CLIENT_SECRET", "NETSUITE_PRIVATE_KEY", "SLACK_BOT_TOKEN", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "canary-7f3a")
    monkeypatch.setenv("OPS_DATABASE_URL", "postgresql://u:canary-7f3a@h/db")
    settings = get_settings()
    assert "canary-7f3a" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.slack_bot_token is not None
    assert settings.slack_bot_token.get_secret_value() == "canary-7f3a"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("OPS_ENV", "prod", "OPS_ENV"),
        ("OPS_TIMEZONE", "America/New_Yrok", "IANA time zone"),
        ("OPS_NOW", "2026-11-20T06:00:00", "needs an offset"),
        ("OPS_WEB_PORT", "99999", "OPS_WEB_PORT"),
        ("OPS_WRITER", "gpt", "OPS_WRITER"),
    ],
)
def test_a_wrong_value_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=says):
        get_settings()


def test_an_empty_line_means_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOPIFY_SHOP", "OPS_DATABASE_URL", "OPS_NOW", "OPS_TIMEZONE", "SLACK_BOT_TOKEN"):
        monkeypatch.setenv(name, "  ")
    settings = get_settings()
    assert settings.shopify_shop is None
    assert settings.ops_database_url is None
    assert settings.ops_now is None
    assert settings.slack_bot_token is None


def test_env_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\n\nOPS_TEST_A='one'\nOPS_TEST_B=two # not a comment\n", encoding="utf-8")
    monkeypatch.setenv("OPS_TEST_B", "three")
    monkeypatch.delenv("OPS_TEST_A", raising=False)
    load_env_file(file)
    import os

    assert (os.environ.pop("OPS_TEST_A"), os.environ["OPS_TEST_B"]) == ("one", "three")
    file.write_text("JUST_A_WORD\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="line 1"):
        load_env_file(file)


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = {
        line.split("=", 1)[0]
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    }
    declared = {name.upper() for name in Settings.model_fields} - {
        "OPS_FLEET_FILE",
        "OPS_BOT",  # said by whoever starts a run, never in a file
    }
    assert documented == declared


def test_every_environment_knows_whether_it_runs_unattended() -> None:
    from sensors.schedules import _UNATTENDED

    assert set(_UNATTENDED) == set(Environment)
    assert [name for name, unattended in _UNATTENDED.items() if unattended] == [Environment.PRODUCTION]
