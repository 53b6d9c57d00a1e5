"""A report's sentence: the figure that most needs somebody, and against what.

Belongs here: reports of jobs. Does not belong here: phrases every document shares (`phrases.py`), what is news
(`ops_platform.evidence.briefing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops_platform.writing.rules import phrases as say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle
    from ops_platform.writing.draft import Slot


def candidates(bundle: Bundle, slot: Slot) -> Iterator[str]:
    """Sentences for `slot`, the best first. A report that speaks for itself gets none by rules."""
    yield from ()
    if slot.required:
        yield from say.plain(bundle, slot)
