"""A posted text read as GitHub reads it: the links, mentions, pictures, HTML and references it would make.

Belongs here: an oracle independent of what cleans (a Markdown parser of others', and GitHub's documented rules for what
it links by itself). Does not belong here: the cleaning (`ops_platform.work_orders.sanitising`).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt

_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
# GFM's autolinks and GitHub's own: in text, not in code.
_ADDRESS = re.compile(r"(?i)(?:https?|ftp)://[^\s<]+|\bwww\.[^\s<]+|[\w.+-]+@[\w-]+\.[\w.-]+")
_MENTION = re.compile(r"(?<![\w`/])@([A-Za-z0-9][A-Za-z0-9-]*(?:/[A-Za-z0-9_.-]+)?)")
_REFERENCE = re.compile(r"(?<![\w&])(?:[\w.-]+/[\w.-]+)?#\d+|\b[Gg][Hh]-\d+")
_COMMAND = re.compile(r"^[ \t>*+-]*/[A-Za-z]+", re.MULTILINE)
_HIDDEN = re.compile(r"\n\n<!-- ops-effect [0-9a-f]{32}(?: \{[^<>]*\})? -->\Z")


@dataclass
class Read:
    links: list[str] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    markers: int = 0

    def harm(self, allowed: tuple[str, ...] = ()) -> dict[str, Any]:
        """What should not be there, by what it is."""
        found = {name: value for name, value in vars(self).items() if name not in ("markers", "links") and value}
        strange = [each for each in self.links if not any(each.startswith(f"https://{host}/") for host in allowed)]
        return {**found, **({"links": strange} if strange else {})}


def read(body: str) -> Read:
    """Everything in `body` but our own marker at its very end."""
    done = Read()
    body, done.markers = _HIDDEN.subn("", body)
    done.unseen = [f"U+{ord(each):04X}" for each in body if each not in "\n\t\u200b" and _invisible(each)]
    done.commands = _COMMAND.findall(body)
    for token in _tokens(_PARSER.parse(body)):
        if token.type in ("html_block", "html_inline"):
            done.html.append(token.content)
        elif token.type == "link_open":
            done.links.append(str(token.attrGet("href")))
        elif token.type == "image":
            done.pictures.append(str(token.attrGet("src")))
        elif token.type == "fence" and token.info.strip().split(" ")[0] in ("mermaid", "geojson", "topojson", "stl"):
            done.drawn.append(token.info)
        elif token.type == "text":
            # Entities are decoded before GitHub looks for mentions and references.
            text = html.unescape(token.content)
            done.links += _ADDRESS.findall(text)
            done.mentions += _MENTION.findall(text)
            done.references += _REFERENCE.findall(text)
    return done


def _tokens(tokens: Any) -> Iterator[Any]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or ())


def _invisible(each: str) -> bool:
    code = ord(each)
    return (
        unicodedata.category(each) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0000 <= code <= 0xE0FFF
    )
