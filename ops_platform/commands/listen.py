"""`ops listen`: the process that takes presses of buttons, requests of schedulers to start a playbook, and webhooks.

Belongs here: putting the listeners, the desk and the machine's actions together, and their life. Does not belong here:
Slack's protocol (`resources/slack_interactions.py`), what a press does (`ops_platform.alerts` and `.approvals`).

It imports neither Dagster nor dbt: it is always there, so it must stay small.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ops_platform import clock
from ops_platform.failures import ConfigurationError
from ops_platform.settings import Settings, get_settings

if TYPE_CHECKING:
    import psycopg

    from ops_platform.alerts.presses import Settled
    from ops_platform.approvals.inbox import Inbox
    from ops_platform.delivery import DeliveryPolicy, Posters
    from resources.github.webhook import WebhookListener
    from resources.playbook_trigger import TriggerListener
    from resources.slack_interactions import Desk, HttpListener, SocketListener
    from resources.slack_posting import SlackPoster

log = logging.getLogger(__name__)
#: Messages of alerts that changed so long ago are not looked at again.
LOOK_BACK = timedelta(days=30)
SHOW_SECONDS = 60.0

Connect = Callable[[], "psycopg.Connection[Any]"]


def listen(*, port: int | None, socket_mode: bool | None) -> int:
    """Listen until a signal. Raises `ConfigurationError` when there is nothing to listen to."""
    from ops_platform.commands.prepare import prepare_database
    from ops_platform.commands.trigger import listener_of
    from ops_platform.database import connect
    from resources.slack_posting import SlackPoster

    settings = get_settings()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    triggers, webhooks = listener_of(settings), webhooks_of(settings)
    if not _presses_wanted(settings):
        return _listen_to_machines([each for each in (triggers, webhooks) if each is not None])
    poster = SlackPoster.from_settings(settings)
    prepare_database()
    desk, inbox = desk_of(settings, poster, connect), company_inbox(settings)
    http, socket = listeners_of(settings, desk, port=port, socket_mode=socket_mode)
    stopping = _until_stopped()
    desk.start()
    if triggers is not None:
        triggers.start()
        click.echo(f"triggers of playbooks: {triggers.url} (this machine only)")
    if webhooks is not None:
        webhooks.start()
        click.echo(f"webhooks of GitHub: {webhooks.url} (this machine only)")
    if http is not None:
        http.start()
        click.echo(f"signed HTTP: {http.url} (this machine only; a proxy with a certificate stands before it)")
    if socket is not None:
        socket.start()
        click.echo("Socket Mode: connecting")
    try:
        while not stopping.wait(SHOW_SECONDS):
            _show_all(poster, connect, inbox)
            if socket is not None and socket.failed and http is None:
                raise ConfigurationError(socket.failed)
    finally:
        for part in (socket, http, triggers, webhooks, desk):
            if part is not None:
                part.stop()
    return 0


def _listen_to_machines(listeners: Sequence[TriggerListener | WebhookListener]) -> int:
    """Where there is no Slack to listen to."""
    from ops_platform.commands.prepare import prepare_database

    if not listeners:
        raise ConfigurationError(
            "nothing to listen to: set SLACK_APP_TOKEN or SLACK_SIGNING_SECRET, CRON_SECRET, or GITHUB_WEBHOOK_SECRET"
        )
    prepare_database()
    stopping = _until_stopped()
    for each in listeners:
        each.start()
        click.echo(f"{_WHAT[type(each).__name__]}: {each.url} (this machine only)")
    try:
        stopping.wait()
    finally:
        for each in listeners:
            each.stop()
    return 0


_WHAT = {"TriggerListener": "triggers of playbooks", "WebhookListener": "webhooks of GitHub"}


def webhooks_of(settings: Settings, *, port: int | None = None) -> WebhookListener | None:
    """The listener for GitHub's webhooks; None without GITHUB_WEBHOOK_SECRET. It keeps a delivery and answers; the
    coordinator takes it in within a second."""
    if settings.github_webhook_secret is None:
        return None
    from resources.github.webhook import Delivery, WebhookListener

    def keep(delivery: Delivery) -> None:
        from ops_platform.database import connect
        from ops_platform.work_orders.intake import keep_delivery

        with connect(application="webhooks") as connection:
            keep_delivery(connection, delivery.id, delivery.event, delivery.body)
            connection.commit()

    return WebhookListener(
        keep, settings.github_webhook_secret.get_secret_value(), host=settings.ops_web_bind,
        port=settings.ops_webhook_port if port is None else port,
    )  # fmt: skip


def _until_stopped() -> threading.Event:
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    return stopping


def wanted(settings: Settings) -> bool:
    """True where there is something to listen to: what decides whether `ops up` runs it."""
    return settings.cron_secret is not None or settings.github_webhook_secret is not None or _presses_wanted(settings)


def _presses_wanted(settings: Settings) -> bool:
    return settings.slack_bot_token is not None and (
        settings.slack_app_token is not None or settings.slack_signing_secret is not None
    )


def desk_of(settings: Settings, poster: SlackPoster, connect: Connect) -> Desk:
    """The desk that does presses with the machine's own actions, shows them and delivers what they made."""
    from ops_platform.alerts.composing import AlertComposer
    from ops_platform.alerts.links import Links
    from ops_platform.alerts.pressed import PressedActions
    from ops_platform.alerts.presses import Handlers
    from ops_platform.approvals.pressed import PressedApprovals
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.profile import company_profile
    from resources.posters import posters_of
    from resources.slack_interactions import Desk, SlackPeople, answer_privately

    fleet = get_fleet()
    names = (settings.slack_alert_users or "").split(",")
    inbox = company_inbox(settings)
    alerts = PressedActions(fleet, AlertComposer(company_profile(fleet), Links.of(settings, fleet)))
    return Desk(
        connect=connect,
        act=Handlers({"alert": alerts, "approval": PressedApprovals(inbox)}),
        people=SlackPeople(poster.ask, frozenset(name.strip() for name in names if name.strip())),
        now=clock.now,
        answer=partial(answer_privately, base_url=settings.slack_base_url),
        after=partial(after_press, poster=poster, connect=connect, inbox=inbox, posters=posters_of(settings, connect)),
    )


def listeners_of(
    settings: Settings, desk: Desk, *, port: int | None, socket_mode: bool | None
) -> tuple[HttpListener | None, SocketListener | None]:
    """The listeners the settings call for; `socket_mode` False leaves that one out, True insists on it."""
    from resources.slack_interactions import HttpListener, SocketListener

    http = socket = None
    if settings.slack_signing_secret is not None:
        secret = settings.slack_signing_secret.get_secret_value()
        http = HttpListener(desk, secret, port=settings.ops_listen_port if port is None else port)
    if settings.slack_app_token is not None and socket_mode is not False:
        socket = SocketListener(desk, settings.slack_app_token.get_secret_value(), base_url=settings.slack_base_url)
    if socket_mode and socket is None:
        raise ConfigurationError("Socket Mode needs SLACK_APP_TOKEN (an app-level token, scope connections:write).")
    if http is None and socket is None:
        raise ConfigurationError(
            "nothing to listen to: set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP),"
            " see docs/connect/slack.md"
        )
    return http, socket


def after_press(
    settled: Settled,
    *,
    poster: SlackPoster,
    connect: Connect,
    inbox: Inbox | None = None,
    posters: Posters | None = None,
    today: Callable[[], date] | None = None,
    policy: DeliveryPolicy | None = None,
) -> None:
    """Do what a press approved, show the message as it stands now, and deliver what the press put in the outbox.
    `posters` deliver, by default `poster` alone; `today` is the company's day, by default the clock's."""
    from ops_platform.delivery import deliver

    if settled.state != "done":
        return
    if settled.press.about == "approval":
        if inbox is not None:
            do_approved(poster, connect, inbox, settled.press.number)
    else:
        show(poster, connect, settled.press.number, (today or _today)())
    deliver(connect, posters or poster, limit=10, policy=policy)


def _show_all(poster: SlackPoster, connect: Connect, inbox: Inbox) -> None:
    try:
        show(poster, connect, None, _today())
        do_approved(poster, connect, inbox, None)
    except Exception as error:  # whatever is away now is there at the next turn
        log.warning("messages are brought up to date later: %s", error)


def company_inbox(settings: Settings) -> Inbox:
    """The inbox of the company, with its channels where Slack is connected."""
    from ops_platform.approvals.assembly import inbox_of
    from ops_platform.fleet import get_fleet
    from resources.slack_posting import channel_id

    return inbox_of(get_fleet(), None if settings.slack_bot_token is None else partial(channel_id, settings))


def do_approved(poster: SlackPoster, connect: Connect, inbox: Inbox, number: int | None) -> None:
    """Refuse what nobody decided in time, do what was approved, and show the messages of one request, or of all, as
    they stand now."""
    from ops_platform.approvals.execution import execute_approved
    from ops_platform.approvals.message import show_standing

    with connect() as connection:
        inbox.expire_due(connection, clock.now())
    execute_approved(connect, inbox, clock.now())
    _hand_over(connect, inbox)
    show_standing(connect, poster, inbox, approval_id=number)


def _hand_over(connect: Connect, inbox: Inbox) -> None:
    """Make the drafts of approved campaigns. Nothing is asked of the vendor where none is due."""
    from ops_platform.approvals.campaign_handover import due, hand_over

    with connect() as connection:
        if not due(connection, clock.now()):
            return
    from resources.klaviyo import drafts

    drafter = drafts.connect(get_settings())
    try:
        hand_over(connect, drafter, inbox, clock.now())
    finally:
        if drafter is not None:
            drafter.close()


def show(poster: SlackPoster, connect: Connect, alert_id: int | None, today: date) -> None:
    """Bring the messages of one alert, or of all that changed, up to date at Slack."""
    from ops_platform.alerts.editions import show_standing

    since = clock.now() - LOOK_BACK
    show_standing(connect, poster, now=datetime.now(UTC), today=today, since=since, alert_id=alert_id)


def _today() -> date:
    from ops_platform.fleet import get_fleet

    return clock.business_day(clock.now(), get_fleet().company.timezone)
