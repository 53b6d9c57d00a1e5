"""An application that is loaded when somebody asks for it, and let go of when nobody does any more.

Belongs here: loading, waiting, counting who is served, noticing rest. Does not belong here: which application it is and
what follows its rest (`ops_platform.commands.web`), who may ask (`guard.py`, which stands before it).

Dagster's pages hold 130 MB and are looked at for minutes a day. Memory once taken does not come back to the machine
while a process lives, so rest ends in a fresh process; this class only says when.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager

from ops_platform.web_guard.guard import App, Receive, Scope, Send

#: So long nobody asked for anything and no page was open.
REST_AFTER_SECONDS = 900.0


class OnDemand:
    """ASGI. `load` opens the application; it is called in a thread, once, at the first request, and those that come
    meanwhile wait. A load that fails is answered by its error, and the next request tries again. `rest` is called once,
    after `rest_after` seconds in which nobody was served; a page left open holds a websocket and counts as served."""

    def __init__(
        self,
        load: Callable[[], AbstractContextManager[App]],
        rest: Callable[[], None],
        *,
        rest_after: float = REST_AFTER_SECONDS,
    ) -> None:
        self._load = load
        self._rest = rest
        self._rest_after = rest_after
        self._opened = ExitStack()
        self._app: App | None = None
        self._loading = asyncio.Lock()
        self._served = 0
        self._last = time.monotonic()

    @property
    def loaded(self) -> bool:
        """Whether the application is held in memory."""
        return self._app is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        async with self._counted():
            app = await self._ready()
            await app(scope, receive, send)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._served += 1
        try:
            yield
        finally:
            self._served -= 1
            self._last = time.monotonic()

    async def _ready(self) -> App:
        async with self._loading:
            if self._app is None:
                self._app = await asyncio.to_thread(lambda: self._opened.enter_context(self._load()))
        return self._app

    async def _live(self, receive: Receive, send: Send) -> None:
        watching: asyncio.Task[None] | None = None
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                watching = asyncio.create_task(self._watch())
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if watching is not None:
                    watching.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await watching
                await asyncio.to_thread(self._opened.close)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(self._rest_after / 4, 30.0))
            rested = time.monotonic() - self._last
            if self.loaded and self._served == 0 and rested >= self._rest_after:
                self._rest()
                return
