"""Who delivers: Slack and e-mail, as far as they are connected.

Belongs here: putting the posters of this company together, the same for a run, a listener and a terminal. Does not
belong here: how any of them posts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.delivery.files import contents
from ops_platform.delivery.worker import Posters
from ops_platform.failures import ConfigurationError

if TYPE_CHECKING:
    import psycopg

    from ops_platform.settings import Settings

log = logging.getLogger(__name__)


def posters_of(settings: Settings, connect: Callable[[], psycopg.Connection[Any]]) -> Posters:
    """The posters there are; what has none of its own waits in the outbox. `connect` opens the database that keeps the
    files of messages."""
    from resources.email import EmailPoster
    from resources.slack_posting import SlackPoster

    read = partial(contents, connect)
    channels = None if settings.slack_bot_token is None else SlackPoster.from_settings(settings, read)
    server = mail_server(settings)
    return Posters(channels=channels, email=None if server is None else EmailPoster(server, read))


def email_connected(settings: Settings) -> bool:
    """Whether mail can be sent: what decides that it is put in the outbox at all."""
    return mail_server(settings) is not None


def mail_server(settings: Settings) -> Any:
    """The mail server, None without one; also where its settings are wrong, which `ops doctor` says and a run logs:
    what goes to Slack does not wait for it."""
    from resources.email import MailServer

    try:
        return MailServer.from_settings(settings)
    except ConfigurationError as error:
        log.error("e-mail is not sent: %s", error)
        return None
