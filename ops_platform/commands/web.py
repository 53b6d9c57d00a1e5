"""`ops web` and the web service: Dagster's pages behind the guard, and the link by which a person gets in.

Belongs here: putting Dagster's web and the guard into one process, which addresses are ours, keys and tickets at a
terminal. Does not belong here: what passes (`ops_platform.web_guard`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import click

from ops_platform.settings import Settings, get_settings
from ops_platform.web_guard.access import TICKET_SECONDS, Access, Role
from ops_platform.web_guard.guard import ALIVE, LOGIN

if TYPE_CHECKING:
    from ops_platform.web_guard.guard import App


def access_here(settings: Settings | None = None) -> Access:
    """The keys of this home."""
    return Access((settings or get_settings()).ops_home / "web")


def origins_of(settings: Settings) -> list[str]:
    """Under which addresses the page is ours: this machine's, and the one people reach it by."""
    port = settings.ops_web_port
    origins = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")]
    if settings.ops_dagster_url is not None:
        parts = urlsplit(settings.ops_dagster_url)
        origins.append(f"{parts.scheme}://{parts.netloc}")
    return origins


def serve(workspace: Path) -> int:
    """Serve Dagster's pages behind the guard until told to stop. The pages are loaded when somebody signed in asks for
    one; when nobody has for a while this process begins anew without them, 130 MB smaller."""
    from ops_platform.commands.services import become, command_of, refuse_taken_port

    settings = get_settings()
    refuse_taken_port(settings.ops_web_bind, settings.ops_web_port, "OPS_WEB_BIND, OPS_WEB_PORT")
    import uvicorn

    from ops_platform.web_guard.guard import Guard
    from ops_platform.web_guard.on_demand import OnDemand

    access = access_here(settings)
    for role in Role:
        access.key(role)
    resting = False

    def rest() -> None:
        nonlocal resting
        resting = server.should_exit = True

    pages = OnDemand(lambda: _pages(workspace), rest)
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(pages, access, origins_of(settings)),
            host=settings.ops_web_bind, port=settings.ops_web_port, log_level="warning", access_log=False,
            proxy_headers=False, server_header=False, ws_max_size=4 * 1024 * 1024, lifespan="on",
        )
    )  # fmt: skip
    server.run()
    if resting:
        become(command_of("web"))
    return 0


@contextmanager
def _pages(workspace: Path) -> Iterator[App]:
    """Dagster's web application on the code server that the file names."""
    from ops_platform.instance.pace import WATCHING, slow_down

    slow_down(WATCHING)
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.cli import (
        DEFAULT_DB_STATEMENT_TIMEOUT,
        DEFAULT_POOL_MAX_OVERFLOW,
        DEFAULT_POOL_RECYCLE,
    )
    from dagster_webserver.version import __version__

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(DEFAULT_DB_STATEMENT_TIMEOUT, DEFAULT_POOL_RECYCLE, DEFAULT_POOL_MAX_OVERFLOW)
        with WorkspaceProcessContext(
            instance,
            version=__version__,
            read_only=False,
            workspace_load_target=WorkspaceFileTarget(paths=[os.fspath(workspace)]),
        ) as context:
            yield create_app_from_workspace_process_context(context, "", 2000)


def web_url(settings: Settings | None = None) -> str:
    """Where the web is on this machine."""
    return f"http://127.0.0.1:{(settings or get_settings()).ops_web_port}"


def web_answers() -> bool:
    """Whether the web answers."""
    from urllib.error import URLError
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(f"{web_url()}{ALIVE}", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def link(role: Role = Role.OPERATOR) -> str:
    """A link that signs in once, under the address people reach the page by."""
    settings = get_settings()
    base = (settings.ops_dagster_url or web_url(settings)).rstrip("/")
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}{LOGIN}?ticket={quote(access_here(settings).ticket(role))}"


def web(*, viewer: bool, new_key: str | None) -> int:
    """Print a link that signs in, or make a new key."""
    if new_key is not None:
        role = Role(new_key)
        access_here().renew(role)
        click.echo(f"{access_here().path(role)} is new: links, sessions and scripts with the old one are out.")
        return 0
    click.echo(link(Role.VIEWER if viewer else Role.OPERATOR))
    click.echo(f"Good once, for {TICKET_SECONDS // 60} minutes. A script sends the key of", err=True)
    click.echo(f"{access_here().path(Role.VIEWER if viewer else Role.OPERATOR)} as a bearer token.", err=True)
    return 0
