"""How large a proof is: how many examples a property is tried with, how often a process is killed at a point.

Belongs here: what `make test` takes of that, where `make test-all` takes the whole. Does not belong here: the proofs.
"""

from __future__ import annotations

# Set by `tests/conftest.py` before any test is read: whether long proofs are run too.
WHOLE = [False]


def examples(whole: int) -> int:
    """A quarter of the examples, and never fewer than ten, unless long proofs are run."""
    return whole if WHOLE[0] else min(whole, max(10, whole // 4))


def times(whole: int, by_default: int) -> int:
    """How often something is done again: fewer times unless long proofs are run."""
    return whole if WHOLE[0] else by_default
