"""Credentials taken out of text before it is kept or shown: logs, errors, events, what commands print.

Belongs here: what a credential is (those this process was given, and what looks like one), and the hooks that take it
out of every line a process writes. Does not belong here: where credentials live (`settings.py`), Dagster's own stores
(`ops_platform.instance`).
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from typing import Any
from urllib.parse import quote, unquote, urlsplit

REDACTED = "[secret]"
#: Shorter ones would take ordinary words out of ordinary text.
LEAST_LENGTH = 6

_LOOKS_SECRET = re.compile(
    r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|shp(?:at|ss|ca|pa|ua)_[\w]{8,}|pat-[a-z]{2}\d-[\w-]{8,}|sk-[\w-]{12,}"
    r"|(?:ghp|gho|ghu|ghs|ghr)_\w{16,}|github_pat_\w{16,}|pk_[0-9a-f]{16,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{32,}"
    r"|Atz[ar]\|[\w|+/=-]{8,}|amzn1\.oa2-cs\.[\w.]{8,}|A(?:KIA|SIA)[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    # An English word behind it ("basic troubleshooting") is no base64: that has a digit, a sign or mixed case.
    r"|(?i:bearer)\s+[\w.~+/=-]{12,}|(?i:basic)\s+(?=[\w.~+/=-]*(?:[0-9+/=_~]|[a-z][A-Z]))[\w.~+/=-]{12,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    # What our own messages show as an example is none.
    r"|(?<=://)(?!(?:role|user):password@)[^\s/@:\"]+:[^\s/@\"]+(?=@)",
    re.DOTALL,
)
_learned: set[str] = set()
_lock = threading.Lock()
# The settings and how many learned ones the expression was made for, and it.
_compiled: tuple[Any, int, re.Pattern[str] | None] = (None, 0, None)


def without_secrets(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` without what looks like a credential, and without the credentials given."""
    for secret in secrets:
        if len(secret) >= LEAST_LENGTH:
            text = text.replace(secret, REDACTED)
    return _LOOKS_SECRET.sub(REDACTED, text)


def redact(text: str) -> str:
    """`text` without the credentials of this process and without what looks like one."""
    pattern = _pattern(_known())
    if pattern is not None:
        text = pattern.sub(REDACTED, text)
    return _LOOKS_SECRET.sub(REDACTED, text)


def redact_value(value: Any) -> Any:
    """A decoded JSON value with `redact` on every text in it, keys too."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value


def learn(secret: str) -> None:
    """Also take out `secret` from now on: a token that a vendor gave at run time."""
    if len(secret) >= LEAST_LENGTH:
        with _lock:
            _learned.add(secret)


def redact_process() -> None:
    """From now on nothing this process logs, and no traceback it dies with, holds a credential. Safe to repeat."""
    before = logging.getLogRecordFactory()
    if getattr(before, "takes_secrets_out", False):
        return

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = before(*args, **kwargs)
        try:
            message = made.getMessage()
        except Exception:  # a wrong format string is told by the handler, as ever
            return made
        clean = redact(message)
        if clean != message:
            made.msg, made.args = clean, ()
        if made.exc_info and made.exc_info[0] is not None:
            made.exc_text = redact("".join(traceback.format_exception(*made.exc_info)).rstrip("\n"))
        return made

    record.takes_secrets_out = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)
    sys.excepthook = _last_words

    def thread_ended(end: threading.ExceptHookArgs) -> None:
        if end.exc_type is not SystemExit:
            _last_words(end.exc_type, end.exc_value or end.exc_type(), end.exc_traceback)

    threading.excepthook = thread_ended


def _last_words(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
    sys.stderr.flush()


def _known() -> Any:
    from ops_platform.settings import get_settings

    # What reading the settings fails with is told before there are any.
    return get_settings() if get_settings.cache_info().currsize else None


def _pattern(settings: Any) -> re.Pattern[str] | None:
    """One expression for every known credential in the forms in which text carries it, the longest first."""
    global _compiled
    made_for, learned, pattern = _compiled
    if made_for is settings and learned == len(_learned):
        return pattern
    values = set(_learned) | (set() if settings is None else secrets_in(settings))
    pattern = _expression(values)
    _compiled = (settings, len(_learned), pattern)
    return pattern


def _expression(values: set[str]) -> re.Pattern[str] | None:
    forms: set[str] = set()
    for value in values:
        forms |= {value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1]}
    forms = {form for form in forms if len(form) >= LEAST_LENGTH}
    if not forms:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def secrets_in(settings: Any) -> set[str]:
    """Every credential of the settings; of an address also its password, of a key also its lines."""
    from pydantic import SecretStr

    found: set[str] = set()
    for _, held in settings:
        if not isinstance(held, SecretStr):
            continue
        value = held.get_secret_value()
        if "://" in value:
            try:
                password = urlsplit(value).password
            except ValueError:
                password = None
            found |= {value} | ({password, unquote(password)} if password else set())
        elif "PRIVATE KEY" in value:
            found |= {line.strip() for line in value.splitlines() if len(line.strip()) >= 40}
            found.add(value)
        else:
            found.add(value)
    return {value for value in found if len(value) >= LEAST_LENGTH and not _is_a_word(value)}


def _is_a_word(value: str) -> bool:
    """A password such as "postgres" stands in ordinary text too; in an address it is found by its place."""
    return value.isalpha() and value.islower() and len(value) < 16
