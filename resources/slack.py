"""Slack as a source: channels, people and messages of the channels where partners write.

Belongs here: reading (`SlackSource`). Does not belong here: posting (`slack_posting.py`), deciding which
message needs an answer (dbt).

Only channels whose name begins with a configured prefix are read. A channel the bot is not a member of is
skipped and named in `skipped`; nothing else is ever skipped in silence. A message's `ts` is its id within
the channel and stays text: as a number it would lose digits.

An edit or a late reply shows nowhere but in the message itself: every sync reads the window of the last days again,
and the replies of each thread whose `latest_reply` is news. A deleted message shows nowhere at all, and stays.

A workspace may let one request of a kind through in a minute, with fifteen messages (Slack's limit for distributed
apps outside its marketplace). A sync then stops after `READING_SECONDS`, lands what it has, says how far it is
complete (`reached`), and the next one goes on there: newest messages first, one page of every channel in turn.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections import deque
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, OpsError, PermanentFailure, TransientFailure
from ops_platform.ingestion.contract import ControlTotal, LandedQuery, Page, Probe, Stream
from ops_platform.records import JsonObject, Record, Rejected
from resources.http import Answer, HttpClient, RetryPolicy, retry_after
from resources.record_checks import INVALID_SHAPE, MISSING_ID, Flaw, optional_flags, rejected, utc_text
from resources.slack_progress import ChannelProgress, Progress

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
# How long one sync may read messages; what is left then is read by the next.
READING_SECONDS = 900.0

_TRANSIENT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_CREDENTIALS = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "org_login_required"}
)
_UNREADABLE = frozenset({"not_in_channel", "channel_not_found", "is_archived", "access_denied"})
_TS = re.compile(r"\d{1,12}\.\d{1,9}")
# Of a person only what names them in a report: no e-mail, telephone or picture; of the profile only the title, which
# for guests says whom they belong to.
_USER_FIELDS = (
    "id", "team_id", "name", "real_name", "tz", "is_bot", "deleted", "is_restricted", "is_ultra_restricted",
    "is_stranger",
)  # fmt: skip
# What staging reads of a person or a channel as yes or no.
_FLAGS = ("is_archived", "is_bot", "deleted", "is_restricted", "is_ultra_restricted", "is_stranger", "is_foreign")
# The scopes of each endpoint; for private channels the second.
SCOPES = {
    "channels": ("channels:read", "groups:read"),
    "users": ("users:read",),
    "messages": ("channels:history", "groups:history"),
}

# What the same token is used for beside reading (deploy/slack/manifest.yaml).
POSTING_SCOPES = frozenset({"chat:write", "files:write"})

STREAMS = {
    stream.name: stream
    for stream in (
        Stream(VENDOR, "channels", "Channels where factories and partners write", full_refresh=True, ties_out=True),
        Stream(VENDOR, "users", "People and bots of the workspace, by name only", full_refresh=True, ties_out=True),
        Stream(
            VENDOR,
            "messages",
            "Messages and thread replies of those channels",
            look_back=LOOK_BACK,
            no_tie_out="Slack counts no messages, and lets too few requests through to read every day twice",
        ),
    )
}


class Refused(PermanentFailure):
    """Slack answered `ok: false`. `code` is its error."""

    def __init__(self, message: str, code: str, needed: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.needed = needed


class RateLimited(TransientFailure):
    """Slack let no more through within the time there was to wait."""


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
        self._until: float | None = None
        self._reached: datetime | None = None
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
        known: set[str] = set()
        for page in self._walk("users.list", "members", {}):
            known.update(user["id"] for user in page if isinstance(user, dict) and isinstance(user.get("id"), str))
            yield [_named_only(user) for user in page]
        foreign = self._foreign_users(known)
        if foreign:
            yield foreign

    def _foreign_users(self, known: set[str]) -> list[Any]:
        """People of other workspaces in channels shared with them (Slack Connect): no list of ours names them."""
        found: list[Any] = []
        for channel in [item for page in self._channel_pages() for item in page if isinstance(item, dict)]:
            if not channel.get("is_ext_shared") or channel.get("is_member") is False:
                continue
            try:
                members = [
                    member
                    for page in self._walk("conversations.members", "members", {"channel": str(channel.get("id"))})
                    for member in page
                ]
            except Refused as refused:
                if refused.code not in _UNREADABLE:
                    raise
                continue
            for member in members:
                if isinstance(member, str) and member not in known:
                    known.add(member)
                    user = self._get("users.info", {"user": member}, lambda _: None).get("user")
                    found.append({**_named_only(user), "is_foreign": True} if isinstance(user, dict) else user)
        return found

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
        self.skipped, self._reached = {}, None
        progress = Progress.of(cursor)
        resumed = progress.lead != ""
        since = min(datetime.fromisoformat(progress.since), now) - LOOK_BACK if progress.since is not None else None
        begun = progress.begun = progress.begun or utc_text(now)
        held: Page | None = None
        before = self._requests
        self._until = self.http.clock() + READING_SECONDS
        try:
            for channel, items in self._read_round(progress, since, now):
                good, bad = _checked(items, partial(_check_message, channel=channel))
                latest = max((record.updated_at for record in good if record.updated_at), default=None)
                if latest is not None:
                    # Channels are read one after the other: nothing later than the begin may become the cursor.
                    progress.latest = max(progress.latest or "", utc_text(min(latest, now)))
                if held is not None:
                    yield held
                held = Page(good, bad, None, Decimal(self._requests - before))
                before = self._requests
        finally:
            self._until = None
        at = self._end_of_round(progress, resumed, begun, now)
        # The cursor comes with the last page: an earlier one might be kept though the rest never came.
        if held is not None or at is not None:
            yield dataclasses.replace(held or Page((), ()), cursor=at)

    def _end_of_round(self, progress: Progress, resumed: bool, begun: str, now: datetime) -> str | None:
        """The cursor after what was read; sets how far it is whole (`reached`)."""
        gaps = sorted(key for key, each in progress.channels.items() if each.high)
        if not gaps and not progress.pending:
            latest = progress.latest
            progress.finish()
            if begun < utc_text(now):
                # What changed meanwhile in a part that was read by an earlier sync is seen by the next round.
                self._reached = datetime.fromisoformat(begun)
            if resumed:
                return progress.text(now)
            return min(latest, begun) if latest is not None else None
        # Of a first round that is not at its end, nothing later than the window's begin is whole.
        self._reached = datetime.fromisoformat(progress.since) if progress.since is not None else now - self.history
        log.warning(
            "slack: the workspace lets little through: older messages of %d channels and the replies of %d threads are "
            "left to the next sync; whole up to %s", len(gaps), len(progress.pending), utc_text(self._reached),
        )  # fmt: skip
        return progress.text(now)

    def reached(self, stream: Stream) -> datetime | None:
        """Up to when the read that just ended is whole, where it goes on at the next sync; None where it is whole."""
        return self._reached if stream.name == "messages" else None

    def _read_round(self, progress: Progress, since: datetime | None, now: datetime) -> Iterator[tuple[str, list[Any]]]:
        """Pages of messages, one of every channel in turn, and between them the replies of threads with news."""
        oldest = now - self.history if since is None else min(now - self.history, since)
        floor = f"{oldest.timestamp():.6f}"
        channels = {
            str(item["id"]): str(item.get("name"))
            for page in self._channel_pages()
            for item in page
            if isinstance(item, dict) and isinstance(item.get("id"), str)
        }
        progress.pending = [each for each in progress.pending if each[0] in channels]
        threads: deque[tuple[str, str]] = deque(progress.pending)
        seen: set[tuple[str, str]] = set()
        for identity in channels:
            # Unread as yet, all of it.
            progress.channels.setdefault(identity, ChannelProgress("", floor, "~"))
        for gone in set(progress.channels) - set(channels):
            del progress.channels[gone]
        walks = deque((identity, self._history(identity, progress.channels[identity])) for identity in channels)
        more_history = more_replies = True
        while (walks and more_history) or (threads and more_replies):
            if walks and more_history:
                identity, walk = walks.popleft()
                try:
                    page = next(walk, None)
                except RateLimited as limited:
                    more_history = False
                    log.info("slack: %s", limited)
                except Refused as refused:
                    if refused.code not in _UNREADABLE:
                        raise
                    name = channels[identity]
                    self.skipped[name] = refused.code
                    progress.channels[identity].high = ""
                    log.warning("slack: #%s is not read (%s); invite the bot to it", name, refused.code)
                else:
                    if page is not None:
                        walks.append((identity, walk))
                        for item in page:
                            ts = _ts(item)
                            if ts is not None:
                                seen.add((identity, ts))
                                if item.get("reply_count") and _has_news(item, since):
                                    threads.append((identity, ts))
                        if page:
                            yield identity, page
            if threads and more_replies:
                identity, parent = threads[0]
                try:
                    for fresh in self._replies(identity, parent, seen):
                        yield identity, fresh
                    threads.popleft()
                except RateLimited as limited:
                    more_replies = False
                    log.info("slack: %s", limited)
        progress.pending = list(dict.fromkeys(threads))

    def _history(self, channel: str, state: ChannelProgress) -> Iterator[list[Any]]:
        """The messages of one channel that this round has not read, newest first; `state` follows."""
        top, low, high = state.top, state.low, state.high
        # What came since the last sync of this round, and then the rest of the gap it left.
        spans = [(top or low, ""), *([(low, high)] if top and high else [])]
        for first, (after, before) in zip((True, False), spans, strict=False):
            variables = {"channel": channel, "oldest": after}
            if before:
                variables["latest"] = before
            for page in self._walk("conversations.history", "messages", variables):
                known = [ts for ts in map(_ts, page) if ts is not None]
                if known:
                    state.top = max(state.top, *known)
                    # If it ends here, everything below is still missing: the old gap with what lies above it.
                    state.low, state.high = (low if first and high else after), min(known)
                yield page
            if first and top and high:
                state.low, state.high = low, high
            else:
                state.high = ""

    def _replies(self, channel: str, parent: str, seen: set[tuple[str, str]]) -> Iterator[list[Any]]:
        try:
            for page in self._walk("conversations.replies", "messages", {"channel": channel, "ts": parent}):
                # The parent leads every page of its thread, and a reply sent to the channel too is in both.
                fresh = [item for item in page if (channel, _ts(item)) not in seen]
                seen.update((channel, ts) for ts in map(_ts, fresh) if ts is not None)
                if fresh:
                    yield fresh
        except Refused as refused:
            if refused.code != "thread_not_found":
                raise
            log.info("slack: a thread of %s was deleted while it was read", channel)

    def recheck(self, stream: Stream, payloads: Sequence[Any], *, now: datetime) -> Page:
        """Check again what was set aside; asks Slack nothing."""
        if stream.name != "messages":
            return Page(*_checked(payloads, _check_named))
        pages = [
            _checked(
                [item], partial(_check_message, channel=str(item.get("channel")) if isinstance(item, dict) else "")
            )
            for item in payloads
        ]
        return Page([each for good, _ in pages for each in good], [each for _, bad in pages for each in bad])

    # -- one method ---------------------------------------------------------------------------------------

    def _walk(self, method: str, key: str, variables: Mapping[str, str | int]) -> Iterator[list[Any]]:
        """The pages of a list method, to its end. A cursor that repeats fails instead of going round."""
        cursor = ""
        seen: set[str] = set()
        previous: list[Any] = []
        while True:
            parameters: dict[str, str | int] = {**variables, "limit": PAGE_LIMIT}
            if cursor:
                parameters["cursor"] = cursor

            def accept(data: JsonObject, previous: list[Any] = previous) -> None:
                if not isinstance(data.get(key), list):
                    raise TransientFailure(f"slack: {method} answered without {key}")
                if len(data[key]) > 1 and data[key] == previous:
                    # With a new cursor each time it would never end.
                    raise TransientFailure(f"slack: {method} shows a page again instead of the next")
                following = _next_cursor(data)
                if following and following in seen:
                    raise TransientFailure(f"slack: {method} leads back to a page already read")
                if data.get("has_more") and not following:
                    raise TransientFailure(f"slack: {method} announces more but does not say where")

            data = self._get(method, parameters, accept)
            yield data[key]
            previous, cursor = data[key], _next_cursor(data)
            if not cursor:
                return
            seen.add(cursor)

    def _get(
        self,
        method: str,
        parameters: Mapping[str, str | int],
        accept: Callable[[JsonObject], None],
        note: Callable[[Answer], None] = lambda _: None,
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

        retry = SLACK_RETRY
        if self._until is not None:
            left = max(0.0, self._until - self.http.clock())
            retry = dataclasses.replace(retry, budget_seconds=min(retry.budget_seconds, left))
        answer = self.http.call("GET", f"/api/{method}", params=parameters, headers=headers, judge=judge, retry=retry)
        note(answer)
        data: JsonObject = answer.data
        return data

    # -- the rest of the contract ---------------------------------------------------------------------------

    def control_totals(self, stream: Stream, days: Sequence[date] | None) -> list[ControlTotal]:
        """Slack counts nothing for its readers: channels and the workspace's own people are listed a second time.
        People of other workspaces are found through the channels shared with them and are not compared."""
        if stream.name == "channels":
            listing = self._channel_pages()
        elif stream.name == "users":
            listing = self._walk("users.list", "members", {})
        else:
            return []
        found = {item.get("id") for page in listing for item in page if isinstance(item, dict)}
        return [ControlTotal(stream.name, None, len(found))]

    def landed_query(self, stream: Stream) -> LandedQuery | None:
        """The landed side of the same counts."""
        if not stream.ties_out:
            return None
        own = " and not coalesce((payload->>'is_foreign')::boolean, false)" if stream.name == "users" else ""
        sql = (
            "select null::date as day, count(*)::bigint as count, null::numeric as amount"
            f" from raw_slack.{stream.name} where deleted_at is null{own}"
        )
        return LandedQuery(stream.name, sql)

    def probe(self) -> Iterator[Probe]:
        """Ask who the token is, with the scopes it was given, then each method for something known: the channels by
        their prefixes, one page of people, one message of the first channel the bot is in."""
        scopes: frozenset[str] = frozenset()

        def note(answer: Answer) -> None:
            nonlocal scopes
            scopes = frozenset(answer.headers.get("x-oauth-scopes", "").replace(" ", "").split(",")) - {""}

        try:
            who = self._get("auth.test", {}, lambda _: None, note)
        except OpsError as error:
            remedy = "install the app again and set SLACK_BOT_TOKEN to its bot token"
            yield Probe("credentials", False, str(error), remedy, tuple(STREAMS))
            return
        yield Probe("credentials", True, f"{who.get('user')} in {who.get('team')}")
        lacking = {name: wanted for name, each in SCOPES.items() if scopes and (wanted := sorted(set(each) - scopes))}
        if lacking:
            text = ", ".join(sorted({scope for each in lacking.values() for scope in each}))
            yield Probe("scopes", False, f"lacks {text}", f"add {text} and install the app again", tuple(lacking))
        elif scopes:
            needed = {scope for each in SCOPES.values() for scope in each} | POSTING_SCOPES
            yield Probe("scopes", True, "none missing", excess=tuple(sorted(scopes - needed)))
        try:
            channels = [item for page in self._channel_pages() for item in page if isinstance(item, dict)]
        except OpsError as error:
            yield _refused_probe("channels", error)
            return
        yield self._channels_probe(channels)
        try:
            people = len(next(self._walk("users.list", "members", {}), []))
            yield Probe(
                "users", people > 0, f"{people:,} on the first page", "" if people else "try again later", ("users",)
            )
        except OpsError as error:
            yield _refused_probe("users", error)
        inside = next((str(item.get("id")) for item in channels if item.get("is_member") is not False), None)
        if inside is not None:
            try:
                page = next(self._walk("conversations.history", "messages", {"channel": inside}), [])
                yield Probe("messages", True, "answers" if page else "answers, and has no message")
            except OpsError as error:
                yield _refused_probe("messages", error)

    def _channels_probe(self, channels: Sequence[JsonObject]) -> Probe:
        told = f"{len(channels)} with the prefixes {', '.join(self.prefixes)}"
        if not channels:
            remedy = "invite the bot to the channels shared with factories and partners; private ones show only then"
            return Probe("channels", False, told, remedy, ("channels", "messages"))
        outside = sorted(str(item.get("name")) for item in channels if item.get("is_member") is False)
        if outside:
            return Probe("channels", False, told, f"invite the bot to {', '.join(outside)}", ("messages",))
        return Probe("channels", True, told)

    def close(self) -> None:
        self.http.close()


# -- small parts --------------------------------------------------------------------------------------------


def refusal(method: str, answer: Answer) -> OpsError:
    """The failure that an `ok: false` stands for."""
    code = str(answer.data.get("error", "unknown_error"))
    if answer.status == 429 or code in ("ratelimited", "rate_limited"):
        return RateLimited(f"slack: {method}: {code}", retry_after=retry_after(answer.headers))
    if code in _TRANSIENT:
        return TransientFailure(f"slack: {method}: {code}", retry_after=retry_after(answer.headers))
    if code in _CREDENTIALS:
        return Refused(f"slack: {method}: the token was refused ({code}); check SLACK_BOT_TOKEN", code)
    if code == "missing_scope":
        needed = str(answer.data.get("needed", "unknown"))
        advice = f"the app lacks the scope {needed}; add it and install the app again"
        return Refused(f"slack: {method}: {advice}", code, needed)
    return Refused(f"slack: {method}: {code}", code)


def _refused_probe(endpoint: str, error: OpsError) -> Probe:
    needed = error.needed if isinstance(error, Refused) else ""
    remedy = f"add the scope {needed} and install the app again" if needed else "try again later"
    if isinstance(error, Refused) and error.code in _UNREADABLE:
        remedy = "invite the bot to the channel"
    return Probe(endpoint, False, str(error), remedy, (endpoint,))


def _named_only(user: Any) -> Any:
    if not isinstance(user, dict):
        return user
    named = {key: user[key] for key in _USER_FIELDS if key in user}
    profile = user.get("profile")
    title = profile.get("title") if isinstance(profile, dict) else None
    return {**named, "profile": {"title": title}} if isinstance(title, str) and title else named


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
    optional_flags(item, identity, *_FLAGS)
    return Record(identity, item)


def _check_message(message: JsonObject, channel: str) -> Record:
    if not channel or channel == "None":
        raise Flaw(MISSING_ID, "the channel is not known")
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
