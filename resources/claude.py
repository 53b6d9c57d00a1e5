"""Claude over the Anthropic Messages API, as the writing rooms see a language model.

Belongs here: the client and its limits, the request's form, and what each answer or error of the API means.
Does not belong here: prompts, budgets, retries (`ops_platform.writing.claude` has the one retry layer).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ops_platform.deadlines import DeadlineExceededError, within
from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.writing.budget import Usage
from ops_platform.writing.model import ModelAnswer, ToolCall, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from anthropic import Anthropic

    from ops_platform.settings import Settings
    from ops_platform.writing.model import Conversation, ModelRequest

ANTHROPIC_URL = "https://api.anthropic.com"
CONNECT_SECONDS = 5.0
# Served or not, we do not know: the answer was lost on the way, or a gateway gave up waiting for it.
_UNCLEAR_STATUS = frozenset({408, 499, 504})
_TRANSIENT_STATUS = frozenset({409, 425, 429})
_CODE = re.compile(r"[a-z][a-z_]{0,60}")
_TOOL_USE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_BATCH_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FINISHED = frozenset({"end_turn", "stop_sequence"})
_STOPPED = {
    "max_tokens": "cut off at its length limit",
    "refusal": "the model declined",
    "model_context_window_exceeded": "the request was too long",
    "tool_use": "it asked for a tool",
    "pause_turn": "it paused",
}


class AnthropicModel:
    """`LanguageModel` over the Messages API. Makes one attempt per call."""

    def __init__(self, client: Anthropic) -> None:
        self._client = client

    @classmethod
    def from_settings(cls, settings: Settings) -> AnthropicModel:
        """The model of `ANTHROPIC_API_KEY`. Raises `ConfigurationError` when it is not set."""
        return cls(anthropic_client(settings))

    def complete(self, request: ModelRequest, *, timeout: float) -> ModelAnswer:
        """See `LanguageModel.complete`."""
        message = _call(
            "Claude",
            timeout,
            lambda: self._client.messages.create(
                **_parts(request), max_tokens=request.max_tokens, timeout=_timeout(timeout)
            ),
        )
        return _answer(message)

    def count_tokens(self, request: ModelRequest, *, timeout: float) -> int:
        """See `LanguageModel.count_tokens`."""
        counted = _call(
            "Claude's token count",
            timeout,
            lambda: self._client.messages.count_tokens(**_parts(request), timeout=_timeout(timeout)),
        )
        return _counted(counted)

    def converse(self, request: Conversation, *, timeout: float) -> Turn:
        """See `LanguageModel.converse`."""
        message = _call(
            "Claude",
            timeout,
            lambda: self._client.messages.create(
                **_conversation(request), max_tokens=request.max_tokens, timeout=_timeout(timeout)
            ),
        )
        return _turn(message)

    def count_conversation(self, request: Conversation, *, timeout: float) -> int:
        """See `LanguageModel.count_conversation`."""
        return _counted(
            _call(
                "Claude's token count",
                timeout,
                lambda: self._client.messages.count_tokens(**_conversation(request), timeout=_timeout(timeout)),
            )
        )

    # Batches (`BatchModel`) -----------------------------------------------------------------------------------

    def submit(self, request: ModelRequest, name: str, *, timeout: float) -> str:
        """See `BatchModel.submit`."""
        call = {"custom_id": name, "params": {**_parts(request), "max_tokens": request.max_tokens}}
        made = _call(
            "Claude's batch",
            timeout,
            lambda: self._client.messages.batches.create(requests=[call], timeout=_timeout(timeout)),  # type: ignore[list-item]
        )
        batch_id = getattr(made, "id", None)
        if not isinstance(batch_id, str) or not _BATCH_ID.fullmatch(batch_id):
            raise AmbiguousFailure("Claude's batch has no id")
        return batch_id

    def collect(self, batch_id: str, name: str, *, timeout: float) -> ModelAnswer | None:
        """See `BatchModel.collect`. Results come in any order; ours is found by its name."""
        if not self._ended(batch_id, timeout):
            return None
        results = _call(
            "Claude's batch results",
            timeout,
            lambda: list(self._client.messages.batches.results(batch_id, timeout=_timeout(timeout))),
        )
        mine = next((line.result for line in results if getattr(line, "custom_id", None) == name), None)
        kind = getattr(mine, "type", None)
        if kind == "succeeded":
            return _answer(getattr(mine, "message", None))
        ended = str(kind) if kind in ("errored", "canceled", "expired") else "without our call"
        raise PermanentFailure(f"Claude's batch ended: {ended}")

    def cancel(self, batch_id: str, *, timeout: float) -> None:
        """See `BatchModel.cancel`."""
        _call(
            "Claude's batch",
            timeout,
            lambda: self._client.messages.batches.cancel(batch_id, timeout=_timeout(timeout)),
        )

    def _ended(self, batch_id: str, timeout: float) -> bool:
        found = _call(
            "Claude's batch",
            timeout,
            lambda: self._client.messages.batches.retrieve(batch_id, timeout=_timeout(timeout)),
        )
        return getattr(found, "processing_status", None) == "ended"


def anthropic_client(settings: Settings) -> Anthropic:
    """The SDK's client with every default that matters said out loud: one attempt, a short time, no redirect,
    no tracing; a proxy of the environment only towards the outside world."""
    if settings.anthropic_api_key is None:
        raise ConfigurationError("Claude is not connected: set ANTHROPIC_API_KEY.")
    import anthropic
    import httpx2

    url = settings.anthropic_base_url or ANTHROPIC_URL
    if urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
        # A TLS context takes tens of milliseconds to build.
        secure = url.startswith("https://")
        http: httpx2.Client = httpx2.Client(trust_env=False, follow_redirects=False, verify=secure)
    else:
        http = anthropic.DefaultHttpxClient(follow_redirects=False)
    return anthropic.Anthropic(
        api_key=settings.anthropic_api_key.get_secret_value(),
        base_url=url,
        max_retries=0,
        timeout=_timeout(30.0),
        open_telemetry=False,
        http_client=http,
    )


def _timeout(seconds: float) -> Any:
    import httpx2

    return httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))


def _parts(request: ModelRequest) -> dict[str, Any]:
    """What a call and its count have in common. The system prompt is the cached prefix: it is the same for every
    document of a kind, and the evidence after it never is."""
    kept = {"cache_control": {"type": "ephemeral"}} if request.keep else {}
    return {
        "model": request.model,
        "system": [{"type": "text", "text": request.system, **kept}],
        "messages": [{"role": "user", "content": request.user}],
        "output_config": {"format": {"type": "json_schema", "schema": dict(request.schema)}},
    }


def _conversation(request: Conversation) -> dict[str, Any]:
    """A call with tools and its count. One call a turn: what a later one asks may follow from what an earlier found.

    Every call of a turn has its result in the next message, and nothing stands before the results."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": request.user}]
    for turn, results in request.turns:
        messages.append({"role": "assistant", "content": [dict(block) for block in turn.content]})
        messages.append(
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": each.call, "content": each.content, "is_error": each.failed}
                    for each in results
                ],
            }
        )
    return {
        "model": request.model,
        "system": [{"type": "text", "text": request.system}],
        "messages": messages,
        "tools": [
            {"name": each.name, "description": each.description, "input_schema": dict(each.schema), "strict": True}
            for each in request.tools
        ],
        "tool_choice": {"type": "none"} if request.last else {"type": "auto"},
    }


def _counted(counted: Any) -> int:
    tokens = getattr(counted, "input_tokens", None)
    if not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 < tokens < 10_000_000:
        raise TransientFailure("Claude's token count is not a number")
    return tokens


def _call(what: str, seconds: float, call: Callable[[], Any]) -> Any:
    """`call()`, with the SDK's failures as the house types them and in the house's words."""
    import anthropic
    import httpx2

    try:
        return within(seconds, call, name=what)
    except DeadlineExceededError as error:
        raise AmbiguousFailure(str(error)) from None
    except anthropic.APITimeoutError:
        raise AmbiguousFailure(f"{what} did not answer within {seconds:.0f} s") from None
    except anthropic.APIConnectionError as error:
        cause = error.__cause__
        if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout):
            raise TransientFailure(f"{what} cannot be reached") from None
        raise AmbiguousFailure(f"the connection to {what} broke") from None
    except anthropic.APIStatusError as error:
        raise _status_failure(what, error) from None
    except anthropic.AnthropicError as error:
        raise AmbiguousFailure(f"{what} gave no usable answer ({type(error).__name__})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, httpx2.HTTPError) as error:
        # The SDK trips over bodies that are not the API's: a proxy's page, half an object.
        raise AmbiguousFailure(f"{what} gave no usable answer ({type(error).__name__})") from None


def _status_failure(what: str, error: Any) -> Exception:
    status = int(error.status_code)
    kind = error.error_code or error.type
    named = f" {kind}" if isinstance(kind, str) and _CODE.fullmatch(kind) else ""
    text = f"{what} answered HTTP {status}{named}"
    asked = error.response.headers.get("x-should-retry")
    if status in _UNCLEAR_STATUS:
        return AmbiguousFailure(text)
    if (status in _TRANSIENT_STATUS or status >= 500) and asked != "false":
        return TransientFailure(text, retry_after=_retry_after(error.response.headers))
    return PermanentFailure(text)


def _retry_after(headers: Any) -> float | None:
    for name, factor in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) * factor, 0.0)
        except (KeyError, ValueError):
            continue
    return None


def _answer(message: Any) -> ModelAnswer:
    """Read an answer without believing it: the SDK does not validate what it parsed."""
    content = getattr(message, "content", None)
    if not isinstance(content, list):
        raise AmbiguousFailure("Claude gave no usable answer (no content)")
    texts = [block.text for block in content if getattr(block, "type", None) == "text"]
    reason = getattr(message, "stop_reason", None)
    others = {getattr(block, "type", None) for block in content} - {"text", "thinking", "redacted_thinking"}
    finished = reason in _FINISHED and not others and all(isinstance(text, str) for text in texts)
    stopped = "" if finished else _STOPPED.get(str(reason), "for no reason we know")
    request_id = getattr(message, "_request_id", None)
    return ModelAnswer(
        text="".join(text for text in texts if isinstance(text, str)),
        finished=finished,
        stopped=stopped,
        usage=_usage(getattr(message, "usage", None)),
        request_id=request_id[:100] if isinstance(request_id, str) else None,
    )


def _turn(message: Any) -> Turn:
    """Read a turn without believing it: texts and calls are kept as they came, anything else ends the conversation."""
    content = getattr(message, "content", None)
    if not isinstance(content, list):
        raise AmbiguousFailure("Claude gave no usable answer (no content)")
    reason = getattr(message, "stop_reason", None)
    blocks: list[dict[str, Any]] = []
    calls: list[ToolCall] = []
    strange = False
    for block in content:
        kind = getattr(block, "type", None)
        if kind == "text" and isinstance(block.text, str):
            if block.text.strip():
                blocks.append({"type": "text", "text": block.text})
        elif kind == "tool_use" and _TOOL_USE.fullmatch(str(block.id)) and isinstance(block.name, str):
            calls.append(ToolCall(block.id, block.name[:100], block.input))
            blocks.append({"type": "tool_use", "id": block.id, "name": block.name[:100], "input": block.input})
        else:
            strange = True
    asks = reason == "tool_use" and bool(calls)
    finished = not strange and (asks or (reason in _FINISHED and not calls))
    request_id = getattr(message, "_request_id", None)
    return Turn(
        content=tuple(blocks),
        calls=tuple(calls) if asks and not strange else (),
        finished=finished,
        stopped="" if finished else _STOPPED.get(str(reason), "for no reason we know"),
        usage=_usage(getattr(message, "usage", None)),
        request_id=request_id[:100] if isinstance(request_id, str) else None,
    )


def _usage(usage: Any) -> Usage | None:
    """The vendor's count, or None where it is not four sensible numbers."""
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    values: list[Any] = [getattr(usage, name, None) for name in names]
    values[2:] = [0 if value is None else value for value in values[2:]]
    if not all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 10_000_000 for v in values):
        return None
    # Half the price: only where the vendor says so itself.
    return Usage(values[0], values[1], values[2], values[3], batch=getattr(usage, "service_tier", None) == "batch")
