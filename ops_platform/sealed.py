"""A credential in hand that does not print.

Belongs here: that one value. Does not belong here: the credentials of the settings, which are pydantic's `SecretStr`; a
client takes either. A process that only reads a vendor and loads has no use for pydantic, 10 MB.
"""

from __future__ import annotations

from typing import Protocol


class Secret(Protocol):
    """What a client needs of a credential."""

    def get_secret_value(self) -> str: ...


class Sealed:
    """Text that shows only where it is asked for by `get_secret_value`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Sealed('**********')"
