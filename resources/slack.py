"""Slack as a source: channels, people and messages of the channels where partners write.

Belongs here: reading (`SlackSource`). Does not belong here: posting (`slack_posting.py`), deciding which
message needs an answer (dbt).

Only channels whose name begins with a configured prefix are read. A channel the bot is not a member of is
skipped and named in `skipped`; nothing else is ever skipped in silence. A message's `ts` is its id within
the channel and stays text: as a number it would lose digits.
"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.http import Answer, HttpClient, RetryPolicy, retry_after
from resources.record_checks import INVALID_SHAPE, MISSING_ID, Flaw, rejected, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from pydantic import SecretStr

    from ops_platform.settings import Settings

log = logging.getLogger(__name__)

VENDOR = "slack"
DEFAULT_PREFIXES = ("factory-", "partner-")
HISTORY_DAYS = 14
PAGE_LIMIT = 200
LOOK_BACK = timedelta(hours=1)
# A workspace may allow one request of a kind a minute, and says how long to wait.
SLACK_RETRY = RetryPolicy(tries=10, budget_seconds=900.0, first_wait=1.0, longest_wait=60.0)

_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_CREDENTIALS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}
)
_UNREADABLE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "access_denied"})
_TS = re.compile(r"\d{1,12}\.\d{1,9}")
# Of a person only what names them in a report: no e-mail, telephone or picture.
_USER_FIELDS = (
    "id", "name", "real_name", "tz", "is_bot", "deleted", "is_restricted", "is_ultra_restricted", "is_stranger",
)  # fmt: skip

STREAMS = {
    stream.name: stream
    for stream in (
        Stream(VENDOR, "channels", "Channels where factories and partners write", full_refresh=True),
        Stream(VENDOR, "users", "People and bots of the workspace, by name only", full_refresh=True),
        Stream(VENDOR, "messages", "Messages and thread replies of those channels", look_back=LOOK_BACK),
    )
}


class Refused(PermanentFailure):
    """Slack answered `ok: false`. `code` is its error."""

    def __init__(self, message: str, code: str, needed: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.needed = needed


class SlackSource:
    """A workspace behind `http`, read with a bot token. `history_days` is how far back messages are read (and
    read again: an edit does not show otherwise). Opens nothing until first used."""

    vendor = VENDOR

    def __init__(
        self,
        http: HttpClient,
        token: SecretStr,
        *,
        prefixes: Sequence[str] = DEFAULT_PREFIXES,
        history_days: int = HISTORY_DAYS,
    ) -> None:
        self.http = http
        self._token = token
        self.prefixes = tuple(prefixes)
        self.history = timedelta(days=history_days)
        self.streams: dict[str, Stream] = dict(STREAMS)
        self.skipped: dict[str, str] = {}
        self._requests = 0
        http.keep_secret(token.get_secret_value())

    # -- reading ------------------------------------------------------------------------------------------

    def pages(self, stream: Stream, cursor: str | None, *, now: datetime) -> Iterator[Page]:
        """Yield channels and people whole; messages of the last days with the replies of every thread that had
        one since `cursor`. The cost of a page is in requests."""
        if stream.name == "messages":
            yield from self._messages(cursor, now)
            return
        before = self._requests
        source = self._channel_pages() if stream.name == "channels" else self._user_pages()
        for items in source:
            good, bad = _checked(items, _check_named)
            yield Page(good, bad, None, Decimal(self._requests - before))
            before = self._requests

    def _user_pages(self) -> Iterator[list[Any]]:
        for page in self._walk("users.list", "members", {}):
            yield [_named_only(user) for user in page]

    def _channel_pages(self) -> Iterator[list[Any]]:
        kinds = "public_channel,private_channel"
        try:
            pages = list(self._walk("conversations.list", "channels", {"types": kinds}))
        except Refused as refused:
            if refused.code != "missing_scope" or "groups:read" not in refused.needed:
                raise
            # An app that may not see private channels still reads the public ones.
            pages = list(self._walk("conversations.list", "channels", {"types": "public_channel"}))
        for page in pages:
            wanted = [item for item in page if not isinstance(item, dict) or self._wanted(item)]
            if wanted:
                yield wanted

    def _wanted(self, channel: JsonObject) -> bool:
        return str(channel.get("name", "")).startswith(self.prefixes)

    def _messages(self, cursor: str | None, now: datetime) -> Iterator[Page]:
        self.skipped = {}
        since = min(datetime.fromisoformat(cursor), now) - LOOK_BACK if cursor is not None else None
        oldest = now - self.history
        if since is not None:
            oldest = min(oldest, since)
        before = self._requests
        for channel in [item for page in self._channel_pages() for item in page if isinstance(item, dict)]:
            identity, name = channel.get("id"), channel.get("name")
            if not isinstance(identity, str):
                continue
            try:
                for items in self._channel_messages(identity, oldest, since):
                    good, bad = _checked(items, partial(_check_message, channel=identity))
                    latest = max((record.updated_at for record in good if record.updated_at), default=None)
                    # Channels are read one after the other: nothing later than the begin may become the cursor.
                    at = utc_text(min(latest, now)) if latest is not None else None
                    yield Page(good, bad, at, Decimal(self._requests - before))
                    before = self._requests
            except Refused as refused:
                if refused.code not in _UNREADABLE:
                    raise
                self.skipped[str(name)] = refused.code
                log.warning("slack: #%s is not read (%s); invite the bot to it", name, refused.code)

    def _channel_messages(self, channel: str, oldest: datetime, since: datetime | None) -> Iterator[list[Any]]:
        """Messages of one channel in pages, then the replies of its threads with news, thread by thread."""
        seen: set[str] = set()
        parents: list[str] = []
        variables = {"channel": channel, "oldest": f"{oldest.timestamp():.6f}"}
        for page in self._walk("conversations.history", "messages", variables):
            for item in page:
                ts = _ts(item)
                if ts is not None:
                    seen.add(ts)
                    if item.get("reply_count") and _has_news(item, since):
                        parents.append(ts)
            if page:
                yield page
        for parent in parents:
            try:
                for page in self._walk("conversations.replies", "messages", {"channel": channel, "ts": parent}):
                    # The parent leads every page of its thread, and a reply sent to the channel too is in both.
                    fresh = [item for item in page if _ts(item) not in seen]
                    seen.update(ts for ts in map(_ts, fresh) if ts is not None)
                    if fresh:
                        yield fresh
            except Refused as refused:
                if refused.code != "thread_not_found":
                    raise
                log.info("slack: a thread of %s was deleted while it was read", channel)

    # -- one method ---------------------------------------------------------------------------------------

    def _walk(self, method: str, key: str, variables: Mapping[str, str | int]) -> Iterator[list[Any]]:
        """The pages of a list method, to its end. A cursor that repeats fails instead of going round."""
        cursor = ""
        seen: set[str] = set()
        while True:
            parameters: dict[str, str | int] = {**variables, "limit": PAGE_LIMIT}
            if cursor:
                parameters["cursor"] = cursor

            def accept(data: JsonObject) -> None:
                if not isinstance(data.get(key), list):
                    raise TransientFailure(f"slack: {method} answered without {key}")
                following = _next_cursor(data)
                if following and following in seen:
                    raise TransientFailure(f"slack: {method} leads back to a page already read")
                if data.get("has_more") and not following:
                    raise TransientFailure(f"slack: {method} announces more but does not say where")

            data = self._get(method, parameters, accept)
            yield data[key]
            cursor = _next_cursor(data)
            if not cursor:
                return
            seen.add(cursor)

    def _get(
        self, method: str, parameters: Mapping[str, str | int], accept: Callable[[JsonObject], None]
    ) -> JsonObject:
        def headers() -> dict[str, str]:
            self._requests += 1
            return {"Authorization": f"Bearer {self._token.get_secret_value()}"}

        def judge(answer: Answer) -> None:
            if isinstance(answer.data, dict) and "ok" in answer.data:
                if answer.data["ok"] is not True:
                    raise refusal(method, answer)
                if answer.status < 400:
                    accept(answer.data)
            elif answer.status < 400 and answer.data is not None:
                raise TransientFailure(f"slack: {method} answered without ok")

        answer = self.http.call(
            "GET", f"/api/{method}", params=parameters, headers=headers, judge=judge, retry=SLACK_RETRY
        )
        data: JsonObject = answer.data
        return data

    # -- the rest of the contract ---------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Slack counts nothing for its readers."""
        return []

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        return None

    def probe(self) -> Iterator[tuple[str, bool, str]]:
        """Ask every endpoint for one record: (what, whether it answers, what it said), for `ops doctor`."""
        try:
            who = self._get("auth.test", {}, lambda _: None)
        except OpsError as error:
            yield "credentials", False, str(error)
            return
        yield "credentials", True, f"{who.get('user')} in {who.get('team')}"
        try:
            channels = [item for page in self._channel_pages() for item in page if isinstance(item, dict)]
        except OpsError as error:
            yield "channels", False, str(error)
            return
        outside = sorted(str(item.get("name")) for item in channels if item.get("is_member") is False)
        told = f"{len(channels)} with the prefixes {', '.join(self.prefixes)}"
        yield "channels", not outside, f"{told}; invite the bot to {', '.join(outside)}" if outside else told
        try:
            next(self._user_pages(), None)
            yield "users", True, "answers"
        except OpsError as error:
            yield "users", False, str(error)

    def close(self) -> None:
        self.http.close()


# -- small parts --------------------------------------------------------------------------------------------


def refusal(method: str, answer: Answer) -> OpsError:
    """The failure that an `ok: false` stands for."""
    code = str(answer.data.get("error", "unknown_error"))
    if code in _TRANSIENT or answer.status == 429:
        return TransientFailure(f"slack: {method}: {code}", retry_after=retry_after(answer.headers))
    if code in _CREDENTIALS:
        return Refused(f"slack: {method}: the token was refused ({code}); check SLACK_BOT_TOKEN", code)
    if code == "missing_scope":
        needed = str(answer.data.get("needed", "unknown"))
        advice = f"the app lacks the scope {needed}; add it and install the app again"
        return Refused(f"slack: {method}: {advice}", code, needed)
    return Refused(f"slack: {method}: {code}", code)


def _named_only(user: Any) -> Any:
    return {key: user[key] for key in _USER_FIELDS if key in user} if isinstance(user, dict) else user


def _ts(item: Any) -> str | None:
    ts = item.get("ts") if isinstance(item, dict) else None
    return ts if isinstance(ts, str) else None


def _next_cursor(data: JsonObject) -> str:
    metadata = data.get("response_metadata")
    value = metadata.get("next_cursor") if isinstance(metadata, dict) else None
    return value if isinstance(value, str) else ""


def _has_news(parent: JsonObject, since: datetime | None) -> bool:
    """Whether a thread had a reply since then; a thread that does not say is read."""
    latest = parent.get("latest_reply")
    if since is None or not isinstance(latest, str) or not _TS.fullmatch(latest):
        return True
    return moment_of(latest) >= since


def moment_of(ts: str) -> datetime:
    """When a message was posted; the digits after the point tell messages apart and are kept to the microsecond."""
    seconds, _, fraction = ts.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(fraction[:6].ljust(6, "0")))


def _checked(items: Sequence[Any], check: Callable[[JsonObject], Record]) -> tuple[list[Record], list[Rejected]]:
    good: list[Record] = []
    bad: list[Rejected] = []
    for item in items:
        try:
            if not isinstance(item, dict):
                raise Flaw(INVALID_SHAPE, "not an object")
            good.append(check(item))
        except Flaw as flaw:
            identity = item.get("id") or item.get("ts") if isinstance(item, dict) else None
            bad.append(rejected(item, flaw, identity if isinstance(identity, str) else None))
    return good, bad


def _check_named(item: JsonObject) -> Record:
    identity = item.get("id")
    if not isinstance(identity, str) or not identity:
        raise Flaw(MISSING_ID, f"id is {identity!r}")
    return Record(identity, item)


def _check_message(message: JsonObject, channel: str) -> Record:
    ts = message.get("ts")
    if not isinstance(ts, str) or not _TS.fullmatch(ts):
        raise Flaw(MISSING_ID, f"ts is {ts!r}")
    text = message.get("text")
    if text is not None and not isinstance(text, str):
        raise Flaw(INVALID_SHAPE, "text is not text")
    edited = message.get("edited")
    changed = edited.get("ts") if isinstance(edited, dict) else None
    updated = moment_of(ts)
    for other in (changed, message.get("latest_reply")):
        if isinstance(other, str) and _TS.fullmatch(other):
            updated = max(updated, moment_of(other))
    return Record(f"{channel}:{ts}", {**message, "channel": channel}, updated)


def connect(settings: Settings, *, prefixes: Sequence[str] = DEFAULT_PREFIXES) -> SlackSource | None:
    """The workspace the settings name, or None when they name none. Opens no connection."""
    if settings.slack_bot_token is None:
        return None
    token = settings.slack_bot_token.get_secret_value().strip()
    if not token.startswith("xoxb-"):
        raise ConfigurationError("slack: SLACK_BOT_TOKEN is not a bot token (they begin with xoxb-)")
    http = HttpClient("slack", settings.slack_base_url or "https://slack.com")
    return SlackSource(http, settings.slack_bot_token, prefixes=prefixes)
