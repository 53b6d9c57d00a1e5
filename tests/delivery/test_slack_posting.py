"""What Slack's answers mean: posted, certainly not posted, or nobody knows."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import jsonschema
import pytest

from ops_platform.delivery.poster import ContentRefused, Lookup
from ops_platform.failures import AmbiguousFailure, ConfigurationError, PermanentFailure, TransientFailure
from ops_platform.settings import Settings
from resources.slack_posting import TEXT_LIMIT, SlackPoster, channel_id, shortened
from tests.conftest import SCHEMAS
from tests.delivery.slack_fake import TOKEN, SlackFake

POST = "chat.postMessage"
READ = "conversations.history"


def post(poster: SlackPoster, channel: str = "C0EXEC", **payload: Any) -> str:
    return poster.post(channel, {"text": "hello", **payload}, outbox_id=uuid.uuid4(), thread_of=None)


def find(poster: SlackPoster, outbox_id: uuid.UUID, after: str | None = None, thread: str | None = None) -> Lookup:
    return poster.find("C0EXEC", outbox_id=outbox_id, after=after, thread_of=thread)


def test_a_post_is_tagged_quiet_and_found_again(poster: SlackPoster, slack: SlackFake) -> None:
    outbox_id = uuid.uuid4()
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*Revenue*"}}]
    ts = poster.post("C0EXEC", {"text": "Revenue", "blocks": blocks}, outbox_id=outbox_id, thread_of=None)
    (request,) = slack.requests
    assert request["arguments"] == {
        "channel": "C0EXEC",
        "text": "Revenue",
        "blocks": blocks,
        "metadata": {"event_type": "ops_outbox", "event_payload": {"outbox_id": str(outbox_id)}},
        "unfurl_links": False,
        "unfurl_media": False,
        "parse": "none",
    }
    assert request["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert find(poster, outbox_id) == Lookup(ts, complete=True)
    assert find(poster, uuid.uuid4()) == Lookup(None, complete=True, reached=None)


def test_the_request_fits_slacks_own_schema(poster: SlackPoster, slack: SlackFake) -> None:
    path = SCHEMAS / "slack" / "generated" / "PostMessageArgs.schema.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there (OPS_SCHEMAS)")
    post(poster, blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": "*x*"}}])
    jsonschema.Draft7Validator(json.loads(path.read_text())).validate(slack.requests[0]["arguments"])


@pytest.mark.parametrize(
    "kind", ["accept_then_drop", "accept_then_reset", "accept_then_500", "accept_then_html", "truncate"]
)
def test_accepted_and_lost_is_ambiguous_and_tried_once(kind: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, kind, times=5)
    with pytest.raises(AmbiguousFailure):
        post(poster)
    assert len(slack.posts()) == 1  # the SDK's default would have posted twice
    assert len(slack.requests) == 1


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_dropped_request_is_ambiguous_too(kind: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, kind)
    with pytest.raises(AmbiguousFailure):
        post(poster)
    assert slack.posts() == []


@pytest.mark.parametrize("code", ["fatal_error", "internal_error", "service_unavailable"])
def test_slacks_own_uncertainty_is_ours(code: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "error", value=code)
    with pytest.raises(AmbiguousFailure, match=code):
        post(poster)


@pytest.mark.parametrize("status", ["500", "502", "503", "504", "408"])
def test_a_servers_failure_is_ambiguous(status: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "page", value=status)
    with pytest.raises(AmbiguousFailure):
        post(poster)


@pytest.mark.parametrize(
    "code",
    ["channel_not_found", "not_in_channel", "is_archived", "invalid_auth", "token_revoked", "missing_scope",
     "msg_too_long", "no_text", "restricted_action", "an_error_nobody_listed"],
)  # fmt: skip
def test_a_no_is_a_no(code: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "error", value=code)
    with pytest.raises(PermanentFailure, match=code):
        post(poster)


def test_a_wrong_token_is_refused(slack: SlackFake) -> None:
    with pytest.raises(PermanentFailure, match="invalid_auth"):
        post(SlackPoster("xoxb-wrong", base_url=slack.url))


@pytest.mark.parametrize("code", ["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"])
def test_a_refused_layout_is_told_apart(code: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "error", value=code)
    with pytest.raises(ContentRefused, match=code):
        post(poster)


def test_throttled_says_for_how_long(poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "ratelimited", value="37")
    with pytest.raises(TransientFailure, match="ratelimited") as caught:
        post(poster)
    assert not isinstance(caught.value, AmbiguousFailure)
    assert caught.value.retry_after == 37


def test_a_proxys_block_page_is_not_slack(poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "page", value="403")
    with pytest.raises(PermanentFailure, match="HTTP 403"):
        post(poster)


def test_nobody_listening_is_certain(slack: SlackFake) -> None:
    with pytest.raises(TransientFailure, match="cannot connect") as caught:
        post(SlackPoster(TOKEN, base_url="http://127.0.0.1:9", timeout=2))
    assert not isinstance(caught.value, AmbiguousFailure)
    with pytest.raises(TransientFailure, match="cannot connect") as caught:
        post(SlackPoster(TOKEN, base_url="http://nowhere.invalid", timeout=5))
    assert not isinstance(caught.value, AmbiguousFailure)


def test_a_slow_server_is_left_after_the_timeout_and_is_ambiguous(slack: SlackFake) -> None:
    poster = SlackPoster(TOKEN, base_url=slack.url, timeout=0.5)
    slack.fault(POST, "slow", value="3")
    began = time.monotonic()
    with pytest.raises(AmbiguousFailure):
        post(poster)
    assert time.monotonic() - began < 1.5
    assert len(slack.posts()) == 1


def test_a_dripping_server_is_left_too(slack: SlackFake) -> None:
    """Each byte arrives in time, so no socket timeout ever fires."""
    poster = SlackPoster(TOKEN, base_url=slack.url, timeout=1)
    slack.fault(POST, "drip", value="60")
    began = time.monotonic()
    with pytest.raises(AmbiguousFailure, match="longer than"):
        post(poster)
    assert time.monotonic() - began < 2


def test_the_token_does_not_follow_a_redirect(poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(POST, "redirect", value=f"{slack.url}/api/steal")
    with pytest.raises((PermanentFailure, AmbiguousFailure)):
        post(poster)
    assert [request["method"] for request in slack.requests] == [POST]


def test_a_proxy_of_the_environment_is_not_used_for_loopback(monkeypatch: pytest.MonkeyPatch, slack: SlackFake) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    post(SlackPoster(TOKEN, base_url=slack.url))
    assert len(slack.posts()) == 1


def test_history_is_read_page_by_page(poster: SlackPoster, slack: SlackFake) -> None:
    outbox_id = uuid.uuid4()
    ts = poster.post("C0EXEC", {"text": "ours"}, outbox_id=outbox_id, thread_of=None)
    for number in range(35):
        slack.say("C0EXEC", f"chatter {number}")
    slack.page_size = 10
    assert find(poster, outbox_id).external_id == ts
    assert [r["method"] for r in slack.requests].count(READ) == 4


def test_a_history_too_long_is_not_called_read(poster: SlackPoster, slack: SlackFake) -> None:
    times = [float(slack.say("C0EXEC", f"chatter {number}")) for number in range(30)]
    slack.page_size = 2  # ten pages end after 20 messages
    seen = find(poster, uuid.uuid4())
    assert (seen.external_id, seen.complete) == (None, False)
    assert seen.reached is not None
    assert float(seen.reached) == pytest.approx(times[10], abs=1e-5)


def test_the_bound_is_passed_on(poster: SlackPoster, slack: SlackFake) -> None:
    slack.say("C0EXEC", "old", ts=time.time() - 9000)
    newer = slack.say("C0EXEC", "new")
    assert find(poster, uuid.uuid4(), after=f"{float(newer) - 1:.6f}").complete
    assert slack.requests[-1]["arguments"]["oldest"] == f"{float(newer) - 1:.6f}"
    assert "include_all_metadata" in slack.requests[-1]["arguments"]


def test_an_answer_is_found_in_its_thread(poster: SlackPoster, slack: SlackFake) -> None:
    parent = post(poster)
    outbox_id = uuid.uuid4()
    ts = poster.post("C0EXEC", {"text": "answer"}, outbox_id=outbox_id, thread_of=parent)
    assert slack.posts()[1]["thread_ts"] == parent
    assert find(poster, outbox_id).external_id is None  # Slack's history leaves replies out
    assert find(poster, outbox_id, thread=parent).external_id == ts


def test_another_apps_metadata_is_not_ours(poster: SlackPoster, slack: SlackFake) -> None:
    outbox_id = uuid.uuid4()
    for metadata in (
        {"event_type": "other", "event_payload": {"outbox_id": str(outbox_id)}},
        {"event_type": "ops_outbox", "event_payload": {"outbox_id": str(uuid.uuid4())}},
        {"event_type": "ops_outbox"},
        None,
    ):
        with slack.lock:
            slack._append({"channel": "C0EXEC", "text": "x", "metadata": metadata})
    assert find(poster, outbox_id) == Lookup(None, complete=True)


@pytest.mark.parametrize("code", ["missing_scope", "not_in_channel", "channel_not_found", "invalid_auth"])
def test_an_unreadable_history_says_so(code: str, poster: SlackPoster, slack: SlackFake) -> None:
    slack.fault(READ, "error", value=code)
    with pytest.raises(PermanentFailure, match=code):
        find(poster, uuid.uuid4())


@pytest.mark.parametrize(("kind", "value"), [("ratelimited", "5"), ("page", "502"), ("drop", ""), ("truncate", "")])
def test_a_history_that_fails_for_now_is_not_empty(
    kind: str, value: str, poster: SlackPoster, slack: SlackFake
) -> None:
    slack.fault(READ, kind, value=value)
    with pytest.raises(TransientFailure):
        find(poster, uuid.uuid4())


def test_a_history_that_repeats_itself_is_left(poster: SlackPoster, slack: SlackFake) -> None:
    slack.say("C0EXEC", "x")
    slack.fault(READ, "repeat_cursor", times=9)
    with pytest.raises(TransientFailure, match="repeats"):
        find(poster, uuid.uuid4())


def test_identity(poster: SlackPoster) -> None:
    assert poster.identity() == "ops in Demo"


def test_long_texts_are_cut_where_a_reader_would() -> None:
    assert shortened("x" * TEXT_LIMIT) == "x" * TEXT_LIMIT
    lines = "\n".join(["a line of the report"] * 400)
    cut = shortened(lines)
    assert len(cut) <= TEXT_LIMIT
    assert cut.endswith("report…")
    assert shortened("y" * 9000) == "y" * (TEXT_LIMIT - 1) + "…"


def test_settings_name_the_three_channels() -> None:
    settings = Settings(slack_channel_executive="C1", slack_channel_team="C2")
    assert (channel_id(settings, "executive"), channel_id(settings, "team")) == ("C1", "C2")
    with pytest.raises(ConfigurationError, match="SLACK_CHANNEL_ALERTS"):
        channel_id(settings, "alerts")
    with pytest.raises(ConfigurationError, match="no channel 'general'"):
        channel_id(settings, "general")
    with pytest.raises(ConfigurationError, match="SLACK_BOT_TOKEN"):
        SlackPoster.from_settings(settings)
