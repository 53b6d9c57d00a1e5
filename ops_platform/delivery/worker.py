"""Posting what the outbox holds: claim, say so, post, write down what came of it.

Belongs here: the worker's pass over the outbox, pacing, back-off and its report. Does not belong here: the
meaning of an unclear outcome (`reconcile.py`), the vendor's protocol (`Poster`).

A worker takes a channel at a time, with a session lock in Postgres: messages of a channel go one after the
other, and a lock that is free proves that no living worker is posting there. So a message found `sending`
under a free lock was left by a worker that died, and is looked up at once rather than after its lease. The
lease is for the worker that is not dead but stopped: when it has run out, its database session is ended, and
the worker itself refuses to post once half of its lease is gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.delivery import handover
from ops_platform.delivery.outbox import OutboxRow, advance, find_row, rows_where, wall_clock
from ops_platform.delivery.poster import ContentRefused, Poster, lighter
from ops_platform.delivery.reconcile import ReconcilePolicy, settle
from ops_platform.delivery.states import Event, IllegalTransitionError, State
from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, OpsError, PermanentFailure, TransientFailure

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

log = logging.getLogger(__name__)
Connect = Callable[[], "psycopg.Connection[Any]"]

# The first half of an advisory lock's key: what kind of thing is locked. The number only has to be ours.
_CHANNEL_LOCK = 4172
_LOCK_OF = "%(space)s, hashtext(%(channel)s)"
# Each poster takes its own: `email` for that channel, `channels` for all others.
_OURS = "(channel_key = 'email') = %(email)s"
_DUE = f"""(state = 'pending' or state = 'sending' or state = 'ambiguous' or state = 'held')
          and (state = 'sending' or not_before is null or not_before <= %(now)s)
          and (state <> 'pending' or quiet_until is null or quiet_until <= %(company)s) and {_OURS}"""


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """`pace`: least time between two messages of a channel. `lease`: within it a worker has posted or given
    up; at least twice what a poster may take. `settle`: how long after an unclear post "not found" does not
    count yet; at least what a poster may take. `backoff`, `backoff_limit`: wait after the n-th attempt that
    certainly did not arrive. `expire`: a message this old is news no more, and fails rather than surprise."""

    pace: timedelta = timedelta(seconds=1)
    lease: timedelta = timedelta(seconds=90)
    settle: timedelta = timedelta(seconds=40)
    backoff: timedelta = timedelta(seconds=5)
    backoff_limit: timedelta = timedelta(minutes=5)
    expire: timedelta = timedelta(hours=24)
    reconcile: ReconcilePolicy = field(default_factory=ReconcilePolicy)


@dataclass(frozen=True, slots=True)
class Posters:
    """Who posts what: `channels` in the channels, `email` to addresses. What has no poster waits for one."""

    channels: Poster | None = None
    email: Poster | None = None

    def each(self) -> list[tuple[Poster, bool]]:
        """The posters there are, and whether it is the one of e-mail."""
        return [(one, email) for one, email in ((self.channels, False), (self.email, True)) if one is not None]


@dataclass(slots=True)
class DeliveryReport:
    """What came of each message this call touched, in its last state, and the channels that others held."""

    rows: dict[UUID, OutboxRow] = field(default_factory=dict)
    busy_channels: set[str] = field(default_factory=set)
    posts: int = 0
    lookups: int = 0
    #: Why nothing was posted at all: the outbox was restored and its vendors were not asked yet what they show.
    blocked: str | None = None

    def saw(self, row: OutboxRow) -> OutboxRow:
        self.rows[row.id] = row
        return row

    def in_state(self, *states: State) -> list[OutboxRow]:
        return [row for row in self.rows.values() if row.state in states]

    @property
    def sent(self) -> list[OutboxRow]:
        return self.in_state(State.SENT)

    @property
    def failed(self) -> list[OutboxRow]:
        return self.in_state(State.FAILED)

    @property
    def waiting(self) -> list[OutboxRow]:
        """Not there yet, and will be tried or looked up again without anybody doing anything."""
        return self.in_state(State.PENDING, State.SENDING, State.AMBIGUOUS)

    @property
    def held(self) -> list[OutboxRow]:
        """May or may not be there, and only a person (or a readable history) can tell."""
        return self.in_state(State.HELD)

    def __str__(self) -> str:
        parts = [
            f"{len(self.sent)} sent",
            f"{len(self.waiting)} waiting",
            f"{len(self.held)} held",
            f"{len(self.failed)} failed",
        ]
        reasons = [f"{row.kind} to {row.channel_key}: {row.error}" for row in (*self.failed, *self.held, *self.waiting)]
        if self.blocked is not None:
            parts.append(f"nothing posted, for a restore is not reconciled yet: {self.blocked}")
        return ", ".join(parts) + "".join(f"; {reason}" for reason in reasons)


def deliver(
    connect: Connect,
    poster: Poster | Posters,
    *,
    now: Callable[[], datetime] = wall_clock,
    limit: int = 100,
    patience: float = 0.0,
    policy: DeliveryPolicy | None = None,
) -> DeliveryReport:
    """Post what is due and look up what is unclear; at most `limit` posts.

    `poster` is that of the channels, or `Posters`: what has none of its own waits. Opens one connection of its
    own. `now` is a machine's clock, not the business clock: leases and waits are real even where `OPS_NOW` holds
    the day still; only quiet hours are the company's. With `patience` (seconds) it waits so long for
    messages that are throttled, unsettled or in another worker's hands before it returns.
    A failure of one message never keeps another one from going; a failure of the database is raised."""
    policy = policy or DeliveryPolicy()
    report = DeliveryReport()
    deadline = time.monotonic() + patience
    conn = connect()
    try:
        if not conn.autocommit:
            conn.autocommit = True  # every step below commits by itself, whatever the caller's default
        posters = poster if isinstance(poster, Posters) else Posters(channels=poster)
        report.blocked = _restore_blocks(conn, posters)
        while report.blocked is None:
            report.busy_channels.clear()
            for each, email in posters.each():
                _pass(conn, each, now, limit, policy, report, email=email)
            wait = _next_due(conn, now(), report, posters)
            if wait is None or report.posts >= limit or time.monotonic() + wait > deadline:
                break
            time.sleep(max(wait, 0.02))
        if report.blocked is not None:
            for row in rows_where(conn, "state in ('pending', 'sending', 'ambiguous')", {}):
                report.saw(row)
        for row in report.waiting:  # another worker may have moved it since we looked
            report.saw(find_row(conn, row.id) or row)
        return report
    finally:
        conn.close()


def _restore_blocks(conn: psycopg.Connection[Any], posters: Posters) -> str | None:
    """Reconcile a restored outbox with what is shown; why that was not possible now, if it was not."""
    from ops_platform.delivery.restored import reconcile, unreconciled

    if unreconciled(conn) is None:
        return None
    try:
        reconcile(conn, posters.channels)
    except OpsError as error:
        log.warning("nothing is posted: the restored outbox could not be compared with what is shown: %s", error)
        return str(error)
    return None


def _pass(
    conn: psycopg.Connection[Any],
    poster: Poster,
    now: Callable[[], datetime],
    limit: int,
    policy: DeliveryPolicy,
    report: DeliveryReport,
    *,
    email: bool,
) -> None:
    due = {"now": now(), "company": clock.now(), "email": email}
    channels = conn.execute(
        f"select channel from ops.outbox where {_DUE} group by channel order by min(created_at)".encode(), due
    ).fetchall()
    for (channel,) in channels:
        with _channel(conn, channel, now) as ours:
            if not ours:
                report.busy_channels.add(channel)
                for row in rows_where(conn, f"channel = %(channel)s and {_DUE}", {**due, "channel": channel}):
                    report.saw(row)
                continue
            _sweep(conn, channel, now, policy, report)
            _settle_due(conn, poster, channel, now, policy, report)
            _post_due(conn, poster, channel, now, limit, policy, report)


@contextmanager
def _channel(conn: psycopg.Connection[Any], channel: str, now: Callable[[], datetime]) -> Iterator[bool]:
    """Hold `channel` for posting; yields False when another living worker has it."""
    key = {"space": _CHANNEL_LOCK, "channel": channel}
    ours = _locked(conn, key)
    if not ours and rows_where(
        conn, "channel = %(channel)s and state = 'sending' and lease_until < %(now)s", {**key, "now": now()}
    ):
        # Its worker holds the lock beyond the lease: stopped, or cut off. Ending its session frees the lock.
        import psycopg.errors

        terminate = """select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
               and classid::bigint = %(space)s::bigint and objid = hashtext(%(channel)s)::oid and objsubid = 2
               and database = (select oid from pg_database where datname = current_database())"""
        try:
            conn.execute(terminate, key)
        except psycopg.errors.InsufficientPrivilege as error:
            log.warning("the channel %s is held by a worker that stands still: %s", channel, error)
            yield False
            return
        for _ in range(20):
            if ours := _locked(conn, key):
                break
            time.sleep(0.05)
    try:
        yield ours
    finally:
        if ours and not conn.closed:
            conn.execute(f"select pg_advisory_unlock({_LOCK_OF})".encode(), key)


def _locked(conn: psycopg.Connection[Any], key: dict[str, Any]) -> bool:
    row = conn.execute(f"select pg_try_advisory_lock({_LOCK_OF})".encode(), key).fetchone()
    return bool(row and row[0])


def _sweep(
    conn: psycopg.Connection[Any],
    channel: str,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
    report: DeliveryReport,
) -> None:
    """Messages that a worker left `sending`: nobody is posting them (we hold the channel), so find out."""
    for row in rows_where(conn, "channel = %(channel)s and state = 'sending'", {"channel": channel}):
        moment = now()
        report.saw(
            advance(
                conn,
                row.id,
                Event.ABANDONED,
                attempt=row.attempts,
                not_before=moment,
                lease_until=moment + policy.settle,
                error="its worker went away while posting it",
            )
        )


def _settle_due(
    conn: psycopg.Connection[Any],
    poster: Poster,
    channel: str,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
    report: DeliveryReport,
) -> None:
    for row in rows_where(
        conn,
        """channel = %(channel)s and state in ('ambiguous', 'held')
           and (not_before is null or not_before <= %(now)s)""",
        {"channel": channel, "now": now()},
    ):
        report.lookups += 1
        report.saw(settle(conn, poster, row, now=now, policy=policy.reconcile))


def _post_due(
    conn: psycopg.Connection[Any],
    poster: Poster,
    channel: str,
    now: Callable[[], datetime],
    limit: int,
    policy: DeliveryPolicy,
    report: DeliveryReport,
) -> None:
    while report.posts < limit:
        claim = _claim(conn, channel, now, policy, report)
        if claim is None:
            return
        report.posts += 1
        after = report.saw(_post(conn, poster, *claim, now, policy))
        if after.state is State.AMBIGUOUS:
            report.lookups += 1
            report.saw(settle(conn, poster, after, now=now, policy=policy.reconcile))


def _claim(
    conn: psycopg.Connection[Any],
    channel: str,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
    report: DeliveryReport,
) -> tuple[OutboxRow, float] | None:
    """The channel's next message, now `sending` and committed as such, and the monotonic second its lease
    began; None when nothing is due."""
    while True:
        with conn.transaction():
            due = rows_where(
                conn,
                """id = (select o.id from ops.outbox o left join ops.outbox p on p.id = o.thread_of
                    where o.channel = %(channel)s and o.state = 'pending'
                      and (o.not_before is null or o.not_before <= %(now)s or o.created_at <= %(expired)s)
                      and (o.quiet_until is null or o.quiet_until <= %(company)s)
                      and (p.id is null or p.state in ('sent', 'failed') or o.created_at <= %(expired)s)
                    order by o.created_at, o.id limit 1 for update of o skip locked)""",
                {"channel": channel, "now": now(), "company": clock.now(), "expired": now() - policy.expire},
            )
            if not due:
                return None
            row = due[0]
            parent = find_row(conn, row.thread_of) if row.thread_of else None
            if row.created_at <= now() - policy.expire:
                hours = policy.expire.total_seconds() / 3600
                why = f"not delivered within {hours:g} h" + (f" (last: {row.error})" if row.error else "")
                report.saw(advance(conn, row.id, Event.EXPIRED, error=why))
                continue
            if parent is not None and parent.state is State.FAILED:
                report.saw(advance(conn, row.id, Event.ORPHANED, error="the message it answers failed"))
                continue
            _pace(conn, channel, now, policy)
            began = time.monotonic()
            claimed = advance(
                conn,
                row.id,
                Event.CLAIMED,
                attempts=row.attempts + 1,
                lease_until=now() + policy.lease,
                not_before=None,
            )
            failpoint("outbox.claimed")
        failpoint("outbox.sending")
        return claimed, began


def _pace(conn: psycopg.Connection[Any], channel: str, now: Callable[[], datetime], policy: DeliveryPolicy) -> None:
    """Wait until the channel may have its next message. The last one may have been another process's."""
    row = conn.execute(
        "select max(sent_at) from ops.outbox where channel = %(channel)s and state = 'sent'",
        {"channel": channel},
    ).fetchone()
    last = row[0] if row else None
    if last is not None:
        wait = min((last + policy.pace - now()).total_seconds(), policy.pace.total_seconds())
        if wait > 0:
            time.sleep(wait)


def _post(
    conn: psycopg.Connection[Any],
    poster: Poster,
    row: OutboxRow,
    began: float,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
) -> OutboxRow:
    """One attempt at a claimed message, and what came of it. `began` is when its lease did."""
    parent = find_row(conn, row.thread_of) if row.thread_of else None
    failpoint("outbox.before_post")
    if time.monotonic() - began > policy.lease.total_seconds() / 2:
        # This process stood still. Another worker may have taken over: the only safe thing is not to post.
        return _wrote(conn, row, Event.NOT_SENT, error="its worker stood still", not_before=None, lease_until=None)
    try:
        external_id = poster.post(
            row.channel, row.payload, outbox_id=row.id, thread_of=parent.external_id if parent else None,
            hand_over=lambda known_as: handover.note(conn, row, known_as),
        )  # fmt: skip
    except ContentRefused as error:
        plain, what = lighter(row.payload)
        if plain is not None:
            from psycopg.types.json import Jsonb

            plain["layout_refused"] = str(error)
            note = f"the vendor refused the layout ({error}); {what} goes instead"
            log.warning("outbox %s: %s", row.id, note)
            return _wrote(conn, row, Event.REFUSED_CONTENT, payload=Jsonb(plain), error=note, lease_until=None)
        return _wrote(conn, row, Event.REFUSED, error=str(error), lease_until=None)
    except PermanentFailure as error:
        return _wrote(conn, row, Event.REFUSED, error=str(error), lease_until=None)
    except AmbiguousFailure as error:
        return _unclear(conn, row, str(error), now, policy)
    except TransientFailure as error:
        return _not_sent(conn, row, error, now, policy)
    except Exception as error:  # a poster that fails in a way it does not know may have posted
        log.exception("outbox %s: unexpected failure while posting", row.id)
        return _unclear(conn, row, f"{type(error).__name__}: {error}", now, policy)
    failpoint("outbox.posted")
    with conn.transaction():
        sent = _wrote(conn, row, Event.ACCEPTED, external_id=external_id, sent_at=now(), error=None, lease_until=None)
        failpoint("outbox.marked")
    failpoint("outbox.sent")
    return sent


def _unclear(
    conn: psycopg.Connection[Any],
    row: OutboxRow,
    why: str,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
) -> OutboxRow:
    moment = now()
    return _wrote(conn, row, Event.UNCLEAR, error=why, not_before=moment, lease_until=moment + policy.settle)


def _not_sent(
    conn: psycopg.Connection[Any],
    row: OutboxRow,
    error: TransientFailure,
    now: Callable[[], datetime],
    policy: DeliveryPolicy,
) -> OutboxRow:
    backoff = min(policy.backoff * 2 ** min(row.attempts - 1, 10), policy.backoff_limit)
    wait = timedelta(seconds=error.retry_after) if error.retry_after is not None else backoff
    until = now() + wait
    written = _wrote(conn, row, Event.NOT_SENT, error=str(error), not_before=until, lease_until=None)
    # What slowed this message slows its channel: the others wait with it instead of asking one by one.
    conn.execute(
        """update ops.outbox set not_before = %(until)s where channel = %(channel)s and state = 'pending'
           and (not_before is null or not_before < %(until)s)""",
        {"until": until, "channel": row.channel},
    )
    return written


def _wrote(conn: psycopg.Connection[Any], row: OutboxRow, event: Event, **changes: Any) -> OutboxRow:
    """Write the outcome of our attempt, unless another worker has begun one since."""
    try:
        return advance(conn, row.id, event, attempt=row.attempts, **changes)
    except IllegalTransitionError as error:
        log.warning("outbox %s: outcome %s came too late: %s", row.id, event, error)
        return find_row(conn, row.id) or replace(row, error=str(error))


def _next_due(conn: psycopg.Connection[Any], at: datetime, report: DeliveryReport, posters: Posters) -> float | None:
    """Seconds until something can be done for a message that is not there yet; None when nothing can."""
    if report.busy_channels:
        return 0.2
    row = conn.execute(
        """select min(coalesce(o.not_before, %(at)s))
           from ops.outbox o left join ops.outbox p on p.id = o.thread_of
           where (o.channel_key = 'email') = any(%(kinds)s) and (o.state in ('sending', 'ambiguous')
              or (o.state = 'pending' and (p.id is null or p.state in ('sent', 'failed'))
                  and (o.quiet_until is null or o.quiet_until <= %(company)s)))""",
        {"at": at, "company": clock.now(), "kinds": [email for _, email in posters.each()]},
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return max((row[0] - at).total_seconds(), 0.0)
