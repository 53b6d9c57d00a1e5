"""What writing needs of a language model: one bounded call, in typed words.

Belongs here: the seam (`LanguageModel`) and its values: a call without tools, a turn of a conversation with some. Does
not belong here: any vendor's protocol (`resources/claude.py`), prompts, budgets, what the text may say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ops_platform.writing.budget import Usage


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call without tools. `system` is the same for every call of a document kind, so that the vendor may keep it
    (`keep`: ask for that, at a price); `schema` is the JSON schema the answer must fit."""

    model: str
    system: str
    user: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int = 1000
    keep: bool = True


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """What came back. `finished` is false where the model was stopped; `stopped` then says by what, in our own
    words. `usage` is None where the vendor's count is missing or impossible."""

    text: str
    finished: bool
    stopped: str
    usage: Usage | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """Something a model may ask for by name. `schema` is the JSON schema of its arguments, an object without loose
    ends."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asked for. `arguments` are whatever it wrote: checked by whoever runs the tool."""

    id: str
    name: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a call, as text. `failed` says that the call was refused or broke."""

    call: str
    content: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model: its `content` as the vendor must be shown it again, what it asked for, whether it is done.
    `calls` is empty where it asked for nothing; `usage` is None where the vendor's count is missing."""

    content: tuple[Mapping[str, Any], ...]
    calls: tuple[ToolCall, ...]
    finished: bool
    stopped: str
    usage: Usage | None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A call with tools. `turns` are the exchanges so far: each turn of the model with the results of all its calls."""

    model: str
    system: str
    user: str
    tools: tuple[Tool, ...]
    turns: tuple[tuple[Turn, tuple[ToolResult, ...]], ...] = ()
    max_tokens: int = 1000
    last: bool = False
    """Whether it may ask for nothing more."""


class LanguageModel(Protocol):
    """A vendor's model. No method retries: there is one retry layer, and it is not here."""

    def complete(self, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        """One call, at most `timeout` seconds as a whole.

        Raises `AmbiguousFailure` (no answer came: it may have been served and billed), another
        `TransientFailure` (not served, may be later; `retry_after` in seconds), `PermanentFailure` (refused).
        Failures carry our words only, nothing of what the other side wrote."""
        ...

    def count_tokens(self, request: ModelRequest, *, timeout: float) -> int:
        """How many tokens the request's input has, as the vendor counts. Raises as `complete` does."""
        ...

    def converse(self, request: Conversation, *, timeout: float) -> Turn:
        """The model's next turn of a conversation with tools. Raises as `complete` does."""
        ...

    def count_conversation(self, request: Conversation, *, timeout: float) -> int:
        """How many tokens the conversation's input has, as the vendor counts. Raises as `complete` does."""
        ...
