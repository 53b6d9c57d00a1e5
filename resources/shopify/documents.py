"""The GraphQL operations of `queries/*.graphql`, each made self-contained.

Belongs here: finding an operation by name and writing its fragments out in place (a bulk operation takes
one bare query, and a short text costs the vendor less to parse). Does not belong here: what is asked for
(the `.graphql` files) or asking it (`client.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"
_DEFINITION = re.compile(r"^(query|mutation|fragment)\s+(\w+)", re.MULTILINE)
_SPREAD = re.compile(r"\.\.\.(?!\s*on\b)\s*(\w+)")
_FILTER_ARGUMENT = 'query: "FILTER"'


@lru_cache(maxsize=1)
def operations() -> dict[str, str]:
    """Every operation by name, with its fragments written out."""
    found: dict[str, str] = {}
    fragments: dict[str, str] = {}
    for path in sorted(FOLDER.glob("*.graphql")):
        text = re.sub(r"^\s*#.*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        starts = list(_DEFINITION.finditer(text))
        for position, match in enumerate(starts):
            end = starts[position + 1].start() if position + 1 < len(starts) else len(text)
            definition = " ".join(text[match.start() : end].split())
            kind, name = match.groups()
            if kind == "fragment":
                fragments[name] = definition[definition.index("{") + 1 : definition.rindex("}")].strip()
            else:
                found[name] = definition
    return {name: _written_out(text, fragments) for name, text in found.items()}


def _written_out(text: str, fragments: dict[str, str]) -> str:
    while True:
        replaced = _SPREAD.sub(lambda match: fragments[match.group(1)], text)
        if replaced == text:
            return text
        text = replaced


def operation(name: str) -> str:
    return operations()[name]


def bulk_query(name: str, search: str | None) -> str:
    """The query of the bulk operation `name`, as the vendor takes it: anonymous, filtered by `search`."""
    text = operation(name)
    body = text[text.index("{") :]
    if search is None:
        return body.replace(f"({_FILTER_ARGUMENT})", "").replace(f"{_FILTER_ARGUMENT}, ", "")
    if _FILTER_ARGUMENT not in body:
        raise ValueError(f"{name} takes no filter")
    escaped = search.replace("\\", "\\\\").replace('"', '\\"')
    return body.replace(_FILTER_ARGUMENT, f'query: "{escaped}"')
