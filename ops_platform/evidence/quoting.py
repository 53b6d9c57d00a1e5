"""Somebody else's text, made short, harmless to a screen and free of what the reader need not know.

Belongs here: what happens to vendor text on its way into a bundle. Does not belong here: escaping for a
channel (each renderer does its own; this does not make text trusted).
"""

from __future__ import annotations

import re
import unicodedata

# Bidirectional overrides and isolates can make a line read as something it is not; joiners stay for emoji.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_KEPT_FORMAT = frozenset("\u200c\u200d")
_LINK = re.compile(r"(?i)\b(?:https?|ftp|file)://\S+|\b(?:mailto|javascript|tel):\S+|\bwww\.\S+")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.])(?:\+|00)\d[\d\s().-]{6,}\d")
_SLACK_LINK = re.compile(r"<((?:https?|mailto)[^|>]*)(?:\|([^>]*))?>")
_SENTENCE_END = re.compile(r"[.!?](?= [A-Z])")
_SLACK_MENTION = re.compile(r"<[@#!][^>]*>")


def minimise(text: str, limit: int = 140) -> str:
    """One line of at most `limit` characters: markup, links, addresses, telephone numbers, mentions, control and
    direction characters removed, white space collapsed, cut at a word with an ellipsis."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    text = _SLACK_LINK.sub(lambda match: match.group(2) or "[link]", text)
    text = _SLACK_MENTION.sub("[mention]", text)
    text = "".join(_kept(char) for char in text)
    text = _LINK.sub("[link]", text)
    text = _EMAIL.sub("[e-mail]", text)
    text = _PHONE.sub("[phone]", text)
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    if space > limit // 2 and text[limit - 1] != " ":
        cut = cut[:space]
    return cut.rstrip("\u200d\ufe0f ,;:.-") + "…"


def whole_sentences(text: str, limit: int) -> str:
    """The sentences of a text that fit whole into `limit` characters; where not even the first does, it is cut."""
    said = minimise(text, max(len(text), limit))
    ends = [match.start() + 1 for match in _SENTENCE_END.finditer(said) if match.start() < limit]
    return said if len(said) <= limit else said[: ends[-1]] if ends else minimise(said, limit)


def _kept(char: str) -> str:
    if char in _BIDI:
        return ""
    category = unicodedata.category(char)
    if category in ("Zl", "Zp") or (category == "Cc" and char in "\t\n\r\x0b\x0c\x85"):
        return " "
    if category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and char not in _KEPT_FORMAT):
        return ""
    return char
