"""The control API under `/_sandbox`: for tests and the demo, never for the product.

Belongs here: its endpoints. Does not belong here: doing what they ask (`server.py`, `faults.py`,
`ledger.py`, the vendor sides). A call that carries an Origin header comes from a web page and is refused.

  GET  /ready                     what is served, and how long it took to build
  GET  /environment               the settings that point the product at this sandbox
  GET  /ledger?vendor=&kind=&run=&since=&limit=   entries (kind=request: calls; other kinds: effects)
  GET  /ledger/summary            counts by vendor
  GET  /incidents                 what was planted in the company, in every system's part of its story
  GET|POST|DELETE /faults         the armed faults; arm one; take all away (or ?id=)
  GET|POST /clock                 {"now": ISO, "ticking"?: bool, "company"?: "follow"|"keep"}
  POST /profile                   {"profile": "generous"|"standard"|"restricted"}
  POST /mutate                    {"vendor", "op", "data"}
  POST /slack/interactivity       {"url": where presses are posted, on this machine; null for none}
  POST /slack/press               {"channel", "ts", "action_id", "user"?, "selected_date"?, "typed"?, "deliveries"?,
                                  "replay"?}
  POST /slack/disconnect          {"reason"?: "warning"|"refresh_requested"|"link_disabled", "close"?: true}
  POST /github/webhook            {"url": where webhooks are posted, on this machine; null for none; "ping"?}
  POST /github/webhook/drain      wait until every webhook was sent
  POST /github/redeliver          {"guid"}: the same delivery again, under its own id
  GET  /github/deliveries         what was sent, with its ids
  POST /shutdown
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import parse_instant
from sandbox.faults import FaultRefused
from sandbox.mutation import MutationRefused
from sandbox.options import PROFILES

if TYPE_CHECKING:
    from sandbox.github import GitHubSide
    from sandbox.github.webhooks import Webhooks
    from sandbox.server import Sandbox
    from sandbox.slack import SlackSide
    from sandbox.slack.interactivity import Interactivity


class Control:
    """The endpoints, over one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[Route]:
        table: list[tuple[str, str, Callable[[Request], Awaitable[Any]]]] = [
            ("GET", "/ready", self._ready),
            ("GET", "/environment", self._environment),
            ("GET", "/ledger", self._ledger),
            ("GET", "/ledger/summary", self._summary),
            ("GET", "/incidents", self._incidents),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._arm),
            ("DELETE", "/faults", self._disarm),
            ("GET", "/clock", self._clock),
            ("POST", "/clock", self._set_clock),
            ("POST", "/profile", self._profile),
            ("POST", "/mutate", self._mutate),
            ("POST", "/slack/interactivity", self._slack_interactivity),
            ("POST", "/slack/press", self._slack_press),
            ("POST", "/slack/disconnect", self._slack_disconnect),
            ("POST", "/github/webhook", self._github_webhook),
            ("POST", "/github/webhook/drain", self._github_drain),
            ("POST", "/github/redeliver", self._github_redeliver),
            ("GET", "/github/deliveries", self._github_deliveries),
            ("POST", "/shutdown", self._shutdown),
        ]
        return [Route(f"/_sandbox{path}", _guarded(handler), methods=[method]) for method, path, handler in table]

    async def _ready(self, request: Request) -> Any:
        sandbox, company = self._sandbox, self._sandbox.company
        return {
            "ready": True,
            "url": sandbox.url,
            "seed": sandbox.options.seed,
            "profile": sandbox.profile,
            "clock": sandbox.clock.now().isoformat(),
            "ticking": sandbox.clock.ticking,
            "source": company.source,
            "run": sandbox.ledger.run,
            "built_in_seconds": round(sandbox.built_in, 3),
            "orders": len(company.orders),
            "customers": len(company.customers),
            "incidents": len(company.incidents),
        }

    async def _environment(self, request: Request) -> Any:
        return self._sandbox.environment()

    async def _ledger(self, request: Request) -> Any:
        query = request.query_params
        whole = {key: int(query[key]) for key in ("run", "since", "limit") if query.get(key)}
        return self._sandbox.ledger.entries(vendor=query.get("vendor") or None, kind=query.get("kind") or None, **whole)

    async def _summary(self, request: Request) -> Any:
        return self._sandbox.ledger.summary()

    async def _incidents(self, request: Request) -> Any:
        from sandbox.company.planted import planted

        found = await anyio.to_thread.run_sync(planted, self._sandbox.company)
        return [dataclasses.asdict(incident) for incident in found]

    async def _faults(self, request: Request) -> Any:
        return [fault.to_json() for fault in self._sandbox.faults.armed()]

    async def _arm(self, request: Request) -> Any:
        return self._sandbox.faults.arm(await _object(request)).to_json()

    async def _disarm(self, request: Request) -> Any:
        wanted = request.query_params.get("id")
        return {"disarmed": self._sandbox.faults.disarm(int(wanted) if wanted else None)}

    async def _clock(self, request: Request) -> Any:
        clock = self._sandbox.clock
        return {"now": clock.now().isoformat(), "ticking": clock.ticking}

    async def _set_clock(self, request: Request) -> Any:
        body = await _object(request)
        sandbox = self._sandbox
        at = parse_instant(str(body.get("now", "")))
        follow = body.get("company", "follow") == "follow" and at != sandbox.company.clock
        if follow:
            from sandbox.server import load_company

            company = await anyio.to_thread.run_sync(load_company, sandbox.options, at)
        sandbox.clock.set(at, ticking=body.get("ticking"))
        if follow:
            sandbox.advance(company)
        return {"now": at.isoformat(), "ticking": sandbox.clock.ticking, "orders": len(sandbox.company.orders)}

    async def _profile(self, request: Request) -> Any:
        profile = (await _object(request)).get("profile")
        if profile not in PROFILES:
            raise ValueError(f'"profile" must be one of {", ".join(PROFILES)}.')
        self._sandbox.set_profile(profile)
        return {"profile": profile}

    async def _mutate(self, request: Request) -> Any:
        body = await _object(request)
        data = body.get("data") or {}
        if not isinstance(data, dict):
            raise ValueError('"data" must be an object.')
        result = self._sandbox.mutate(str(body.get("vendor", "")), str(body.get("op", "")), data)
        return {"ok": True, "result": result}

    async def _slack_interactivity(self, request: Request) -> Any:
        url = (await _object(request)).get("url")
        self._slack().request_url = _loopback(url)
        return {"url": url}

    async def _slack_press(self, request: Request) -> Any:
        return await self._slack().press(await _object(request))

    async def _slack_disconnect(self, request: Request) -> Any:
        body = await _object(request)
        return await self._slack().disconnect(
            str(body.get("reason", "refresh_requested")), close=bool(body.get("close", True))
        )

    def _slack(self) -> Interactivity:
        return cast("SlackSide", self._sandbox.sides["slack"]).interactivity

    async def _github_webhook(self, request: Request) -> Any:
        body = await _object(request)
        hooks = self._webhooks()
        hooks.url = _loopback(body.get("url"))
        return {"url": hooks.url, "secret": hooks.secret, "ping": hooks.ping() if body.get("ping") else None}

    async def _github_drain(self, request: Request) -> Any:
        return {"left": await anyio.to_thread.run_sync(self._webhooks().drain)}

    async def _github_redeliver(self, request: Request) -> Any:
        self._webhooks().redeliver(str((await _object(request)).get("guid", "")))
        return {"redelivered": True}

    async def _github_deliveries(self, request: Request) -> Any:
        return self._webhooks().deliveries()

    def _webhooks(self) -> Webhooks:
        return cast("GitHubSide", self._sandbox.sides["github"]).webhooks

    async def _shutdown(self, request: Request) -> Any:
        self._sandbox.stop()
        return {"stopping": True}


def _loopback(url: Any) -> str | None:
    if url is not None and urlsplit(str(url)).hostname not in ("127.0.0.1", "localhost"):
        raise ValueError("The sandbox calls nobody but this machine.")
    return None if url is None else str(url)


async def _object(request: Request) -> dict[str, Any]:
    body = orjson.loads(await request.body() or b"null")
    if not isinstance(body, dict):
        raise ValueError("The body must be a JSON object.")
    return body


def _guarded(handler: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if "origin" in request.headers:
            return _json({"error": "The control API does not answer web pages."}, 403)
        try:
            return _json(await handler(request))
        except (ValueError, KeyError, FaultRefused, MutationRefused) as error:
            return _json({"error": str(error)}, 400)

    return endpoint


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")
