"""What a worker process does in the kill tests of e-mail and files: from enqueue to the vendor."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ops_platform.delivery import Posters, deliver, enqueue
from ops_platform.delivery.email import enqueue_words
from ops_platform.delivery.files import contents, keep
from ops_platform.settings import Settings
from resources.email import EmailPoster, MailServer
from resources.slack_posting import SlackPoster
from tests.delivery.conftest import THURSDAY
from tests.delivery.morning import POLICY, connect_to

TOKEN = "xoxb-sandbox"
FILES = {"pack.pptx": b"slides " * 900, "pack.pdf": b"pages " * 900, "pack.xlsx": b"numbers " * 900}


def afternoon(dsn: str, given: dict[str, str], name: str, failpoint: str = "") -> None:
    """Enqueue the mail called `name`, then deliver."""
    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return connect_to(dsn)

    with connect() as conn:
        enqueue_words(conn, kind=name, to=["board@northbeam.example"], subject=name, text=name, key=name,
            files={"a.csv": b"1\r\n" * 1000})  # fmt: skip
    server = MailServer.from_settings(Settings(smtp_url=given["SMTP_URL"], smtp_from=given["SMTP_FROM"]))
    assert server is not None
    poster = EmailPoster(server, lambda files: contents(connect, files))
    deliver(connect, Posters(email=poster), policy=replace(POLICY, settle=timedelta(seconds=0.05)), patience=1)


def evening(dsn: str, url: str, name: str, failpoint: str = "") -> None:
    """Enqueue the message called `name` and its files in its thread, then deliver both."""
    if failpoint:
        os.environ["OPS_FAILPOINT"] = failpoint

    def connect() -> Any:
        return connect_to(dsn)

    common: dict[str, Any] = {"period": THURSDAY, "channel_key": "executive", "channel": "C0EXEC"}
    with connect() as conn:
        kept = [keep(conn, file, content).reference() for file, content in FILES.items()]
        first = enqueue(conn, kind=name, payload={"text": name}, dedupe_key=name, **common)
        enqueue(conn, kind=f"{name} files", payload={"text": name, "files": kept}, dedupe_key=f"{name}:files",
            thread_of=first.id, **common)  # fmt: skip
    poster = SlackPoster(TOKEN, base_url=url, timeout=5, contents=lambda files: contents(connect, files))
    deliver(connect, poster, policy=POLICY, patience=10)
