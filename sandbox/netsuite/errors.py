"""NetSuite's error answers.

Belongs here: the exception and its body. Does not belong here: deciding what is an error.
"""

from __future__ import annotations

from typing import Any

from sandbox.refusals import netsuite_error


class NetSuiteError(Exception):
    """An answer in NetSuite's error format. `where` are the `o:error…` keys without that prefix: Path,
    QueryParam, Header, Url."""

    def __init__(self, status: int, code: str, detail: str, **where: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.where = where

    def body(self) -> dict[str, Any]:
        return netsuite_error(self.status, self.code, self.detail, **self.where)


def bad_query(reason: str) -> NetSuiteError:
    """A SuiteQL query that cannot be run."""
    detail = f"Invalid search query. Detailed unprocessed description follows. Search error occurred: {reason}"
    return NetSuiteError(400, "INVALID_PARAMETER", detail, QueryParam="q")
