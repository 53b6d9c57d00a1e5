"""Block Kit's rules for a message: which blocks exist and how long their parts may be.

Belongs here: validation of `blocks` as chat.postMessage does it. Does not belong here: anything else of a
message. Errors read as Slack's own: "[ERROR] … [json-pointer:/blocks/0/text/text]".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MAX_BLOCKS = 50
HEADER_TEXT = 150
SECTION_TEXT = 3000
FIELD_TEXT = 2000
MAX_FIELDS = 10
MAX_CONTEXT = 10
MAX_ACTIONS = 25
MARKDOWN_TEXT = 12_000
TABLE_ROWS = 100
TABLE_COLUMNS = 20
TABLE_TEXT = 10_000

_ELEMENTS = frozenset(
    {
        "button",
        "channels_select",
        "checkboxes",
        "conversations_select",
        "datepicker",
        "datetimepicker",
        "external_select",
        "icon_button",
        "image",
        "multi_channels_select",
        "multi_conversations_select",
        "multi_external_select",
        "multi_static_select",
        "multi_users_select",
        "overflow",
        "radio_buttons",
        "static_select",
        "timepicker",
        "users_select",
        "workflow_button",
        "feedback_buttons",
    }
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_RICH = frozenset({"rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote"})
# Blocks that are known but not looked into.
_OPAQUE = frozenset({"alert", "card", "carousel", "container", "data_table", "file", "plan", "task_card", "video"})


class _Checker:
    def __init__(self) -> None:
        self.errors: list[str] = []
        self.markdown = 0
        self.tables = 0

    def fail(self, pointer: str, message: str) -> None:
        self.errors.append(f"[ERROR] {message} [json-pointer:{pointer}]")

    def keys(self, value: dict[str, Any], pointer: str, allowed: str, required: str = "") -> None:
        known = set(allowed.split()) | set(required.split()) | {"type"}
        for key in value:
            if key not in known:
                self.fail(pointer, f"invalid additional property: {key}")
        for key in required.split():
            if key not in value:
                self.fail(pointer, f"missing required field: {key}")

    def string(self, value: Any, pointer: str, longest: int, *, empty: bool = False) -> None:
        if not isinstance(value, str):
            self.fail(pointer, "must provide a string")
        elif len(value) > longest:
            self.fail(pointer, f"must be less than {longest + 1} characters")
        elif not value and not empty:
            self.fail(pointer, "must be more than 0 characters")

    def text(self, value: Any, pointer: str, longest: int, kinds: tuple[str, ...]) -> None:
        if not isinstance(value, dict):
            self.fail(pointer, "must provide an object")
            return
        kind = value.get("type")
        if kind not in kinds:
            self.fail(f"{pointer}/type", f"unsupported type: {kind}" if kind else "missing required field: type")
            return
        allowed = "text emoji" if kind == "plain_text" else "text verbatim"
        self.keys(value, pointer, allowed, "text")
        if "text" in value:
            self.string(value["text"], f"{pointer}/text", longest)

    def items(self, value: Any, pointer: str, most: int) -> list[Any]:
        if not isinstance(value, list):
            self.fail(pointer, "must provide an array")
            return []
        if not value:
            self.fail(pointer, "no fewer than 1 items allowed")
        elif len(value) > most:
            self.fail(pointer, f"no more than {most} items allowed [{len(value)} provided]")
        return value

    # Blocks -----------------------------------------------------------------------------------------------

    def section(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id text fields accessory expand")
        if "text" not in block and "fields" not in block:
            self.fail(pointer, "missing required field: text")
        if "text" in block:
            self.text(block["text"], f"{pointer}/text", SECTION_TEXT, ("plain_text", "mrkdwn"))
        if "fields" in block:
            for index, item in enumerate(self.items(block["fields"], f"{pointer}/fields", MAX_FIELDS)):
                self.text(item, f"{pointer}/fields/{index}", FIELD_TEXT, ("plain_text", "mrkdwn"))
        if "accessory" in block:
            self.element(block["accessory"], f"{pointer}/accessory")

    def header(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id level", "text")
        if "text" in block:
            self.text(block["text"], f"{pointer}/text", HEADER_TEXT, ("plain_text",))

    def divider(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id")

    def context(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id", "elements")
        for index, item in enumerate(self.items(block.get("elements", []), f"{pointer}/elements", MAX_CONTEXT)):
            at = f"{pointer}/elements/{index}"
            if isinstance(item, dict) and item.get("type") == "image":
                self.element(item, at)
            else:
                self.text(item, at, SECTION_TEXT, ("plain_text", "mrkdwn"))

    def actions(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id", "elements")
        seen: set[str] = set()
        for index, item in enumerate(self.items(block.get("elements", []), f"{pointer}/elements", MAX_ACTIONS)):
            self.element(item, f"{pointer}/elements/{index}")
            name = item.get("action_id") if isinstance(item, dict) else None
            if isinstance(name, str):
                if name in seen:
                    at = f"{pointer}/elements/{index}/action_id"
                    self.fail(at, f"`action_id` `{name}` already exists for another element")
                seen.add(name)

    def context_actions(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id", "elements")
        for index, item in enumerate(self.items(block.get("elements", []), f"{pointer}/elements", 5)):
            self.element(item, f"{pointer}/elements/{index}")

    def input(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id hint optional dispatch_action", "label element")
        for name in ("label", "hint"):
            if name in block:
                self.text(block[name], f"{pointer}/{name}", 2000, ("plain_text",))
        element = block.get("element")
        if not isinstance(element, dict) or element.get("type") != "plain_text_input":
            if "element" in block and (not isinstance(element, dict) or element.get("type") not in _ELEMENTS):
                self.fail(f"{pointer}/element", "unsupported type")
            return
        at = f"{pointer}/element"
        self.keys(
            element, at,
            "action_id initial_value multiline min_length max_length dispatch_action_config focus_on_load placeholder",
        )  # fmt: skip
        if not 1 <= element.get("max_length", 3000) <= 3000:
            self.fail(f"{at}/max_length", "must be less than 3001")

    def image(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id image_url slack_file title", "alt_text")
        self.image_source(block, pointer)
        if "title" in block:
            self.text(block["title"], f"{pointer}/title", 2000, ("plain_text",))

    def markdown_block(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id", "text")
        if "text" in block:
            self.string(block["text"], f"{pointer}/text", MARKDOWN_TEXT)
            self.markdown += len(block["text"]) if isinstance(block["text"], str) else 0

    def rich_text(self, block: dict[str, Any], pointer: str) -> None:
        self.keys(block, pointer, "block_id", "elements")
        for index, item in enumerate(self.items(block.get("elements", []), f"{pointer}/elements", 1000)):
            kind = item.get("type") if isinstance(item, dict) else None
            if kind not in _RICH:
                self.fail(f"{pointer}/elements/{index}/type", f"unsupported type: {kind}")

    def table(self, block: dict[str, Any], pointer: str) -> None:
        self.tables += 1
        self.keys(block, pointer, "block_id column_settings", "rows")
        size = 0
        for index, row in enumerate(self.items(block.get("rows", []), f"{pointer}/rows", TABLE_ROWS)):
            for place, cell in enumerate(self.items(row, f"{pointer}/rows/{index}", TABLE_COLUMNS)):
                kind = cell.get("type") if isinstance(cell, dict) else None
                if kind not in ("raw_text", "raw_number", "rich_text"):
                    self.fail(f"{pointer}/rows/{index}/{place}/type", f"unsupported type: {kind}")
                elif kind != "rich_text":
                    size += len(str(cell.get("text", "")))
        if size > TABLE_TEXT:
            self.fail(f"{pointer}/rows", f"must be less than {TABLE_TEXT + 1} characters")

    # Elements ---------------------------------------------------------------------------------------------

    def element(self, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            self.fail(pointer, "must provide an object")
            return
        kind = value.get("type")
        if kind not in _ELEMENTS:
            self.fail(f"{pointer}/type", f"unsupported type: {kind}" if kind else "missing required field: type")
            return
        if "action_id" in value:
            self.string(value["action_id"], f"{pointer}/action_id", 255)
        if kind == "image":
            self.keys(value, pointer, "image_url slack_file", "alt_text")
            self.image_source(value, pointer)
        elif kind == "button":
            allowed = "action_id url value style confirm accessibility_label"
            self.keys(value, pointer, allowed, "text")
            if "text" in value:
                self.text(value["text"], f"{pointer}/text", 75, ("plain_text",))
            if "value" in value:
                self.string(value["value"], f"{pointer}/value", 2000)
            if "url" in value:
                self.string(value["url"], f"{pointer}/url", 3000)
            if value.get("style", "primary") not in ("primary", "danger"):
                self.fail(f"{pointer}/style", "must be one of: primary, danger")
            if "confirm" in value:
                self.confirm(value["confirm"], f"{pointer}/confirm")
        elif kind == "datepicker":
            self.keys(value, pointer, "action_id initial_date confirm placeholder focus_on_load")
            if "placeholder" in value:
                self.text(value["placeholder"], f"{pointer}/placeholder", 150, ("plain_text",))
            if "initial_date" in value and not _DAY.fullmatch(str(value["initial_date"])):
                self.fail(f"{pointer}/initial_date", "must be in the format YYYY-MM-DD")
            if "confirm" in value:
                self.confirm(value["confirm"], f"{pointer}/confirm")
        elif kind in ("static_select", "multi_static_select", "overflow", "checkboxes", "radio_buttons"):
            most = {"overflow": 5, "checkboxes": 10, "radio_buttons": 10}.get(str(kind), 100)
            if "options" in value or "option_groups" not in value:
                self.items(value.get("options", []), f"{pointer}/options", most)

    def confirm(self, value: Any, pointer: str) -> None:
        if not isinstance(value, dict):
            self.fail(pointer, "must provide an object")
            return
        self.keys(value, pointer, "style", "title text confirm deny")
        for key, longest, kinds in (
            ("title", 100, ("plain_text",)),
            ("text", 300, ("plain_text", "mrkdwn")),
            ("confirm", 30, ("plain_text",)),
            ("deny", 30, ("plain_text",)),
        ):
            if key in value:
                self.text(value[key], f"{pointer}/{key}", longest, kinds)

    def image_source(self, value: dict[str, Any], pointer: str) -> None:
        if ("image_url" in value) == ("slack_file" in value):
            self.fail(pointer, "must define either image_url or slack_file")
        elif "image_url" in value:
            self.string(value["image_url"], f"{pointer}/image_url", 3000)
        if "alt_text" in value:
            self.string(value["alt_text"], f"{pointer}/alt_text", 2000)


def check_blocks(blocks: Any) -> list[str]:
    """What is wrong with `blocks`, as Slack words it; an empty list where nothing is."""
    checker = _Checker()
    if not isinstance(blocks, list):
        return ["[ERROR] must provide an array [json-pointer:/blocks]"]
    if len(blocks) > MAX_BLOCKS:
        checker.fail("/blocks", f"no more than {MAX_BLOCKS} items allowed [{len(blocks)} provided]")
        return checker.errors
    kinds: dict[str, Callable[[dict[str, Any], str], None]] = {
        "section": checker.section,
        "header": checker.header,
        "divider": checker.divider,
        "context": checker.context,
        "actions": checker.actions,
        "context_actions": checker.context_actions,
        "image": checker.image,
        "input": checker.input,
        "markdown": checker.markdown_block,
        "rich_text": checker.rich_text,
        "table": checker.table,
    }
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        pointer = f"/blocks/{index}"
        if not isinstance(block, dict):
            checker.fail(pointer, "must provide an object")
            continue
        kind = block.get("type")
        if kind is None:
            checker.fail(pointer, "missing required field: type")
            continue
        if kind not in kinds and kind not in _OPAQUE:
            checker.fail(f"{pointer}/type", f"unsupported type: {kind}")
            continue
        block_id = block.get("block_id")
        if block_id is not None:
            checker.string(block_id, f"{pointer}/block_id", 255)
            if block_id in seen:
                checker.fail(f"{pointer}/block_id", f"`block_id` must be unique: {block_id}")
            seen.add(block_id)
        if kind in kinds:
            kinds[kind](block, pointer)
    if checker.markdown > MARKDOWN_TEXT:
        checker.fail("/blocks", f"markdown blocks must be less than {MARKDOWN_TEXT + 1} characters in total")
    if checker.tables > 1:
        checker.fail("/blocks", "only_one_table_allowed")
    return checker.errors
