"""What can be seen in a text without knowing what its numbers are.

Belongs here: digits, number words, units, dates, markup, links, mentions, foreign letters, names. Does not belong here:
anything that depends on a claim's value (`writing.claims`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from ops_platform.documents.claims import TOKEN, Token
from ops_platform.writing import vocabulary as words
from ops_platform.writing.sentences import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops_platform.evidence.model import Bundle

_ALLOWED_PUNCTUATION = frozenset(" ,.;:'’\"“”()-–—!?/&")
_LINK = re.compile(r"(?i)\b(?:https?|ftp|mailto|file|javascript|data)\s*:|\bwww\b|[a-z0-9-]\.[a-z]{2,}|//")
_ENTITY = re.compile(r"&#?\w+;")
_SHORTCODE = re.compile(r":[a-z0-9_+-]+:")
# The first letter of a word such as "e-mail" is none.
_LONE_LETTER = re.compile(r"(?<![\w'’])[b-hj-zB-HJ-Z](?![\w'’]|-[a-z]{3})")
_WORD = re.compile(r"[^\W\d_]+")


class Finding(NamedTuple):
    """What is wrong and where: a short machine name, (start, end) in the text, a sentence for the writer."""

    kind: str
    span: tuple[int, int]
    message: str


def surface(text: str, language: str) -> Iterator[Finding]:
    """What can be seen without knowing the evidence: digits, number words, markup, links, foreign letters."""
    blank = masked(text, [Token("", "", "plain", m.start(), m.end()) for m in TOKEN.finditer(text)])
    for index, char in enumerate(blank):
        kind = _character_kind(char)
        if kind:
            yield Finding(kind, (index, index + 1), _CHARACTER_MESSAGES[kind])
    for pattern, kind, message in _PATTERNS:
        for match in pattern.finditer(blank):
            yield Finding(kind, match.span(), message.format(word=match.group()))
    if language == "en":
        plain_words = [word.lower() for word in _WORD.findall(blank)]
        foreign = sum(word in words.FOREIGN for word in plain_words)
        english = sum(word in words.ENGLISH for word in plain_words)
        if foreign > english or (len(plain_words) >= 6 and english == 0):
            yield Finding("language", (0, len(text)), "Write in English.")


_PATTERNS = (
    (words.NUMBER_WORDS, "number_word", "{word!r} is a number; use a claim."),
    (words.ROMAN, "number_word", "{word!r} may be read as a number; use a claim."),
    (_LONE_LETTER, "number_word", "A lone {word!r} may be read as a unit; leave it out."),
    (words.UNIT_WORDS, "unit", "{word!r} is a unit; the claim brings its own."),
    (words.DATE_WORDS, "date", "{word!r} is a date; use a claim's period or comparison label."),
    (words.DATES_CAPITALISED, "date", "{word!r} is a date; use a claim's period or comparison label."),
    (_LINK, "link", "No links or domain names."),
    (_ENTITY, "markup", "No HTML entities."),
    (_SHORTCODE, "markup", "No emoji codes."),
)
_CHARACTER_MESSAGES = {
    "digit": "No digits: every number is a claim.",
    "unit": "No unit or currency signs: the claim brings its own.",
    "mention": "No mentions.",
    "markup": "No markup: plain words and claims only.",
    "control": "No line breaks, control or invisible characters.",
    "language": "Write in English, with Latin letters.",
    "character": "This character has no place in a sentence.",
}


def names(text: str, bundle: Bundle) -> Iterator[Finding]:
    """Names of people, places and firms: no figure says whether they belong there."""
    company = bundle.company
    labels = [company.name, *(d.label for d in company.divisions), *(s.label for s in company.sources)]
    labels += [fact.label for fact in bundle.facts]
    known = {word.lower() for label in labels for word in _WORD.findall(label)} | {"sku", "skus", "erp"}
    blank = TOKEN.sub(lambda match: "x" * len(match.group()), text)
    for match in _WORD.finditer(blank):
        word, before = match.group(), blank[: match.start()].rstrip(" \"“‘'(")
        begins = not before or before[-1] in ".!?:"
        if not begins and word[:1].isupper() and word.lower() not in known:
            yield Finding("name", match.span(), f"{word!r} is a name the evidence does not hold.")


def _character_kind(char: str) -> str:
    if char == "\ufffc" or char in _ALLOWED_PUNCTUATION or (char.isascii() and char.isalpha()):
        return ""
    category = unicodedata.category(char)
    if char.isnumeric() or category.startswith("N"):
        return "digit"
    if char in "%‰" or category == "Sc":
        return "unit"
    if char in "@#＠＃":
        return "mention"
    if char in "<>*_~`|[]{}\\^$=+":
        return "markup"
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"):
        return "control"
    if char.isalpha():
        return "" if "À" <= char <= "ɏ" else "language"
    return "character"
