"""Every environment variable the platform reads, typed and validated once.

Belongs here: names, types, defaults and the sentence a person needs when one is wrong. Does not belong
here: company facts (`fleet.yaml`), vendor protocol (`resources/<vendor>.py`). Secrets are `SecretStr`,
so they never print; nothing else in the house reads `os.environ` for configuration.
"""

from __future__ import annotations

import os
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ops_platform.failures import ConfigurationError
from ops_platform.zones import zone_of

PROJECT_ROOT = Path(__file__).resolve().parents[1]


class Environment(StrEnum):
    """Where the platform runs. Schedules are unattended only in production."""

    DEMO = "demo"
    DEVELOPMENT = "development"
    PRODUCTION = "production"


def _blank_is_unset(value: object) -> object:
    """An empty line in an env file means "not set", as people expect of `KEY=`."""
    return None if isinstance(value, str) and not value.strip() else value


Text = Annotated[str | None, BeforeValidator(_blank_is_unset)]
Secret = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]


class Settings(BaseSettings):
    """The platform's settings. Field names are the variables of `.env.example` in lower case."""

    model_config = SettingsConfigDict(env_file=None, extra="ignore", case_sensitive=False, frozen=True)

    ops_env: Environment = Environment.DEVELOPMENT
    ops_home: Path = Path(".ops")
    ops_database_url: Secret = None
    ops_timezone: Text = None
    ops_currency: Text = None
    ops_now: Annotated[datetime | None, BeforeValidator(_blank_is_unset)] = None
    ops_fleet_file: Path = PROJECT_ROOT / "fleet.yaml"
    ops_playbooks: Annotated[Path | None, BeforeValidator(_blank_is_unset)] = None
    ops_agents: Annotated[Path | None, BeforeValidator(_blank_is_unset)] = None
    ops_airtable_file: Text = None
    ops_writer: Literal["auto", "rules", "claude"] = "auto"
    ops_web_port: int = Field(default=3000, ge=1, le=65535)
    ops_web_bind: str = "127.0.0.1"
    ops_credentials: Path = Path("credentials")
    ops_bot: Text = None
    ops_backups: Annotated[Path | None, BeforeValidator(_blank_is_unset)] = None
    ops_backup_keep: Annotated[str, Field(pattern=r"^\d+,\d+,\d+$")] = "7,4,6"
    ops_listen_port: int = Field(default=3001, ge=0, le=65535)
    # Read by deploy/watchdog.sh itself; here they are known as secrets.
    ops_watchdog_webhook: Secret = None
    ops_watchdog_ping_url: Secret = None
    ops_trigger_port: int = Field(default=3002, ge=0, le=65535)
    cron_secret: Secret = None
    ops_console_url: Text = None
    ops_dagster_url: Text = None

    shopify_shop: Text = None
    shopify_client_id: Text = None
    shopify_client_secret: Secret = None
    shopify_base_url: Text = None
    shopify_api_version: str = "2026-10"

    netsuite_account_id: Text = None
    netsuite_client_id: Text = None
    netsuite_certificate_id: Text = None
    netsuite_private_key: Secret = None
    netsuite_base_url: Text = None

    hubspot_token: Secret = None
    hubspot_base_url: Text = None
    hubspot_api_version: str = "2026-09"
    hubspot_surveys: Annotated[bool, BeforeValidator(lambda value: _blank_is_unset(value) or False)] = False

    airtable_token: Secret = None
    airtable_base_url: Text = None

    klaviyo_api_key: Secret = None
    klaviyo_base_url: Text = None
    klaviyo_revision: str = "2026-07-15"
    klaviyo_order_integration: str = "Shopify"
    klaviyo_drafts_api_key: Secret = None

    github_token: Secret = None
    github_write_token: Secret = None
    github_webhook_secret: Secret = None
    ops_webhook_port: int = Field(default=3003, ge=0, le=65535)
    github_repository: Text = None
    github_repositories: Text = None
    github_base_url: Text = None

    amazon_client_id: Text = None
    amazon_client_secret: Secret = None
    amazon_refresh_token: Secret = None
    amazon_marketplace_id: Text = None
    amazon_seller_id: Text = None
    amazon_base_url: Text = None

    app_database_url: Secret = None
    app_database_schema: Text = None

    slack_bot_token: Secret = None
    slack_app_token: Secret = None
    slack_signing_secret: Secret = None
    slack_alert_users: Text = None
    slack_base_url: Text = None
    slack_channel_executive: Text = None
    slack_channel_team: Text = None
    slack_channel_alerts: Text = None

    smtp_url: Secret = None
    smtp_from: Text = None

    anthropic_api_key: Secret = None
    anthropic_base_url: Text = None

    @field_validator("ops_now")
    @classmethod
    def _now_has_a_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("needs an offset, e.g. 2026-11-20T06:00:00-05:00")
        return value

    @field_validator("ops_timezone")
    @classmethod
    def _zone_exists(cls, value: str | None) -> str | None:
        if value is not None:
            zone_of(value)
        return value

    @field_validator("ops_console_url", "ops_dagster_url")
    @classmethod
    def _link_opens(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (or http:// inside your network)")
        return value

    @field_validator("ops_home")
    @classmethod
    def _home_is_absolute(cls, value: Path) -> Path:
        # Relative to the project, not to wherever a command happens to be typed: one home, one database.
        value = value.expanduser()
        return value if value.is_absolute() else PROJECT_ROOT / value

    @property
    def production(self) -> bool:
        return self.ops_env is Environment.PRODUCTION

    @property
    def dagster_home(self) -> Path:
        return self.ops_home / "dagster"

    @property
    def credentials_directory(self) -> Path:
        """Where the files of single bots are."""
        path = self.ops_credentials.expanduser()
        return path if path.is_absolute() else PROJECT_ROOT / path

    @property
    def backups_directory(self) -> Path:
        """Where backups are kept; another disk is better."""
        return self.ops_backups.expanduser() if self.ops_backups is not None else self.ops_home / "backups"


def read_env_file(path: Path) -> dict[str, str]:
    """The `KEY=VALUE` lines of `path`. Raises `ConfigurationError` naming the line that is none, never what it says."""
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        key, separator, value = text.partition("=")
        if not separator or not key.strip().replace("_", "").isalnum():
            raise ConfigurationError(f"{path}, line {number}: expected KEY=VALUE")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[key.strip()] = value
    return found


def load_env_file(path: Path) -> None:
    """Put `KEY=VALUE` lines of `path` into the environment; what is already set there wins."""
    if path.is_file():
        for key, value in read_env_file(path).items():
            os.environ.setdefault(key, value)


def bot_credentials(directory: Path, bot: str) -> dict[str, str]:
    """What only `bot` may use: its file in `directory`, or nothing. It stays out of the environment, which children
    inherit and other processes of the account can read.

    Raises `ConfigurationError` when others may read the file, or when it names what is no credential."""
    path = directory / f"{bot}.env"
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    if status.st_mode & 0o077 or status.st_uid not in (os.geteuid(), 0):
        raise ConfigurationError(f"{path} may be read by others than its bot's runs: `chmod 600` it, owned by us")
    values = read_env_file(path)
    wrong = sorted(
        key
        for key in values
        if key.lower() not in Settings.model_fields or (key.upper().startswith("OPS_") and key != "OPS_DATABASE_URL")
    )
    if wrong:
        raise ConfigurationError(f"{path}: {', '.join(wrong)} is no credential of .env.example")
    return {key.lower(): value for key, value in values.items()}


_handed: list[Settings] = []


def use_settings(settings: Settings) -> None:
    """From now on these are the settings of this process, which was handed them and reads no file."""
    _handed[:] = [settings]
    reset_settings()


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once from the environment and the project's `.env`; in a run of a bot
    (`OPS_BOT`), what its own file says wins.

    Raises `ConfigurationError` naming each variable that is wrong and never its value."""
    if _handed:
        return _handed[0]
    load_env_file(PROJECT_ROOT / ".env")
    try:
        settings = Settings()
        if settings.ops_bot is None:
            return settings
        own: dict[str, Any] = dict(bot_credentials(settings.credentials_directory, settings.ops_bot))
        return Settings(**own) if own else settings
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"settings are wrong: {problems}. See .env.example.") from None


def reset_settings() -> None:
    """Forget the settings read so far, after the environment was changed on purpose (demo, tests)."""
    get_settings.cache_clear()
