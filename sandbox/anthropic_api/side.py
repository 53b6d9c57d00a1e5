"""The Messages API over HTTP: keys, versions, limits, messages, token counts, batches, models.

Belongs here: the protocol. Does not belong here: what is written (`writer.py`), which requests are sound
(`requests.py`).
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.anthropic_api.requests import MODELS, BadRequest, check_request, texts
from sandbox.anthropic_api.structure import Filler
from sandbox.anthropic_api.tools import calls_of
from sandbox.anthropic_api.writer import MODES, Reading, read_prompt, sentence
from sandbox.exchange import note
from sandbox.faults import FaultPlan
from sandbox.hooks import Clock
from sandbox.ledger import SqliteLedger
from sandbox.vendor_side import Side

API_KEY = "sk-ant-sandbox"
MIN_CACHED_TOKENS = 1024
MAX_BATCH = 100_000
MODE_POINT = "anthropic.mode"
BATCH_POINT = "anthropic.batch"
# What becomes of a batch: not ended yet at this asking; its calls failed; its day was over.
BATCH_FAULTS = frozenset({"slow_batch", "errored_batch", "expired_batch"})
SEMANTIC_FAULTS = frozenset({"anthropic.mode", "mode", *MODES, *BATCH_FAULTS})
CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# Requests and input tokens a minute.
LIMITS = {"generous": (4_000, 4_000_000, 400_000), "standard": (50, 50_000, 10_000)}

Answer = dict[str, Any]


class AnthropicSide(Side):
    """The Anthropic side of the sandbox."""

    vendor = "anthropic"

    def __init__(self, *, clock: Clock, ledger: SqliteLedger, faults: FaultPlan, profile: str = "generous") -> None:
        self._clock = clock
        self._ledger = ledger
        self._faults = faults
        self.profile = profile
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._spent: list[tuple[float, int]] = []
        self._cached: dict[str, datetime] = {}
        self._batches: dict[str, dict[str, Any]] = {}

    def environment(self, url: str) -> dict[str, str]:
        return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": API_KEY}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/messages", self._messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count, methods=["POST"]),
            Route("/v1/messages/batches", self._batch_create, methods=["POST"]),
            Route("/v1/messages/batches", self._batch_list, methods=["GET"]),
            Route("/v1/messages/batches/{batch_id}", self._batch_get, methods=["GET"]),
            Route("/v1/messages/batches/{batch_id}/cancel", self._batch_cancel, methods=["POST"]),
            Route("/v1/messages/batches/{batch_id}/results", self._batch_results, methods=["GET"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{model_id}", self._model, methods=["GET"]),
            Route("/v1/{rest:path}", self._unknown, methods=["GET", "POST", "DELETE"]),
        ]

    # Endpoints --------------------------------------------------------------------------------------------

    async def _messages(self, request: Request) -> Response:
        note(operation="messages")
        request_id = self._request_id()
        try:
            body = check_request(await self._body(request))
            tokens = sum(_tokens(text) for text in texts(body))
            headers = self._limit(tokens, request_id)
            message = self._answer(body)
        except BadRequest as error:
            return self._refuse(error, request_id)
        if body.get("stream"):
            return StreamingResponse(_events(message), media_type="text/event-stream", headers=headers)
        return Response(orjson.dumps(message), media_type="application/json", headers=headers)

    async def _count(self, request: Request) -> Response:
        note(operation="count_tokens")
        request_id = self._request_id()
        try:
            body = check_request(await self._body(request), counting=True)
        except BadRequest as error:
            return self._refuse(error, request_id)
        counted = _prompt_tokens(body)
        return self._json({"input_tokens": counted}, request_id)

    async def _batch_create(self, request: Request) -> Response:
        note(operation="batches.create")
        request_id = self._request_id()
        try:
            body = await self._body(request)
            wanted = body.get("requests") if isinstance(body, dict) else None
            if not isinstance(wanted, list) or not wanted or len(wanted) > MAX_BATCH:
                raise BadRequest("requests: a list of at least one request is required")
            names = [item.get("custom_id") for item in wanted if isinstance(item, dict)]
            for index, name in enumerate(names):
                if not isinstance(name, str) or not CUSTOM_ID.fullmatch(name):
                    pattern = "^[a-zA-Z0-9_-]{1,64}$"
                    raise BadRequest(f"requests.{index}.custom_id: String should match pattern '{pattern}'")
            if len(set(names)) != len(wanted):
                raise BadRequest("requests: custom_id must be unique within a batch")
        except BadRequest as error:
            return self._refuse(error, request_id)
        batch_id = f"msgbatch_{self._name(wanted)}"
        now = self._clock.now()
        self._batches[batch_id] = {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": {
                "processing": len(wanted),
                "succeeded": 0,
                "errored": 0,
                "canceled": 0,
                "expired": 0,
            },
            "created_at": _rfc3339(now),
            "expires_at": _rfc3339(now + timedelta(hours=24)),
            "ended_at": None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
            "_requests": wanted,
            "_results": [],
        }
        self._ledger.record("anthropic", "batch_taken", {"batch_id": batch_id, "names": names})
        return self._json(_shown(self._batches[batch_id]), request_id)

    async def _batch_get(self, request: Request) -> Response:
        note(operation="batches.get")
        return self._with_batch(request, lambda batch: self._finish(batch, request))

    async def _batch_list(self, request: Request) -> Response:
        note(operation="batches.list")
        request_id = self._request_id()
        try:
            self._authorise(request)
            limit = int(request.query_params.get("limit", "20"))
            if not 1 <= limit <= 1000:
                raise BadRequest("limit: Input should be between 1 and 1000")
        except ValueError:
            return self._refuse(BadRequest("limit: Input should be a valid integer"), request_id)
        except BadRequest as error:
            return self._refuse(error, request_id)
        everything = list(reversed(self._batches.values()))
        after = request.query_params.get("after_id")
        names = [batch["id"] for batch in everything]
        if after in names:
            everything = everything[names.index(after) + 1 :]
        page = [_shown(batch) for batch in everything[:limit]]
        answer = {
            "data": page,
            "has_more": len(everything) > limit,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
        }
        return self._json(answer, request_id)

    async def _batch_cancel(self, request: Request) -> Response:
        note(operation="batches.cancel")

        def cancel(batch: dict[str, Any]) -> None:
            if batch["processing_status"] == "in_progress":
                batch["processing_status"] = "canceling"
                batch["cancel_initiated_at"] = _rfc3339(self._clock.now())

        return self._with_batch(request, cancel)

    async def _batch_results(self, request: Request) -> Response:
        note(operation="batches.results")
        request_id = self._request_id()
        try:
            self._authorise(request)
            batch = self._batches.get(request.path_params["batch_id"])
            if batch is None or batch["processing_status"] != "ended":
                raise BadRequest("Batch results are not available.", status=404, kind="not_found_error")
        except BadRequest as error:
            return self._refuse(error, request_id)
        # Results come in any order: the last request first.
        lines = b"".join(orjson.dumps(line) + b"\n" for line in reversed(batch["_results"]))
        return Response(lines, media_type="application/x-jsonl", headers={"request-id": request_id})

    async def _models(self, request: Request) -> Response:
        note(operation="models")
        request_id = self._request_id()
        try:
            self._authorise(request)
        except BadRequest as error:
            return self._refuse(error, request_id)
        data = [_model_info(name) for name in MODELS]
        answer = {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        return self._json(answer, request_id)

    async def _model(self, request: Request) -> Response:
        note(operation="models")
        request_id = self._request_id()
        name = request.path_params["model_id"]
        try:
            self._authorise(request)
            if not name.startswith("claude-"):
                raise BadRequest(f"model: {name}", status=404, kind="not_found_error")
        except BadRequest as error:
            return self._refuse(error, request_id)
        return self._json(_model_info(name), request_id)

    async def _unknown(self, request: Request) -> Response:
        error = BadRequest("Not found", status=404, kind="not_found_error")
        return self._refuse(error, self._request_id())

    # Answering --------------------------------------------------------------------------------------------

    def _answer(self, body: Mapping[str, Any]) -> Answer:
        mode = self._mode()
        read = texts(body)
        content, stop = self._content(body, read_prompt(read), mode)
        written = sum(
            _tokens(orjson.dumps(block).decode()) if block["type"] != "text" else _tokens(block["text"])
            for block in content
        )
        # A model that writes too much is not stopped by the bound it was given.
        if mode == "truncated" or (written > body["max_tokens"] and mode != "huge"):
            share = min(0.6, body["max_tokens"] / max(1, written)) if written else 0.0
            for block in content:
                if block["type"] == "text":
                    block["text"] = block["text"][: int(len(block["text"]) * share)]
            stop = "max_tokens"
            written = min(body["max_tokens"], sum(_tokens(b.get("text", "")) for b in content))
        if body["max_tokens"] == 0:
            content, stop, written = [], "max_tokens", 0
        message: Answer = {
            "id": f"msg_{self._name(body)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "usage": self._usage(body, written),
        }
        if stop == "refusal":
            message["stop_details"] = {
                "type": "refusal",
                "category": None,
                "explanation": "The stub was told to refuse.",
            }
        self._ledger.record(
            "anthropic",
            "tokens_spent",
            {
                "message_id": message["id"],
                "model": body["model"],
                "mode": mode,
                "stop_reason": stop,
                "prompt": hashlib.sha256("\n".join(read).encode()).hexdigest(),
                "prompt_text": "\n".join(read)[:200_000],
                **{key: value for key, value in message["usage"].items() if key.endswith("_tokens")},
            },
        )
        return message

    def _content(self, body: Mapping[str, Any], reading: Reading, mode: str) -> tuple[list[dict[str, Any]], str]:
        if mode == "refusal":
            return [], "refusal"
        if mode == "empty":
            return [], "end_turn"
        choice = body.get("tool_choice") or {}
        tools = [tool for tool in body.get("tools") or [] if isinstance(tool.get("input_schema"), dict)]
        if tools and choice.get("type") in ("any", "tool"):
            tool = next((each for each in tools if each["name"] == choice.get("name")), tools[0])
            filled = Filler(reading, mode, tool["input_schema"]).value()
            use = {
                "type": "tool_use",
                "id": f"toolu_{self._name(body)}",
                "name": tool["name"],
                "input": filled,
                "caller": {"type": "direct"},
            }
            return [use], "tool_use"
        asked = calls_of(body, mode) if tools else []
        if asked:
            return [
                {"type": "tool_use", "id": f"toolu_{self._name([name, place])}", "name": name, "input": arguments,
                 "caller": {"type": "direct"}}
                for place, (name, arguments) in enumerate(asked)
            ], "tool_use"  # fmt: skip
        if tools and reading.slots == []:
            return [{"type": "text", "text": "Nothing more is needed.", "citations": None}], "end_turn"
        schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        if schema is not None and mode != "prose":
            written = orjson.dumps(Filler(reading, mode, schema).value()).decode()
        elif reading.slots and mode != "prose":
            filled_slots = {slot.name: sentence(reading, slot, mode, at) for at, slot in enumerate(reading.slots)}
            written = orjson.dumps({"slots": filled_slots}).decode()
        else:
            written = sentence(reading, None, "honest" if mode == "prose" else mode)
        return [{"type": "text", "text": written, "citations": None}], "end_turn"

    def _mode(self) -> str:
        """How the stub is to behave: a fault named after a mode, or "anthropic.mode" with a `mode`."""
        fault = self._faults.take_fault("anthropic", MODE_POINT, SEMANTIC_FAULTS)
        if fault is None:
            return "honest"
        mode = fault.name if fault.name in MODES else str(fault.options.get("mode", "honest"))
        return mode if mode in MODES else "honest"

    def _usage(self, body: Mapping[str, Any], written: int) -> Answer:
        total = _prompt_tokens(body)
        cached, ttl, prefix = _cacheable(body)
        created = read = 0
        if cached >= MIN_CACHED_TOKENS:
            now = self._clock.now()
            with self._lock:
                alive = self._cached.get(prefix)
                if alive is not None and alive >= now:
                    read = min(cached, total)
                else:
                    created = min(cached, total)
                self._cached[prefix] = now + ttl
        hour = ttl > timedelta(minutes=5)
        return {
            "input_tokens": total - created - read,
            "output_tokens": written,
            "cache_creation_input_tokens": created,
            "cache_read_input_tokens": read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 0 if hour else created,
                "ephemeral_1h_input_tokens": created if hour else 0,
            },
            "output_tokens_details": {"thinking_tokens": 0},
            "server_tool_use": None,
            "service_tier": "standard",
            "speed": "standard",
            "inference_geo": "global",
        }

    def _finish(self, batch: dict[str, Any], request: Request) -> None:
        """A batch is worked through when it is first asked after, unless it is slow."""
        if batch["processing_status"] == "ended":
            return
        canceling = batch["processing_status"] == "canceling"
        fault = self._faults.take_fault("anthropic", BATCH_POINT, BATCH_FAULTS)
        name = fault.name if fault is not None else ""
        if name == "slow_batch" and not canceling:
            return
        counts = batch["request_counts"]
        for item in batch["_requests"]:
            if canceling:
                result: Answer = {"type": "canceled"}
            elif name == "expired_batch":
                result = {"type": "expired"}
            elif name == "errored_batch":
                result = {"type": "errored", "error": _error("api_error", "Internal server error", None)}
            else:
                try:
                    result = {"type": "succeeded", "message": self._answer(check_request(item.get("params")))}
                    result["message"]["usage"]["service_tier"] = "batch"
                except BadRequest as error:
                    result = {"type": "errored", "error": _error(error.kind, error.message, None)}
            counts[result["type"]] += 1
            counts["processing"] -= 1
            batch["_results"].append({"custom_id": item["custom_id"], "result": result})
        batch["processing_status"] = "ended"
        batch["ended_at"] = _rfc3339(self._clock.now())
        base = str(request.base_url).rstrip("/")
        batch["results_url"] = f"{base}/v1/messages/batches/{batch['id']}/results"

    # Shared -----------------------------------------------------------------------------------------------

    async def _body(self, request: Request) -> Any:
        self._authorise(request)
        try:
            return orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"The request body is not valid JSON: {error}") from None

    def _authorise(self, request: Request) -> None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = request.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        if not given:
            raise BadRequest("x-api-key header is required", status=401, kind="authentication_error")
        if given != API_KEY:
            raise BadRequest("invalid x-api-key", status=401, kind="authentication_error")
        version = request.headers.get("anthropic-version")
        if not version:
            raise BadRequest("anthropic-version: header is required")
        try:
            date.fromisoformat(version)
        except ValueError:
            raise BadRequest(f'anthropic-version: "{version}" is not a valid version') from None

    def _limit(self, tokens: int, request_id: str) -> dict[str, str]:
        """The rate-limit headers of an answer; raises where the minute is used up."""
        requests, inputs, outputs = LIMITS.get(self.profile, LIMITS["standard"])
        now = time.monotonic()
        with self._lock:
            self._spent = [(at, spent) for at, spent in self._spent if now - at < 60]
            used, count = sum(spent for _, spent in self._spent), len(self._spent)
            over = count + 1 > requests or used + tokens > inputs
            if over and self._spent:
                wait = max(1, math.ceil(60 - (now - self._spent[0][0])))
                raise _TooMany(wait)
            self._spent.append((now, tokens))
        reset = _rfc3339(datetime.now(UTC) + timedelta(seconds=60))
        headers = {"request-id": request_id, "anthropic-organization-id": "org_sandbox"}
        for name, limit, left in (
            ("requests", requests, requests - count - 1),
            ("input-tokens", inputs, max(0, inputs - used - tokens)),
            ("output-tokens", outputs, outputs),
            ("tokens", inputs + outputs, max(0, inputs + outputs - used - tokens)),
        ):
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(left)
            headers[f"anthropic-ratelimit-{name}-reset"] = reset
        return headers

    def _with_batch(self, request: Request, act: Any) -> Response:
        request_id = self._request_id()
        try:
            self._authorise(request)
            batch = self._batches.get(request.path_params["batch_id"])
            if batch is None:
                raise BadRequest("Batch not found", status=404, kind="not_found_error")
        except BadRequest as error:
            return self._refuse(error, request_id)
        act(batch)
        return self._json(_shown(batch), request_id)

    def _refuse(self, error: BadRequest, request_id: str) -> Response:
        headers = {"request-id": request_id}
        if isinstance(error, _TooMany):
            headers["retry-after"] = str(error.wait)
        body = _error(error.kind, error.message, request_id)
        return Response(orjson.dumps(body), error.status, media_type="application/json", headers=headers)

    def _json(self, answer: Any, request_id: str) -> Response:
        return Response(orjson.dumps(answer), media_type="application/json", headers={"request-id": request_id})

    def _request_id(self) -> str:
        return f"req_{self._name(time.monotonic_ns())}"

    def _name(self, seed: Any) -> str:
        number = next(self._numbers)
        text = orjson.dumps(seed, default=str, option=orjson.OPT_SORT_KEYS)
        return "01" + hashlib.sha256(text + str(number).encode()).hexdigest()[:22]


class _TooMany(BadRequest):
    def __init__(self, wait: int) -> None:
        super().__init__(
            "This request would exceed your organization's rate limit.", status=429, kind="rate_limit_error"
        )
        self.wait = wait


def _error(kind: str, message: str, request_id: str | None) -> Answer:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def _shown(batch: Mapping[str, Any]) -> Answer:
    shown = {key: value for key, value in batch.items() if not key.startswith("_")}
    if shown["processing_status"] != "ended":
        # Counts stay at zero until the batch has ended.
        shown["request_counts"] = {**shown["request_counts"], "succeeded": 0, "errored": 0}
    return shown


def _tokens(text: str) -> int:
    """About four bytes a token."""
    return math.ceil(len(text.encode()) / 4)


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    extra = sum(len(orjson.dumps(body[key])) for key in ("tools", "output_config") if body.get(key))
    return sum(_tokens(text) for text in texts(body)) + math.ceil(extra / 4) + 4 * len(body["messages"])


def _cacheable(body: Mapping[str, Any]) -> tuple[int, timedelta, str]:
    """The tokens up to the last cache mark, how long they are kept, and the name of that prefix."""
    parts: list[tuple[str, Any]] = []
    contents = [body.get("system"), *(message.get("content") for message in body["messages"])]
    for content in contents:
        if isinstance(content, str):
            parts.append((content, None))
        elif isinstance(content, list):
            parts += [(str(block.get("text", "")), block.get("cache_control")) for block in content]
    marks = [index for index, (_, mark) in enumerate(parts) if mark]
    if body.get("cache_control"):
        marks.append(len(parts) - 1)
    if not marks:
        return 0, timedelta(minutes=5), ""
    last = marks[-1]
    mark = parts[last][1] or body.get("cache_control") or {}
    ttl = timedelta(hours=1) if mark.get("ttl") == "1h" else timedelta(minutes=5)
    prefix = "\x00".join([str(body["model"]), *(text for text, _ in parts[: last + 1])])
    counted = sum(_tokens(text) for text, _ in parts[: last + 1])
    return counted, ttl, hashlib.sha256(prefix.encode()).hexdigest()


def _events(message: Answer) -> Iterator[bytes]:
    """The message as a stream of server-sent events."""

    def event(kind: str, **data: Any) -> bytes:
        return f"event: {kind}\ndata: {orjson.dumps({'type': kind, **data}).decode()}\n\n".encode()

    opening = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
    yield event("message_start", message=opening)
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            yield event("content_block_start", index=index, content_block={**block, "text": ""})
            for start in range(0, len(block["text"]), 200):
                piece = {"type": "text_delta", "text": block["text"][start : start + 200]}
                yield event("content_block_delta", index=index, delta=piece)
        else:
            yield event("content_block_start", index=index, content_block={**block, "input": {}})
            piece = {"type": "input_json_delta", "partial_json": orjson.dumps(block["input"]).decode()}
            yield event("content_block_delta", index=index, delta=piece)
        yield event("content_block_stop", index=index)
    ending = {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details", "container")}
    yield event("message_delta", delta=ending, usage=message["usage"])
    yield event("message_stop")


def _model_info(name: str) -> Answer:
    title = name.replace("claude-", "Claude ").replace("-", " ").title()
    return {"type": "model", "id": name, "display_name": title, "created_at": "2026-08-01T00:00:00Z"}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
