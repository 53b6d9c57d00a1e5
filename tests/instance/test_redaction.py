"""Credentials in text: found in every form in which text carries them, and nothing else taken for one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from ops_platform.failures import ConfigurationError, TransientFailure
from ops_platform.redaction import learn, redact, redact_process, redact_value
from ops_platform.settings import get_settings, reset_settings

AWKWARD = 'p@ss"wörd\\1/2+3=='


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("KLAVIYO_API_KEY", AWKWARD)
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://reader:s3cret%2Fpart@db.example.com/app")
    monkeypatch.setenv("OPS_DATABASE_URL", "postgresql://ops:postgres@db.example.com/postgres")
    monkeypatch.setenv("HUBSPOT_TOKEN", "short")
    reset_settings()
    get_settings()
    yield
    reset_settings()


@pytest.mark.parametrize(
    "form",
    [AWKWARD, quote(AWKWARD, safe=""), json.dumps(AWKWARD), repr(AWKWARD), "s3cret/part", "s3cret%2Fpart",
     "postgresql://reader:s3cret%2Fpart@db.example.com/app"],
)  # fmt: skip
def test_a_known_credential_is_taken_out_in_every_form(form: str) -> None:
    assert redact(f"before {form} after").startswith("before ")
    for part in ("wörd", "s3cret", "w%C3%B6rd"):
        assert part not in redact(f"before {form} after")
    assert redact(f"before {form} after").endswith(" after")


@pytest.mark.parametrize(
    "text",
    ["xoxb-1234567890-abcdefghij", "shpat_0123456789abcdef", "sk-ant-api03-abcdefghijkl",
     "github_pat_0123456789abcdefghij", "Bearer abcdefghijklmnop", "authorization: Basic b3BzOnBhc3N3b3Jk", "https://user:pass12@example.com/"],
)  # fmt: skip
def test_what_looks_like_a_credential_is_taken_out(text: str) -> None:
    assert "[secret]" in redact(text)


@pytest.mark.parametrize(
    "text",
    ["postgres is up", "a short note", "net_sales 12,345.67", "https://example.com/a:b@c",
     "Basic troubleshooting did not help", "a basic end-to-end-walkthrough"],
)  # fmt: skip
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_values_are_gone_through_to_the_bottom() -> None:
    value = {"a": [AWKWARD, {"b": (AWKWARD, 1, None)}], AWKWARD: True}
    assert redact_value(value) == {"a": ["[secret]", {"b": ["[secret]", 1, None]}], "[secret]": True}


def test_a_failure_never_holds_one() -> None:
    assert AWKWARD not in str(ConfigurationError(f"refused: {AWKWARD}"))
    assert AWKWARD not in str(TransientFailure(f"refused: {AWKWARD}", retry_after=1))


def test_a_token_given_at_run_time_is_learned() -> None:
    learn("run-time-token-1")
    assert redact("got run-time-token-1") == "got [secret]"


def test_log_lines_and_traces_hold_none(caplog: pytest.LogCaptureFixture) -> None:
    redact_process()
    log = logging.getLogger("tests.redaction")
    try:
        raise ValueError(AWKWARD)
    except ValueError:
        log.exception("failed with %s", AWKWARD)
    assert "failed with [secret]" in caplog.text
    assert "wörd" not in caplog.text
