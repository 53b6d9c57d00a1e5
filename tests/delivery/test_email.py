"""E-mail from the outbox to the sandbox's mail server, whose ledger judges: each mail once, or told as unclear."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ops_platform.delivery import Posters, State, deliver, find_row
from ops_platform.delivery.email import enqueue_words
from ops_platform.delivery.files import contents
from ops_platform.delivery.outbox import decide
from ops_platform.delivery.states import Event
from ops_platform.failures import ConfigurationError, PermanentFailure
from ops_platform.settings import Settings
from resources.email import EmailPoster, MailServer
from tests.conftest import Connect
from tests.database.fresh_database import dsn_of
from tests.delivery.conftest import FAST
from tests.delivery.mailing import afternoon
from tests.delivery.sandboxed import Sandbox, running_sandbox
from tests.killed import ended, preload, start

BOARD, LEADERS = "board@northbeam.example", "leadership@northbeam.example"
# What is refused for now is tried again at once, what was handed over is looked at at once.
QUICK = replace(FAST, settle=timedelta(0))


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(vendor: Sandbox) -> Iterator[Sandbox]:
    yield vendor
    vendor.calm()
    vendor.control("POST", "mutate", {"vendor": "mail", "op": "set_size", "data": {"bytes": 10_485_760}})


@pytest.fixture
def poster(sandbox: Sandbox, warehouse: Connect) -> EmailPoster:
    return EmailPoster(server_of(sandbox), lambda files: contents(warehouse, files))


def server_of(sandbox: Sandbox, **changes: Any) -> MailServer:
    given = sandbox.control("GET", "environment")
    server = MailServer.from_settings(Settings(smtp_url=given["SMTP_URL"], smtp_from=given["SMTP_FROM"]))
    assert server is not None
    return replace(server, **changes)


def put(warehouse: Connect, *to: str, **changes: Any) -> list[Any]:
    arguments = {"kind": "note", "to": to or (BOARD,), "subject": "Ünïcode ✓", "text": "One.\n.two\n", **changes}
    with warehouse() as conn:
        return enqueue_words(conn, key=str(uuid.uuid4()), **arguments)


def taken(sandbox: Sandbox, *rows: Any) -> list[int]:
    """How often the server took each row's mail."""
    ids = [e["detail"]["message_id"] for e in sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")]
    return [ids.count(f"<{row.id}@northbeam.example>") for row in rows]


def state(warehouse: Connect, row: Any) -> Any:
    with warehouse() as conn:
        found = find_row(conn, row.id)
    assert found is not None
    return found


def mail(sandbox: Sandbox, row: Any) -> dict[str, Any]:
    entries = sandbox.control("GET", "ledger?vendor=mail&kind=mail_accepted")
    found = [e["detail"] for e in entries if e["detail"]["message_id"] == f"<{row.id}@northbeam.example>"]
    assert len(found) == 1
    return found[0]


def spoil(sandbox: Sandbox, name: str, point: str, **options: Any) -> None:
    sandbox.control("POST", "faults", {"vendor": "mail", "fault": name, "point": point, **options})


def test_a_mail_for_each_address_once(warehouse: Connect, sandbox: Sandbox, poster: EmailPoster) -> None:
    rows = put(warehouse, BOARD, LEADERS, BOARD, files={"numbers.csv": b"a,b\r\n1,2\r\n"}, html="<p>One.</p>")
    assert [row.channel for row in rows] == [BOARD, LEADERS]
    for _ in range(3):
        deliver(warehouse, Posters(email=poster), policy=FAST)
    assert taken(sandbox, *rows) == [1, 1]
    got = mail(sandbox, rows[1])
    # Nobody sees who else got it; what a line begins with is not lost; the file is the file.
    assert got["to"] == [LEADERS]
    assert got["text"].splitlines() == ["One.", ".two"]
    assert (got["subject"], got["auto_submitted"]) == ("Ünïcode ✓", "auto-generated")
    assert [(p["name"], p["type"], p["size"]) for p in got["parts"]] == [("numbers.csv", "text/csv", 10)]
    assert state(warehouse, rows[0]).external_id == f"<{rows[0].id}@northbeam.example>"


@pytest.mark.parametrize("point", ["connect", "login", "mail", "rcpt", "data"])
def test_what_breaks_before_the_end_is_sent_afterwards(
    point: str, warehouse: Connect, sandbox: Sandbox, poster: EmailPoster
) -> None:
    (row,) = put(warehouse)
    spoil(sandbox, "drop", point)
    deliver(warehouse, Posters(email=poster), policy=QUICK, patience=3)
    assert (taken(sandbox, row), state(warehouse, row).state) == ([1], State.SENT)


def test_greylisting_is_waited_out_and_slows_nobody_else(
    warehouse: Connect, sandbox: Sandbox, poster: EmailPoster
) -> None:
    grey, other = put(warehouse, BOARD, LEADERS)
    spoil(sandbox, "refuse", "rcpt", times=1, match={"body_contains": "board@"})
    report = deliver(warehouse, Posters(email=poster), policy=QUICK)
    waiting = state(warehouse, grey)
    assert (taken(sandbox, grey, other), waiting.state) == ([0, 1], State.PENDING)
    assert "451" in (waiting.error or "")
    assert waiting.not_before is not None
    assert (waiting.not_before - waiting.updated_at) > timedelta(minutes=1)
    assert len(report.waiting) == 1
    later = lambda: waiting.not_before + timedelta(seconds=1)  # noqa: E731
    deliver(warehouse, Posters(email=poster), policy=QUICK, now=later)
    assert taken(sandbox, grey) == [1]


def test_what_a_server_refuses_for_good(warehouse: Connect, sandbox: Sandbox, poster: EmailPoster) -> None:
    stranger, other = put(warehouse, "nobody@northbeam.example", BOARD)
    deliver(warehouse, Posters(email=poster), policy=FAST)
    assert state(warehouse, stranger).state is State.FAILED
    assert "550 5.1.1" in (state(warehouse, stranger).error or "")
    assert taken(sandbox, other) == [1]
    for wrong, said in (
        ({"password": "wrong"}, "535"), ({"authority": ""}, "not trusted"), ({"sender": "me@else.example"}, "553"),
    ):  # fmt: skip
        (row,) = put(warehouse)
        broken = EmailPoster(server_of(sandbox, **wrong), lambda files: [])
        deliver(warehouse, Posters(email=broken), policy=FAST)
        assert state(warehouse, row).state is State.FAILED
        assert said in (state(warehouse, row).error or "")
        with pytest.raises(PermanentFailure, match=said):
            broken.identity()
    (row,) = put(warehouse)
    spoil(sandbox, "no_starttls", "connect")
    deliver(warehouse, Posters(email=poster), policy=FAST)
    assert "nothing is sent in the clear" in (state(warehouse, row).error or "")


@pytest.mark.parametrize(("fault", "there"), [("take_then_drop", 1), ("drop", 0)])
def test_an_unclear_end_is_held_and_a_person_decides(
    fault: str, there: int, warehouse: Connect, sandbox: Sandbox, poster: EmailPoster
) -> None:
    """Taken or not, we cannot know: it is never repeated by itself, and the person is told what to look for."""
    row, other = put(warehouse, BOARD, LEADERS)
    spoil(sandbox, fault, "end", match={"body_contains": "board@"})
    for _ in range(3):
        deliver(warehouse, Posters(email=poster), policy=QUICK)
    held = state(warehouse, row)
    assert (held.state, taken(sandbox, row, other)) == (State.HELD, [there, 1])
    assert f"<{row.id}@northbeam.example>" in (held.error or "")
    with warehouse() as conn:
        if there:
            decide(conn, row.id, Event.CONFIRMED, by="Dana", external_id=f"<{row.id}@northbeam.example>")
        else:
            decide(conn, row.id, Event.RESEND, by="Dana")
    deliver(warehouse, Posters(email=poster), policy=QUICK)
    assert (taken(sandbox, row), state(warehouse, row).state) == ([1], State.SENT)


def test_an_answer_that_comes_late_is_waited_for_and_one_that_does_not_is_unclear(
    warehouse: Connect, sandbox: Sandbox, poster: EmailPoster
) -> None:
    (patient,) = put(warehouse)
    spoil(sandbox, "late", "end", seconds=0.5)
    deliver(warehouse, Posters(email=poster), policy=QUICK)
    assert state(warehouse, patient).state is State.SENT
    (row,) = put(warehouse)
    hasty = EmailPoster(server_of(sandbox), lambda files: [], timeout=0.8)
    spoil(sandbox, "late", "end", seconds=3)
    deliver(warehouse, Posters(email=hasty), policy=QUICK)
    assert (taken(sandbox, row), state(warehouse, row).state) == ([1], State.HELD)


def test_what_is_too_large_goes_without_its_files(warehouse: Connect, sandbox: Sandbox, poster: EmailPoster) -> None:
    from ops_platform.delivery.email import enqueue_document
    from tests.documents.deck import deck

    sandbox.control("POST", "mutate", {"vendor": "mail", "op": "set_size", "data": {"bytes": 900_000}})
    files = {"pack.pdf": bytes(1_200_000)}
    with warehouse() as conn:
        (row,) = enqueue_document(
            conn, deck(), kind="deck", to=[BOARD], sender="Northbeam", key="deck", files=files,
            elsewhere="Its files are in the executive channel.",
        )  # fmt: skip
    deliver(warehouse, Posters(email=poster), policy=FAST)
    got = mail(sandbox, row)
    assert "in the executive channel" in got["text"]
    assert "in the executive channel" in got["html"]
    # Its pictures still go with it, each named where it is shown, nothing from outside.
    assert {part["disposition"] for part in got["parts"]} == {"inline"}
    shown = [part["cid"] for part in got["parts"]]
    assert len(shown) == 7
    assert all(f'src="cid:{cid}"' in got["html"] for cid in shown)
    assert state(warehouse, row).state is State.SENT


def test_slack_and_mail_wait_for_their_own_posters(warehouse: Connect, sandbox: Sandbox, poster: EmailPoster) -> None:
    from ops_platform.delivery import enqueue

    (row,) = put(warehouse)
    with warehouse() as conn:
        message = enqueue(
            conn, kind="x", period=None, channel_key="team", channel="C0TEAM", payload={"text": "x"}, dedupe_key="x"
        )
    report = deliver(warehouse, Posters(), policy=FAST)
    assert report.rows == {}
    deliver(warehouse, Posters(email=poster), policy=FAST)
    assert (state(warehouse, row).state, state(warehouse, message).state) == (State.SENT, State.PENDING)


# -- kills -----------------------------------------------------------------------------------------------------

CERTAIN = ["outbox.claimed", "outbox.sending", "outbox.before_post", "email.sent_body", "outbox.before_handover"]
UNCLEAR = ["outbox.handed_over", "email.handed_over", "outbox.posted"]
TRIALS = int(os.environ.get("OPS_KILL_TRIALS", "1"))
preload("psycopg", "tests.delivery.mailing")


# Those that every message passes are killed at in test_kill.py, too: here with the long proofs.
SHARED = {"outbox.claimed", "outbox.sending", "outbox.before_post", "outbox.marked", "outbox.sent"}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=pytest.mark.slow if point in SHARED else ())
        for point in (*CERTAIN, *UNCLEAR, "outbox.marked", "outbox.sent")
    ],
)
def test_killed_at(point: str, warehouse: Connect, sandbox: Sandbox) -> None:
    """Before the last step: sent exactly once by whoever comes next. Within it: never twice, and held where unclear."""
    dsn, given = dsn_of(warehouse), sandbox.control("GET", "environment")
    seen: Counter[str] = Counter()
    for day in range(TRIALS):
        name = f"{point} {day} {uuid.uuid4()}"
        assert ended(start(afternoon, dsn, given, name, point)) == -signal.SIGKILL
        assert ended(start(afternoon, dsn, given, name)) == 0
        assert ended(start(afternoon, dsn, given, name)) == 0
        with warehouse() as conn:
            found = conn.execute("select id from ops.outbox where kind = %s", (name,)).fetchone()
            assert found is not None
            row = find_row(conn, found[0])
        assert row is not None
        (times,) = taken(sandbox, row)
        assert times <= 1
        if point in UNCLEAR or (point == "outbox.marked"):
            assert row.state is State.HELD
        else:
            assert (times, row.state) == (1, State.SENT)
        seen[row.state] += 1
    assert sum(seen.values()) == TRIALS


def test_every_point_of_a_mail_is_killed_at() -> None:
    from tests.killed import points_in

    root = Path(sys.modules["resources.email"].__file__ or "").parent.parent
    points = points_in([root / "resources" / "email.py", root / "ops_platform" / "delivery" / "handover.py"])
    assert points == {"email.sent_body", "email.handed_over", "outbox.before_handover", "outbox.handed_over"}
    assert points <= {*CERTAIN, *UNCLEAR}


def test_the_faults_of_the_side_are_those_it_lists() -> None:
    from sandbox import mail
    from sandbox.mail.side import SEMANTIC_FAULTS

    assert mail.SIDE.faults == SEMANTIC_FAULTS


# -- settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "sender", "said"),
    [
        ("http://mail.example", "a@b.co", "must begin with"),
        ("smtp://", "a@b.co", "must begin with"),
        ("smtp://u:p@mail.example:99999", "a@b.co", "not an address"),
        ("smtp://u:p@mail.example?tls=none", "a@b.co", "in the clear"),
        ("smtps://u:p@mail.example?tls=starttls", "a@b.co", "does not go with"),
        ("smtp://user:p@mail.example", None, "SMTP_FROM"),
        ("smtp://mail.example", "a@b.co\r\nBcc: x@y.zz", "SMTP_FROM"),
        ("smtp://u:secret@mail.example?starttls=no", "a@b.co", "?tls=none"),
    ],
)
def test_a_wrong_address_says_what_is_wrong_and_not_what_it_is(url: str, sender: str | None, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        MailServer.from_settings(Settings(smtp_url=url, smtp_from=sender))
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_an_address_is_read_whole() -> None:
    url = "smtps://ops%40b.co:p%3Aw%20d@mail.example?ca=%2Fetc%2Fca.pem"
    server = MailServer.from_settings(Settings(smtp_url=url))
    assert server == MailServer("mail.example", 465, "ops@b.co", "implicit", "ops@b.co", "p:w d", "/etc/ca.pem")
    assert MailServer.from_settings(Settings()) is None
    relay = MailServer.from_settings(Settings(smtp_url="smtp://relay.internal?tls=none", smtp_from="Ops <a@b.co>"))
    assert relay is not None
    assert (relay.port, relay.user, relay.sender) == (25, "", "Ops <a@b.co>")
