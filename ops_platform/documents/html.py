"""A picture of the Slack message as one standalone page: for the README, previews and the eye.

Belongs here: what Slack's client makes of our blocks, in HTML. Does not belong here: another layout of the document;
this draws `documents.slack.render`, so what is seen here is what was sent.

No script, no link, no external resource; a strict policy in the page; every text escaped. It fits a telephone.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from ops_platform.documents.slack import render as render_slack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ops_platform.documents.model import Document
    from ops_platform.documents.slack import SlackMessage

_BOLD = re.compile(r"(?<![^\s(])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![^\s,.;:)—-])")
_ITALIC = re.compile(r"(?<![^\s(])_(?=\S)([^_\n]+?)(?<=\S)_(?![^\s,.;:)—-])")
_CODE = re.compile(r"```\n(.*?)\n```", re.DOTALL)

_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1d1c1d; --soft: #616061; --page: #fff; --rule: #dddddd; --edge: #e8e8e8; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #d1d2d3; --soft: #ababad; --page: #1a1d21; --rule: #35373b; --edge: #35373b; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.46 Lato, "Helvetica Neue", "Segoe UI", Arial, "Noto Sans", "Noto Color Emoji", sans-serif; }}
main {{ max-width: 640px; margin: 0 auto; padding: 16px; }}
article {{ display: grid; grid-template-columns: 36px minmax(0, 1fr); gap: 0 8px; margin-bottom: 16px; }}
.face {{ width: 36px; height: 36px; border-radius: 4px; background: #1264a3; color: #fff;
  display: grid; place-items: center; font-weight: 700; }}
.who {{ font-weight: 900; }}
.who small {{ font-weight: 400; color: var(--soft); font-size: 12px; margin-left: 4px; }}
.who i {{ font-style: normal; font-size: 10px; font-weight: 700; background: var(--edge); color: var(--soft);
  border-radius: 2px; padding: 1px 3px; margin-left: 4px; vertical-align: 1px; }}
h1 {{ font-size: 18px; line-height: 1.33; margin: 8px 0 4px; overflow-wrap: anywhere; }}
p {{ margin: 4px 0 8px; overflow-wrap: anywhere; }}
pre {{ overflow-x: auto; background: var(--edge); border-radius: 4px; padding: 8px; margin: 4px 0 8px;
  font-size: 12px; }}
hr {{ border: 0; border-top: 1px solid var(--rule); margin: 10px 0; }}
.context {{ color: var(--soft); font-size: 13px; line-height: 1.38; margin: 4px 0 8px; overflow-wrap: anywhere; }}
.context span {{ display: block; }}
.actions {{ display: flex; flex-wrap: wrap; gap: 8px; margin: 4px 0 8px; }}
.button {{ border: 1px solid var(--rule); border-radius: 4px; padding: 0 12px; font-weight: 700; font-size: 13px;
  line-height: 28px; }}
.button.primary {{ background: #007a5a; border-color: #007a5a; color: #fff; }}
.button.danger {{ border-color: #e01e5a; color: #e01e5a; }}
.button.date::before {{ content: "🗓 "; }}
.button.date::after {{ content: " ⌄"; color: var(--soft); }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def render(document: Document, *, sender: str = "Operations", at: str = "") -> str:
    """The document as a page that shows what Slack shows. `at` is the time printed beside the sender."""
    return page(render_slack(document), sender=sender, at=at, language=document.language)


def page(messages: Iterable[SlackMessage], *, sender: str = "Operations", at: str = "", language: str = "en") -> str:
    """Slack messages (a message and its thread) as a page."""
    articles = []
    title = ""
    for message in messages:
        title = title or _first_line(message.text)
        blocks = "\n".join(_block(block) for block in message.blocks)
        who = f'<div class="who">{html.escape(sender)}<i>APP</i><small>{html.escape(at)}</small></div>'
        face = f'<div class="face" aria-hidden="true">{html.escape(sender[:1])}</div>'
        articles.append(f"<article>{face}<div>{who}\n{blocks}</div></article>")
    return _PAGE.format(language=html.escape(language), title=title, body="\n".join(articles))


def _first_line(text: str) -> str:
    return _shown(text.split("\n", 1)[0])


def _block(block: dict[str, Any]) -> str:
    kind = block["type"]
    if kind == "header":
        return f"<h1>{_shown(block['text']['text'])}</h1>"
    if kind == "section":
        return _section(block["text"])
    if kind == "divider":
        return "<hr>"
    if kind == "actions":
        return f'<div class="actions">{"".join(_element(element) for element in block["elements"])}</div>'
    if kind == "context":
        parts = "".join(f"<span>{_text(element)}</span>" for element in block["elements"])
        return f'<div class="context">{parts}</div>'
    raise ValueError(f"no picture of a Slack block of type {kind!r}")


def _element(element: dict[str, Any]) -> str:
    """A button or a date to pick, as it looks; nothing here can be pressed."""
    words = _shown((element.get("text") or element["placeholder"])["text"])
    kind = "date" if element["type"] == "datepicker" else element.get("style", "plain")
    return f'<span class="button {html.escape(kind)}">{words}</span>'


def _section(text: dict[str, Any]) -> str:
    code = _CODE.fullmatch(text["text"]) if text["type"] == "mrkdwn" else None
    if code:
        return f"<pre>{_shown(code.group(1))}</pre>"
    return f"<p>{_text(text)}</p>"


def _text(text: dict[str, Any]) -> str:
    words = _shown(text["text"])
    if text["type"] == "mrkdwn":
        words = _BOLD.sub(r"<b>\1</b>", words)
        words = _ITALIC.sub(r"<em>\1</em>", words)
        words = words.replace("\n", "<br>")
    # Vendor text may run the other way: each line finds its own direction.
    return f"<bdi>{words}</bdi>"


def _shown(text: str) -> str:
    """Slack's escaped text as HTML text: unescaped as Slack's client does, then escaped for HTML."""
    plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return html.escape(plain, quote=True)
