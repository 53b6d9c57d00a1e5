"""What a vendor sent, made fit to be printed at a terminal: no control of the terminal, no secret.

Belongs here: escaping, and payloads by the names of their keys. Does not belong here: what a credential looks like
(`ops_platform.redaction`), what is stored (it stays whole).
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from ops_platform.redaction import REDACTED, without_secrets

__all__ = ["printable", "redacted", "secrets_of_settings", "shown_payload", "without_secrets"]

LONGEST_SHOWN = 20_000

_SECRET_KEY = re.compile(
    r"(?:^|[_\-. ]|(?<=[a-z]))(?:token|secret|password|passwd|passphrase|authorization|api_?key|access_?key"
    r"|private_?key|credential|cookie|session_?id|signature|client_?secret|refresh_?token|card_?number|cvv|iban)s?$",
    re.IGNORECASE,
)


def printable(text: str) -> str:
    """`text` with everything that is not a plain character written out: controls, escapes, what turns or hides
    text (bidirectional marks, zero-width characters), surrogates. Line breaks are written out too."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(
        character
        if character == " " or unicodedata.category(character) not in _ODD
        else f"\\u{ord(character):04x}"
        if ord(character) < 0x10000
        else f"\\U{ord(character):08x}"
        for character in text
    )


_ODD = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def redacted(value: Any, secrets: tuple[str, ...] = ()) -> Any:
    """A decoded payload without credentials: by the name of the key and by the look of the value."""
    if isinstance(value, dict):
        return {
            key: REDACTED
            if isinstance(item, str | int | float) and not isinstance(item, bool) and item and _SECRET_KEY.search(key)
            else redacted(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item, secrets) for item in value]
    return without_secrets(value, secrets) if isinstance(value, str) else value


def shown_payload(raw: str, secrets: tuple[str, ...] = (), longest: int = LONGEST_SHOWN) -> str:
    """A kept payload as indented JSON when it is JSON, else as text; safe to print, cut at `longest` characters."""
    try:
        value = json.loads(raw, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        lines = [printable(without_secrets(raw, secrets))]
    else:
        text = json.dumps(redacted(_numbers_back(raw, value), secrets), indent=2, ensure_ascii=False, default=str)
        lines = [printable(line) for line in text.split("\n")]
    shown = "\n".join(lines)
    if len(shown) <= longest:
        return shown
    return f"{shown[:longest]}\n… {len(shown) - longest:,} characters more (--full shows them)"


def _numbers_back(raw: str, fallback: Any) -> Any:
    """The payload with its numbers as numbers where none would lose a digit by it."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return fallback
    return value if not re.search(r"\d{16,}", raw) else fallback


def secrets_of_settings() -> tuple[str, ...]:
    """The credentials this process was given."""
    from pydantic import SecretStr

    from ops_platform.settings import get_settings

    found = (value for _, value in get_settings())
    return tuple(value.get_secret_value() for value in found if isinstance(value, SecretStr))
