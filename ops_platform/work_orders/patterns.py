"""Patterns that a hostile text cannot make slow.

Belongs here: judging a regular expression of the policy before it is used. Does not belong here: which there are
(`work_orders.yaml`), finding them in a text (`policy_store.py`).

Python's `re` backtracks: a repetition inside a repetition can take for ever on a text made for it. The rules need none,
so none is admitted; and the ways in which a pattern can be tried at one place are counted, and few.
"""

from __future__ import annotations

import re
from typing import Any

MOST_WAYS = 2_000
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
_REFUSED = {
    "GROUPREF": "refers back to a group: not needed, and slow",
    "GROUPREF_EXISTS": "refers back to a group: not needed, and slow",
}


class _Refused(Exception):
    pass


def problem_of_pattern(pattern: str) -> str | None:
    """Why a pattern is not admitted; None where it is."""
    from re import _parser  # type: ignore[attr-defined]

    try:
        if re.compile(pattern, re.IGNORECASE).search(""):
            return "is found in an empty text"
        ways = _ways(_parser.parse(pattern, re.IGNORECASE), repeated=False)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no pattern: {error}"
    except _Refused as refused:
        return str(refused)
    if ways > MOST_WAYS:
        return f"can be tried in {ways:,} ways at one place, and {MOST_WAYS:,} is the most: shorten its repetitions"
    return None


def _ways(items: Any, *, repeated: bool) -> int:
    """In how many ways a sequence can be tried at one place, at most."""
    ways = 1
    for operation, argument in items:
        name = str(operation)
        if name in _REFUSED:
            raise _Refused(_REFUSED[name])
        if name in _REPEATS:
            least, most, body = int(argument[0]), int(argument[1]), argument[2]
            varies = most > least
            if most > MOST_WAYS:
                raise _Refused("repeats without a bound: write {0,200}")
            if varies and repeated:
                raise _Refused("repeats a repetition, which a hostile text makes slow")
            inner = _ways(body, repeated=repeated or most > 1)
            ways *= (most - least + 1) * (inner if most <= 1 else max(inner, 1) ** min(most, 8))
        elif name == "SUBPATTERN":
            ways *= _ways(argument[3], repeated=repeated)
        elif name == "BRANCH":
            inner = sum(_ways(branch, repeated=repeated) for branch in argument[1])
            if repeated and inner > len(argument[1]):
                raise _Refused("repeats a choice of repetitions, which a hostile text makes slow")
            ways *= inner
        elif name in ("ASSERT", "ASSERT_NOT"):
            ways *= _ways(argument[1], repeated=repeated)
        elif name == "ATOMIC_GROUP":
            ways *= _ways(argument, repeated=repeated)
        if ways > 10**12:
            raise _Refused("can be tried in too many ways: shorten it")
    return ways
