"""Page tokens: opaque, bound to the request they continue, and short-lived.

Belongs here: making and reading them. Does not belong here: how long each operation's live (`operations.py`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from sandbox.amazon.errors import invalid


@dataclass(frozen=True, slots=True)
class PageToken:
    """`offset` into the listing as it stood at `taken`, of the request with this `mark`."""

    offset: int
    taken: datetime
    mark: str

    def text(self) -> str:
        body = orjson.dumps([self.offset, self.taken.isoformat(), self.mark])
        return base64.urlsafe_b64encode(body).decode().rstrip("=")


def mark_of(query: Mapping[str, str], token_name: str) -> str:
    """A fingerprint of everything in the request but the token."""
    rest = sorted((key, value) for key, value in query.items() if key != token_name)
    return hashlib.sha256(orjson.dumps(rest)).hexdigest()[:16]


def read_token(text: str, query: Mapping[str, str], token_name: str, now: datetime, lives: timedelta) -> PageToken:
    """The token of a request. Raises `Refused` when it is none, has ended, or belongs to other parameters."""
    try:
        offset, taken, mark = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        token = PageToken(int(offset), datetime.fromisoformat(taken), str(mark))
    except (ValueError, TypeError, KeyError):
        raise invalid(f"The {token_name} is not valid.") from None
    if token.mark != mark_of(query, token_name):
        raise invalid(f"The parameters must be those of the request that returned the {token_name}.")
    if not token.taken <= now < token.taken + lives:
        raise invalid(f"The {token_name} has expired.")
    return token
