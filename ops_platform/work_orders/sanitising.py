"""Text from agents made harmless before it is posted: no mention, link, picture, HTML, command or forged marker.

Belongs here: cleaning of Markdown, of single lines, of file contents, and our hidden marker. Does not belong here: what
may be posted at all (`limits.py`, `effects.py`).

Nothing here tries to understand Markdown: two readers of it never agree, and an attacker lives in the difference. What
a link, a mention, a tag or a reference needs to be one is broken wherever it stands, in code as well, by a zero-width
space; addresses are cut out, and that is said. Before that, every character that does not show is removed, so the
zero-width spaces of a cleaned text are ours. Only a whole `[words](https://host/…)` or `https://host/…` of an allowed
host survives.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ops_platform.redaction import redact

NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,59}")
BREAK = "\u200b"
REMOVED = "(link removed)"
MARK = "ops-effect"

# Invisible without being of a category that says so: variation selectors (they can carry text), fillers, joiners.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_SAFE_URL = r"https://[A-Za-z0-9.-]+(?:/[A-Za-z0-9._~/%-]*)?"
_GOOD_LINK = re.compile(r"(?<![!\[\]\\])\[([^\[\]\n<>`!@&\\]{1,200})\]\((" + _SAFE_URL + r")\)")
_GOOD_ADDRESS = re.compile(r"(?<![\w(<\[/.@:-])" + _SAFE_URL + r"(?=[\s.,;)]|$)")
# A backslash before a sign shows the sign: `GH\-4` is read as GH-4, so each sign may have one before it.
_DOT, _COLON, _SLASH, _AT = r"\\?\.", r"\\?:", r"\\?/", r"\\?@"
_REST = r"[^\s<>\"'`|)\]]"
# A scheme of any sort, www., a protocol-relative address, a domain with a path or a port, an e-mail address.
_ADDRESSES = re.compile(
    rf"[A-Za-z](?:[A-Za-z0-9+]|\\?[.-]){{0,30}}{_COLON}(?:{_SLASH}){{2,}}{_REST}*"
    rf"|(?i:www)\d?{_DOT}{_REST}+"
    rf"|(?<![\w:/\\]){_SLASH}{_SLASH}[A-Za-z0-9-]+{_DOT}{_REST}+"
    rf"|(?<![A-Za-z0-9.\\-])(?:[A-Za-z0-9](?:[A-Za-z0-9]|\\?-){{0,62}}{_DOT})+[A-Za-z]{{2,24}}"
    rf"(?:{_COLON}\d{{1,5}})?{_SLASH}{_REST}*"
    rf"|(?i:\b(?:mailto|xmpp|javascript|data|vbscript|file|tel|sms)){_COLON}{_REST}+"
    rf"|(?:[\w+]|\\?[.-]){{1,64}}{_AT}[A-Za-z0-9-]{{1,63}}(?:{_DOT}[A-Za-z0-9-]{{1,63}})+"
)
_HARMLESS_FENCES = frozenset({
    "", "text", "json", "yaml", "csv", "sql", "python", "typescript", "javascript", "diff", "bash", "markdown",
})  # fmt: skip
# Possessive, and begun once in a run of backticks: a text of nothing else must not take long.
_FENCE = re.compile(r"((?<!`)`{3,}+|(?<!~)~{3,}+)([ \t]*+)([^\s`]++)")
_COMMAND = re.compile(r"^([ \t>*+-]*)(?=/[A-Za-z])", re.MULTILINE)
_MARKER = re.compile(r"<!-- " + MARK + r" ([0-9a-f]{32})(?: (\{.*?\}))? -->\s*\Z")

# (what it is, where it is broken): each match gets a zero-width space between its two groups.
_BREAKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("mentions", re.compile(r"([@\uff20\ufe6b])(?=[^\s" + BREAK + r"])()")),
    ("html", re.compile(r"(<)(?=[A-Za-z/!?])()")),
    ("html", re.compile(r"(&)(?=#|[A-Za-z][A-Za-z0-9]{1,40};)()")),
    ("pictures", re.compile(r"(!)(?=\[)()")),
    ("links", re.compile(r"(\])([ \t\n]{0,3}(?=[(:\[]))")),
    ("references", re.compile(r"(#)(?=\d)()")),
    ("references", re.compile(r"((?<![A-Za-z0-9])(?i:gh)\\?-)(?=\d)()")),
    ("math", re.compile(r"(\$)(?=[^\d\s" + BREAK + r"])()")),
    ("links", re.compile(rf"(:)(?={_SLASH}{_SLASH})()")),
    ("links", re.compile(rf"((?i:www))(?={_DOT})()")),
)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The text, and how often what was cut out or broken, by kind: links, mentions, html, pictures, references, math,
    commands, unseen, secrets."""

    text: str
    cut: Mapping[str, int] = field(default_factory=dict)


def markdown(text: str, *, links: Sequence[str] = ()) -> Cleaned:
    """A comment's or a description's text. `links` are the hosts that may be linked to."""
    cut: Counter[str] = Counter()
    text = _visible(text, cut)
    text = _without_secrets(text, cut)
    kept: list[str] = []
    # Placeholders are made of characters that were just removed, so no text can hold one of its own.
    text = _GOOD_LINK.sub(lambda found: _keep(found, found.group(2), links, kept), text)
    text = _GOOD_ADDRESS.sub(lambda found: _keep(found, found.group(0), links, kept), text)

    def remove(_: re.Match[str]) -> str:
        cut["links"] += 1
        return REMOVED

    text = _ADDRESSES.sub(remove, text)
    text = _FENCE.sub(_plain_fence, text)
    for what, pattern in _BREAKS:
        text, count = pattern.subn(lambda found: f"{found.group(1)}{BREAK}{found.group(2)}", text)
        cut[what] += count
    text, count = _COMMAND.subn(lambda found: f"{found.group(1)}{BREAK}", text)
    cut["commands"] += count
    text = re.sub("\x00(\\d+)\x00", lambda found: kept[int(found.group(1))], text)
    return Cleaned(text.strip("\n"), +cut)


def one_line(text: str, most: int) -> Cleaned:
    """A title: one line of plain words."""
    cut: Counter[str] = Counter()
    done = markdown(re.sub(r"\s+", " ", text))
    cut.update(done.cut)
    # Tools read these in titles: what skips checks, what asks to be merged.
    plain = re.sub(r"\[(?=[A-Za-z])", f"[{BREAK}", done.text)
    return Cleaned(_shortened(plain.strip(), most), +cut)


def file_text(text: str) -> Cleaned:
    """The content of a file: without credentials and characters that do not show, otherwise as it is."""
    cut: Counter[str] = Counter()
    return Cleaned(_without_secrets(_visible(text, cut), cut), +cut)


def quoted(text: str, *, most: int = 600) -> str:
    """Words of somebody else, as a quotation in our text: cleaned, shortened, every line marked."""
    lines = _shortened(markdown(text).text, most).split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def meta(value: Any) -> Any:
    """A value or a name for the marker: a short line of what shows."""
    if not isinstance(value, str):
        return value
    cut: Counter[str] = Counter()
    return _without_secrets(_visible(value, cut), cut).replace("\n", " ")[:200]


# -- the hidden marker ------------------------------------------------------------------------------------------


def marked(body: str, mark: str, meta: Mapping[str, Any] | None = None) -> str:
    """`body` with the marker by which the effect is recognised, as its last line; readers do not see it."""
    told = ""
    if meta:
        told = " " + json.dumps(dict(meta), sort_keys=True, separators=(",", ":")).translate(_IN_COMMENT)
    return f"{body}\n\n<!-- {MARK} {mark}{told} -->"


_IN_COMMENT = {ord(">"): "\\u003e", ord("<"): "\\u003c", ord("&"): "\\u0026"}


def mark_in(body: str | None) -> tuple[str, dict[str, Any]] | None:
    """The mark at the very end of a text, and what it tells. Whose text it is, the caller checks: anybody can write
    one."""
    found = _MARKER.search(body or "")
    if found is None:
        return None
    try:
        told = json.loads(found.group(2) or "{}")
    except ValueError:
        told = {}
    return found.group(1), told if isinstance(told, dict) else {}


def unmarked(body: str) -> str:
    """A posted text without its marker."""
    return _MARKER.sub("", body).rstrip()


# -- small parts ------------------------------------------------------------------------------------------------


def _visible(text: str, cut: Counter[str]) -> str:
    """Only characters that show, and line breaks; composed, so that one letter is one character."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    seen = "".join(
        each for each in text if each == "\n" or each == "\t" or unicodedata.category(each)[0] != "C"
    )  # fmt: skip
    seen = _UNSEEN.sub("", seen)
    # Line and paragraph separators are line breaks to some readers and not to others.
    seen = seen.replace("\u2028", "\n").replace("\u2029", "\n")
    cut["unseen"] += len(text) - len(seen)
    return seen


def _without_secrets(text: str, cut: Counter[str]) -> str:
    done = redact(text)
    if done != text:
        cut["secrets"] += 1
    return done


def _keep(found: re.Match[str], url: str, links: Sequence[str], kept: list[str]) -> str:
    if (urlsplit(url).hostname or "") not in links:
        return found.group(0)
    whole = found.group(0)
    kept.append(whole)
    return f"\x00{len(kept) - 1}\x00"


def _plain_fence(found: re.Match[str]) -> str:
    """Only names of languages that are shown as text: others are drawn by GitHub, and may hold addresses."""
    word = found.group(3)
    return found.group(0) if word.lower() in _HARMLESS_FENCES else f"{found.group(1)}{found.group(2)}text"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
