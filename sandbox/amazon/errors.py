"""How the Selling Partner API says no inside its protocol.

Belongs here: the refusal as an exception and its body. Does not belong here: when it is raised.
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer other than 2xx: `status`, and the one error of its body."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"errors": [{"code": code, "message": message, "details": details}]}


def invalid(details: str) -> Refused:
    """A parameter that Amazon does not take."""
    return Refused(400, "InvalidInput", "Invalid Input", details)


def unauthorised(details: str) -> Refused:
    return Refused(403, "Unauthorized", "Access to requested resource is denied.", details)


def not_found(details: str) -> Refused:
    return Refused(404, "NotFound", "Resource not found.", details)
