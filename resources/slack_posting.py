"""Slack as a place where messages are shown: post once, find what was posted.

Belongs here: Slack's protocol for `ops_platform.delivery.Poster`, and which of its answers mean "posted",
"not posted" and "nobody knows". Does not belong here: reading Slack as a source, the outbox, layout.

Slack has no idempotency key, and `slack_sdk` repeats a post whose connection dropped: so the SDK's retries
are off (`retry_handlers=[]`), every post carries the outbox id in its metadata, and `find` reads it back. Files
carry no metadata, but have an id before they are shown (`slack_files.py`).
"""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from ops_platform.deadlines import DeadlineExceededError, within
from ops_platform.delivery.files import carried_by
from ops_platform.delivery.poster import ContentRefused, HandOver, Lookup, not_noted
from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure
from resources.slack_files import Contents, completion, shows, upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from slack_sdk import WebClient

    from ops_platform.settings import Settings

SLACK_URL = "https://slack.com"
EVENT_TYPE = "ops_outbox"
#: Slack recommends no more; the blocks say the rest.
TEXT_LIMIT = 4000
PAGE_SIZE = 200
PAGE_LIMIT = 10
PATIENT_ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 60
ANSWER_LIMIT = 8_000_000
THROTTLED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
# Slack's words on these: "It's possible some aspect of the operation succeeded before the error was raised."
UNCLEAR = frozenset({"fatal_error", "internal_error", "service_unavailable", "team_added_to_org"})
# The request never reached the part of Slack that posts.
NOT_RECEIVED = frozenset({"request_timeout"})
LAYOUT = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
        "block_mismatch",
        "cannot_parse_attachment",
    }
)
_ERROR_CODE = re.compile(r"[a-z][a-z0-9_]{0,80}")


class SlackPoster:
    """Posts as the app whose bot token it is given. Thread-safe; opens a connection per call."""

    def __init__(
        self, token: str, *, base_url: str | None = None, timeout: float = 15.0, contents: Contents | None = None
    ) -> None:
        """`base_url` replaces scheme and host of Slack. `timeout` (seconds) bounds each call as a whole. `contents`
        gives the bytes of files that messages carry."""
        if not token.strip():
            raise ConfigurationError("SLACK_BOT_TOKEN is empty.")
        self.timeout = timeout
        self._contents = contents
        self._origin = (base_url or SLACK_URL).rstrip("/")
        self._client = one_attempt_client(token, (base_url or SLACK_URL).rstrip("/") + "/api/", timeout)

    @classmethod
    def from_settings(cls, settings: Settings, contents: Contents | None = None) -> SlackPoster:
        """The poster of `SLACK_BOT_TOKEN`. Raises `ConfigurationError` when Slack is not connected."""
        if settings.slack_bot_token is None:
            raise ConfigurationError("Slack is not connected: set SLACK_BOT_TOKEN.")
        token = settings.slack_bot_token.get_secret_value()
        return cls(token, base_url=settings.slack_base_url, contents=contents)

    def post(
        self,
        channel: str,
        payload: Mapping[str, Any],
        *,
        outbox_id: UUID,
        thread_of: str | None,
        hand_over: HandOver = not_noted,
    ) -> str:
        """See `Poster.post`. Returns the message's `ts`; of a message that is files, the first file's id."""
        if payload.get("files"):
            return self._post_files(channel, payload, thread_of, hand_over)
        answer = self._call(
            "chat.postMessage",
            writes=True,
            json={
                "channel": channel,
                "text": shortened(payload["text"]),
                **({"blocks": payload["blocks"]} if payload.get("blocks") else {}),
                **({"thread_ts": thread_of} if thread_of else {}),
                "metadata": {"event_type": EVENT_TYPE, "event_payload": {"outbox_id": str(outbox_id)}},
                "unfurl_links": False,
                "unfurl_media": False,
                "parse": "none",
            },
        )
        ts = answer.get("ts")
        if not isinstance(ts, str) or not ts:
            raise AmbiguousFailure("Slack accepted the message and gave no ts for it")
        return ts

    def _post_files(self, channel: str, payload: Mapping[str, Any], thread_of: str | None, hand_over: HandOver) -> str:
        """All files of a message at once, with its text above them. Slack shows them a moment after it has said yes."""
        if self._contents is None:
            raise TransientFailure("this poster was given no way to read files: another one posts them")
        files = carried_by(payload)
        ids = upload(partial(self._call, writes=False), files, self._contents, self._origin)
        hand_over(ids[0])
        shown = completion(files, ids, channel, shortened(payload["text"]), thread_of)
        self._call("files.completeUploadExternal", writes=True, json=shown)
        return ids[0]

    def find(
        self,
        channel: str,
        *,
        outbox_id: UUID,
        after: str | None,
        thread_of: str | None,
        handed_over: str | None = None,
    ) -> Lookup:
        """See `Poster.find`. Replies are not in a channel's history: an answer is looked up in its thread. Files are
        known by the id that was handed over."""
        deadline = time.monotonic() + 4 * self.timeout
        reached: str | None = None
        for number, page in enumerate(self._pages(channel, after, thread_of), start=1):
            for message in page["messages"]:
                if handed_over is not None and shows(message, handed_over):
                    return Lookup(handed_over, complete=True)
                metadata = message.get("metadata") or {}
                tag = metadata.get("event_payload") or {}
                if metadata.get("event_type") == EVENT_TYPE and tag.get("outbox_id") == str(outbox_id):
                    return Lookup(str(message["ts"]), complete=True)
                reached = str(message["ts"])
            if not _next_cursor(page):
                return Lookup(None, complete=True)
            if number >= PAGE_LIMIT or time.monotonic() > deadline:
                break
        # A thread is read oldest first: where the reading stopped says nothing about what came after.
        return Lookup(None, complete=False, reached=None if thread_of else reached)

    def shown_since(self, channel: str, after: str | None, threads: Iterable[str]) -> dict[UUID, str]:
        """See `ops_platform.delivery.restored.ShownSince`: the channel's history, then every thread that may have had
        an answer since. Reads to the end or raises."""
        parents, found = dict.fromkeys(threads), dict[UUID, str]()
        for message in self._patiently(channel, after, None):
            found |= _ours(message)
            if message.get("reply_count"):
                parents[str(message["ts"])] = None
        for parent in parents:
            try:
                for message in self._patiently(channel, after, parent):
                    found |= _ours(message)
            except PermanentFailure as error:
                if "thread_not_found" not in str(error):  # somebody deleted it, with its answers
                    raise
        return found

    def _patiently(self, channel: str, after: str | None, thread_of: str | None) -> list[dict[str, Any]]:
        """All messages of `_pages`, waiting where Slack asks to."""
        for attempt in range(1, PATIENT_ATTEMPTS + 1):
            try:
                found: list[dict[str, Any]] = []
                for page in self._pages(channel, after, thread_of):
                    found += page["messages"]
                    if not _next_cursor(page):
                        break
                return found
            except TransientFailure as error:
                if attempt == PATIENT_ATTEMPTS or (error.retry_after or 0) > LONGEST_WAIT_SECONDS:
                    raise
                time.sleep(error.retry_after or attempt)
        raise AssertionError("the last attempt returns or raises")

    def update(self, channel: str, external_id: str, payload: Mapping[str, Any], *, outbox_id: UUID) -> None:
        """See `ops_platform.alerts.editions.Updater`: show `payload` in place of what was posted as `external_id`."""
        self._call(
            "chat.update",
            writes=False,  # showing the same again changes nothing, so an unclear end is no more than a failure
            json={
                "channel": channel,
                "ts": external_id,
                "text": shortened(payload["text"]),
                "blocks": payload.get("blocks") or [],
                "metadata": {"event_type": EVENT_TYPE, "event_payload": {"outbox_id": str(outbox_id)}},
                "parse": "none",
            },
        )

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """A reading call with the bot's token. Raises `PermanentFailure` or `TransientFailure`."""
        return self._call(method, writes=False, params=dict(params))

    def identity(self) -> str:
        """Who the token speaks for, as "bot in workspace": the check that `ops doctor` makes."""
        answer = self._call("auth.test", writes=False, params={})
        return f"{answer.get('user')} in {answer.get('team')}"

    def _pages(self, channel: str, after: str | None, thread_of: str | None) -> Iterator[dict[str, Any]]:
        params: dict[str, Any] = {"channel": channel, "limit": PAGE_SIZE, "include_all_metadata": True}
        if after is not None:
            params |= {"oldest": after, "inclusive": True}
        method = "conversations.history"
        if thread_of is not None:
            params |= {"ts": thread_of}
            method = "conversations.replies"
        seen: set[str] = set()
        while True:
            page = self._call(method, writes=False, params=params)
            messages = page.get("messages")
            if not isinstance(messages, list) or not all(isinstance(m, dict) and m.get("ts") for m in messages):
                raise TransientFailure(f"{method} answered without a list of messages")
            yield page
            cursor = _next_cursor(page)
            if cursor in seen:
                raise TransientFailure(f"{method} repeats the page {cursor!r}")
            seen.add(cursor)
            params["cursor"] = cursor

    def _call(self, method: str, *, writes: bool, **arguments: Any) -> dict[str, Any]:
        """One request, one answer; failures as the house types them.

        `writes`: the call has an effect, so that an answer that did not come leaves its outcome open."""
        import http.client
        import socket
        import ssl
        from urllib.error import URLError

        from slack_sdk.errors import SlackApiError

        open_end = AmbiguousFailure if writes else TransientFailure
        try:
            response = within(self.timeout, lambda: self._client.api_call(method, **arguments), name=f"Slack {method}")
        except SlackApiError as error:
            raise _failure(method, error, writes=writes) from None
        except DeadlineExceededError as error:
            raise open_end(str(error)) from None
        except URLError as error:
            reason = error.reason
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise PermanentFailure(f"Slack {method}: its certificate is not trusted: {reason}") from None
            if isinstance(reason, ConnectionRefusedError | socket.gaierror):
                raise TransientFailure(f"Slack {method}: cannot connect: {reason}") from None
            raise open_end(f"Slack {method}: the connection failed: {reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise open_end(f"Slack {method}: no usable answer: {error!r}") from None
        data = response.data
        if not isinstance(data, dict):
            raise open_end(f"Slack {method}: the answer is not an object")
        return data


def _ours(message: Mapping[str, Any]) -> dict[UUID, str]:
    """The outbox id a message carries, with its `ts`; empty for anybody else's."""
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return {}
    try:
        return {UUID(str((metadata.get("event_payload") or {}).get("outbox_id"))): str(message["ts"])}
    except ValueError:
        return {}


def channel_id(settings: Settings, key: str) -> str:
    """Slack's id of the channel with the role `key`. Raises `ConfigurationError` for an unset channel and
    for a role the company does not have: there are exactly three."""
    ids = {
        "executive": settings.slack_channel_executive,
        "team": settings.slack_channel_team,
        "alerts": settings.slack_channel_alerts,
    }
    if key not in ids:
        raise ConfigurationError(f"There is no channel {key!r}; the channels are {', '.join(ids)}.")
    found = ids[key]
    if found is None:
        raise ConfigurationError(f"Set SLACK_CHANNEL_{key.upper()} to the id of the {key} channel (it begins with C).")
    return found


def shortened(text: str) -> str:
    """At most `TEXT_LIMIT` characters, cut at a line or a word where one is near."""
    if len(text) <= TEXT_LIMIT:
        return text
    head = text[: TEXT_LIMIT - 1]
    for boundary in ("\n", " "):
        at = head.rfind(boundary)
        if at > TEXT_LIMIT * 3 // 4:
            head = head[:at]
            break
    return head.rstrip() + "…"


def _next_cursor(page: Mapping[str, Any]) -> str:
    """The next page's cursor; empty at the end (Slack says that by "" as well as by leaving it out)."""
    return str((page.get("response_metadata") or {}).get("next_cursor") or "")


def _failure(method: str, error: Any, *, writes: bool) -> Exception:
    """What Slack's refusal means for us."""
    open_end = AmbiguousFailure if writes else TransientFailure
    response = error.response
    status = int(response.status_code)
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or "")
    known = _ERROR_CODE.fullmatch(code) is not None
    what = f"Slack {method}: {code}" if known else f"Slack {method}: no answer of its own"
    if status == 429 or code in THROTTLED:
        return TransientFailure(what, retry_after=_retry_after(response.headers))
    if code in NOT_RECEIVED:
        return TransientFailure(what)
    if status >= 500 or code in UNCLEAR or status == 408:
        return open_end(f"{what} (HTTP {status})")
    if not known:
        # Not Slack's own voice: a proxy's page, or half an answer. With 200, Slack may have done its part.
        plain = f"Slack {method}: an answer that is not Slack's (HTTP {status})"
        return open_end(plain) if 200 <= status < 300 else PermanentFailure(plain)
    detail = "; ".join(str(item) for item in (data.get("response_metadata") or {}).get("messages") or [])
    if code == "missing_scope" and data.get("needed"):
        detail = f"the app needs {data['needed']}"
    what += f" ({detail[:300]})" if detail else ""
    return ContentRefused(what) if code in LAYOUT else PermanentFailure(what)


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    for name, value in headers.items():
        if name.lower() == "retry-after":
            try:
                return max(float(value), 0.0)
            except ValueError:
                return None
    return None


def one_attempt_client(token: str, url: str, timeout: float) -> WebClient:
    """A `WebClient` that makes one attempt, follows no redirect and reads a bounded answer."""
    import urllib.request

    from slack_sdk import WebClient

    loopback = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    # No redirect and no error processor: every status is an answer to judge, and the token goes nowhere else.
    # A proxy of the environment is for the outside world, not for a vendor on this machine.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({} if loopback else None),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)

    class OneAttempt(WebClient):
        def _perform_urllib_http_request_internal(self, url: str, req: urllib.request.Request) -> dict[str, Any]:
            response = opener.open(req, timeout=self.timeout)
            assert response is not None  # UnknownHandler raises for any other scheme
            with response:
                body = response.read(ANSWER_LIMIT + 1)
                if len(body) > ANSWER_LIMIT:
                    raise ValueError(f"an answer of more than {ANSWER_LIMIT} bytes")
                text = body.decode(response.headers.get_content_charset() or "utf-8")
                return {"status": response.status, "headers": response.headers, "body": text}

    client = OneAttempt(token=token, base_url=url, timeout=max(int(timeout), 1), retry_handlers=[])
    client.logger.setLevel("CRITICAL")  # it logs bodies; what failed is in our own failure
    return client
