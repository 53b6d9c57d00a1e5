"""What a Messages request may contain, and the error for one that does not.

Belongs here: validation of a request body. Does not belong here: authentication, answering.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.anthropic_api.tools import problem_of_tools

PARAMETERS = frozenset(
    "max_tokens messages model cache_control container diagnostics inference_geo metadata output_config "
    "service_tier speed stop_sequences system thinking tool_choice tools user_profile_id workspace_id stream".split()
)
COUNT_PARAMETERS = frozenset(
    "messages model cache_control output_config speed system thinking tool_choice tools user_profile_id "
    "workspace_id".split()
)
MODELS = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-haiku-4-5",
)
MAX_OUTPUT_TOKENS = 128_000
EFFORTS = ("low", "medium", "high", "xhigh", "max")
_BLOCKS = frozenset(
    "text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use "
    "web_search_tool_result web_fetch_tool_result code_execution_tool_result container_upload".split()
)
# Keywords that a structured-output schema may not use.
_UNSUPPORTED = ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "pattern", "maxItems")


class BadRequest(Exception):
    """An `invalid_request_error` (or another `type`) with its HTTP status."""

    def __init__(self, message: str, *, status: int = 400, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind


def check_request(body: Any, *, counting: bool = False) -> dict[str, Any]:
    """The request body, sound. Raises `BadRequest`."""
    if not isinstance(body, dict):
        raise BadRequest("The request body is not valid JSON: expected an object.")
    allowed = COUNT_PARAMETERS if counting else PARAMETERS
    required = ("model", "messages") if counting else ("model", "max_tokens", "messages")
    for key in required:
        if key not in body:
            raise BadRequest(f"{key}: Field required")
    for key in body:
        if key not in allowed:
            raise BadRequest(f"{key}: Extra inputs are not permitted")
    model = body["model"]
    if not isinstance(model, str) or not model:
        raise BadRequest("model: Input should be a valid string")
    if not model.startswith("claude-"):
        raise BadRequest(f"model: {model}", status=404, kind="not_found_error")
    if not counting:
        _max_tokens(body["max_tokens"])
    _messages(body["messages"])
    checks: dict[str, Callable[[Any], None]] = {
        "system": _system,
        "output_config": _output_config,
        "thinking": _thinking,
        "tools": _tools,
        "stop_sequences": _stop_sequences,
        "metadata": lambda value: _object("metadata", value, ("user_id",)),
        "cache_control": lambda value: _cache_control("cache_control", value),
    }
    for key, check in checks.items():
        if body.get(key) is not None:
            check(body[key])
    for key, choices in (("service_tier", ("auto", "standard_only")), ("speed", ("standard", "fast"))):
        if body.get(key) is not None and body[key] not in choices:
            raise BadRequest(f"{key}: Input should be {' or '.join(map(repr, choices))}")
    problem = problem_of_tools(body)
    if problem is not None:
        raise BadRequest(problem)
    if "stream" in body and not isinstance(body["stream"], bool):
        raise BadRequest("stream: Input should be a valid boolean")
    return body


def _max_tokens(value: Any) -> None:
    # Zero is legal: it warms the cache and writes nothing.
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest("max_tokens: Input should be a valid integer")
    if value < 0:
        raise BadRequest("max_tokens: Input should be greater than or equal to 0")
    if value > MAX_OUTPUT_TOKENS:
        raise BadRequest(
            f"max_tokens: {value} > {MAX_OUTPUT_TOKENS}, which is the maximum allowed number of output tokens"
        )


def _messages(value: Any) -> None:
    if not isinstance(value, list):
        raise BadRequest("messages: Input should be a valid list")
    if not value:
        raise BadRequest("messages: at least one message is required")
    for index, message in enumerate(value):
        at = f"messages.{index}"
        if not isinstance(message, dict):
            raise BadRequest(f"{at}: Input should be an object")
        if message.get("role") not in ("user", "assistant", "system"):
            raise BadRequest(f"{at}.role: Input should be 'user', 'assistant' or 'system'")
        for key in message:
            if key not in ("role", "content"):
                raise BadRequest(f"{at}.{key}: Extra inputs are not permitted")
        if "content" not in message:
            raise BadRequest(f"{at}.content: Field required")
        _content(f"{at}.content", message["content"])
    if value[-1]["role"] == "assistant":
        raise BadRequest(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def _content(at: str, value: Any) -> None:
    if isinstance(value, str):
        if not value:
            raise BadRequest(f"{at}: text content must be non-empty")
        return
    if not isinstance(value, list):
        raise BadRequest(f"{at}: Input should be a valid string or list")
    for index, block in enumerate(value):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS:
            raise BadRequest(
                f"{at}.{index}: Input tag {kind!r} found using 'type' does not match any of the expected tags"
            )
        if kind == "text":
            text = block.get("text")
            if not isinstance(text, str):
                raise BadRequest(f"{at}.{index}.text.text: Field required")
            if not text.strip():
                raise BadRequest("messages: text content blocks must contain non-whitespace text")
        if block.get("cache_control") is not None:
            _cache_control(f"{at}.{index}.cache_control", block["cache_control"])


def _system(value: Any) -> None:
    if isinstance(value, str):
        return
    if not isinstance(value, list):
        raise BadRequest("system: Input should be a valid string or list")
    for index, block in enumerate(value):
        if not isinstance(block, dict) or block.get("type") != "text" or not isinstance(block.get("text"), str):
            raise BadRequest(f"system.{index}: Input should be a text block")
        if block.get("cache_control") is not None:
            _cache_control(f"system.{index}.cache_control", block["cache_control"])


def _cache_control(at: str, value: Any) -> None:
    _object(at, value, ("type", "ttl"))
    if value.get("type") != "ephemeral":
        raise BadRequest(f"{at}.type: Input should be 'ephemeral'")
    if value.get("ttl", "5m") not in ("5m", "1h"):
        raise BadRequest(f"{at}.ttl: Input should be '5m' or '1h'")


def _output_config(value: Any) -> None:
    _object("output_config", value, ("effort", "format"))
    effort = value.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise BadRequest(f"output_config.effort: Input should be one of {', '.join(EFFORTS)}")
    form = value.get("format")
    if form is None:
        return
    _object("output_config.format", form, ("type", "schema"))
    if form.get("type") != "json_schema":
        raise BadRequest("output_config.format.type: Input should be 'json_schema'")
    if not isinstance(form.get("schema"), dict):
        raise BadRequest("output_config.format.schema: Field required")
    _schema("output_config.format.schema", form["schema"])


def _schema(at: str, schema: Any) -> None:
    """A structured-output schema: objects closed, no numeric or length constraints."""
    if isinstance(schema, list):
        for index, item in enumerate(schema):
            _schema(f"{at}.{index}", item)
        return
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        raise BadRequest(f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for key in _UNSUPPORTED:
        if key in schema and not isinstance(schema[key], dict):
            kind = schema.get("type", "any")
            raise BadRequest(f"{at}: For '{kind}' type, property '{key}' is not supported")
    for key in ("properties", "$defs", "definitions"):
        for name, item in (schema.get(key) or {}).items():
            _schema(f"{at}.{key}.{name}", item)
    for key in ("items", "anyOf", "allOf", "oneOf"):
        if key in schema:
            _schema(f"{at}.{key}", schema[key])


def _thinking(value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in ("adaptive", "enabled", "disabled", "between_tools"):
        raise BadRequest(f"thinking: Input tag {kind!r} does not match any of the expected tags")
    if kind == "enabled":
        budget = value.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise BadRequest("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")


def _tools(value: Any) -> None:
    if not isinstance(value, list):
        raise BadRequest("tools: Input should be a valid list")
    for index, tool in enumerate(value):
        if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
            raise BadRequest(f"tools.{index}.name: Field required")
        if tool.get("type") in (None, "custom") and not isinstance(tool.get("input_schema"), dict):
            raise BadRequest(f"tools.{index}.input_schema: Field required")
        if tool.get("strict"):
            _schema(f"tools.{index}.custom.input_schema", tool.get("input_schema"))


def _stop_sequences(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequest("stop_sequences: Input should be a valid list of strings")


def _object(at: str, value: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(value, Mapping):
        raise BadRequest(f"{at}: Input should be an object")
    for key in value:
        if key not in keys:
            raise BadRequest(f"{at}.{key}: Extra inputs are not permitted")


def texts(body: Mapping[str, Any]) -> list[str]:
    """Every piece of text the model would read, in order."""
    found: list[str] = []

    def take(content: Any) -> None:
        if isinstance(content, str):
            found.append(content)
        elif isinstance(content, list):
            for block in content:
                if isinstance(block, dict):
                    if isinstance(block.get("text"), str):
                        found.append(block["text"])
                    elif "content" in block:
                        take(block["content"])

    take(body.get("system"))
    for message in body["messages"]:
        take(message.get("content"))
    return found
