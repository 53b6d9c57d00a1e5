"""Tools at the sandbox's Claude: what the API refuses, and what the stub asks for."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.anthropic_api.requests import BadRequest, check_request
from sandbox.anthropic_api.tools import calls_of

TOOL = {
    "name": "metric_lookup", "description": "One metric.", "strict": True,
    "input_schema": {
        "type": "object", "additionalProperties": False, "required": ["metric", "over"],
        "properties": {"metric": {"type": "string", "enum": ["opex", "net_sales"]},
                       "over": {"type": "string", "enum": ["week"]}},
    },
}  # fmt: skip
CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "metric_lookup", "input": {}}
ASKED = {"role": "assistant", "content": [CALL]}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "7"}
USER = {"role": "user", "content": '{"question": {"untrusted": {"title": "How are net sales?"}}}'}


def request(**more: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [USER], "tools": [TOOL], **more}


def test_a_whole_exchange_is_taken() -> None:
    answered = {"role": "user", "content": [RESULT, {"type": "text", "text": "and?"}]}
    assert check_request(request(messages=[USER, ASKED, answered]))
    assert check_request(request(tool_choice={"type": "none"}))


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"messages": [USER, ASKED, {"role": "user", "content": "so?"}]}, "without `tool_result` blocks immediately"),
        ({"messages": [USER, {"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
        ({"messages": [USER, ASKED, {"role": "user", "content": [{"type": "text", "text": "a"}, RESULT]}]},
         "without `tool_result` blocks immediately"),
        ({"messages": [USER, ASKED, {"role": "user", "content": [RESULT, RESULT]}]}, "a single result"),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "can only be in `assistant`"),
        ({"tools": [], "messages": [USER, ASKED, {"role": "user", "content": [RESULT]}]}, "must define tools"),
        ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
        ({"tools": [{**TOOL, "name": "bad name"}]}, "String should match pattern"),
        ({"tools": [{**TOOL, "input_schema": {"type": "array"}}]}, "Input should be 'object'"),
        ({"tools": [{**TOOL, "input_schema": {"type": "object", "properties": {}}}]}, "additionalProperties"),
        ({"tool_choice": {"type": "always"}}, "does not match any of the expected tags"),
        ({"tool_choice": {"type": "tool", "name": "other"}}, "not found in provided tools"),
        ({"tools": [], "tool_choice": {"type": "auto"}}, "only be specified while providing tools"),
        ({"messages": [USER, {"role": "assistant", "content": [{**CALL, "id": "a b"}]},
                       {"role": "user", "content": [{**RESULT, "tool_use_id": "a b"}]}]}, "tool_use.id"),
        ({"messages": [USER, {"role": "assistant", "content": [{**CALL, "input": "x"}]},
                       {"role": "user", "content": [RESULT]}]}, "valid dictionary"),
    ],
)  # fmt: skip
def test_what_the_api_refuses_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_request(request(**more))
    assert refused.value.status == 400
    assert why in refused.value.message


def test_the_honest_stub_asks_for_the_nearest_and_then_is_done() -> None:
    assert calls_of(request(), "honest") == [("metric_lookup", {"metric": "net_sales", "over": "week"})]
    after = request(messages=[USER, ASKED, {"role": "user", "content": [RESULT]}])
    assert calls_of(after, "honest") == []
    assert calls_of(request(tool_choice={"type": "none"}), "hostile") == []


def test_the_hostile_stub_asks_for_what_nobody_offered_in_every_turn() -> None:
    for messages in ([USER], [USER, ASKED, {"role": "user", "content": [RESULT]}]):
        names = [name for name, _ in calls_of(request(messages=messages), "hostile")]
        assert "delete_repository" in names
        assert "metric_lookup" in names
