"""What a vendor sent, made fit to be printed at a terminal: no control of the terminal, no secret.

Belongs here: escaping and redaction for people's eyes. Does not belong here: what is stored (it stays whole).
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

REDACTED = "[secret]"
LONGEST_SHOWN = 20_000

_SECRET_KEY = re.compile(
    r"(?:^|[_\-. ]|(?<=[a-z]))(?:token|secret|password|passwd|passphrase|authorization|api_?key|access_?key"
    r"|private_?key|credential|cookie|session_?id|signature|client_?secret|refresh_?token|card_?number|cvv|iban)s?$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    r"xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}|shp(?:at|ss|ca|pa|ua)_[\w]{8,}|pat-[a-z]{2}\d-[\w-]{8,}|sk-[\w-]{12,}"
    r"|(?:ghp|gho|ghu|ghs|ghr)_\w{16,}|github_pat_\w{16,}|pk_[0-9a-f]{16,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{32,}"
    r"|Atz[ar]\|[\w|+/=-]{8,}|amzn1\.oa2-cs\.[\w.]{8,}|A(?:KIA|SIA)[A-Z0-9]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|(?i:bearer|basic)\s+[\w.~+/=-]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)",
    re.DOTALL,
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


def without_secrets(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` without what looks like a credential, and without the credentials given."""
    for secret in secrets:
        if len(secret) >= 6:
            text = text.replace(secret, REDACTED)
    return _SECRET_TEXT.sub(REDACTED, text)


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
