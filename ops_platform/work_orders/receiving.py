"""From an issue seen to a work order: claimed once, bound to the words that an authorised person labelled.

Belongs here: deciding what a sight of an issue means for its order, and writing that down. Does not belong here:
reading GitHub (`intake.py`), putting sights together (`mirror.py`), labels (`routing.py`), the queue (`store.py`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ops_platform import clock
from ops_platform.failpoints import failpoint
from ops_platform.work_orders import decisions, doubts, mirror, policy_store, routing, store
from ops_platform.work_orders.doubts import EDITED, FORBIDDEN, RACED
from ops_platform.work_orders.mirror import KnownIssue
from ops_platform.work_orders.model import ENDED, IssueSeen, Phase, Received, WorkOrder
from ops_platform.work_orders.policy import WorkPolicy
from ops_platform.work_orders.routing import Reading, Route
from ops_platform.work_orders.rows import calendar_of, load, of_issue, reclock

if TYPE_CHECKING:
    import psycopg


def receive(
    connection: psycopg.Connection[Any], seen: IssueSeen, policy: WorkPolicy, *, at: datetime | None = None
) -> Received:
    """Take in a sight of an issue, in the caller's transaction: sights of one issue take turns. The same sight again
    changes nothing."""
    now = at or clock.now()
    if seen.is_pull_request:
        return Received("ignored", "a pull request is no work order")
    with connection.transaction():
        before = mirror.locked(connection, seen)
        merged = mirror.merge(before, seen)
        mirror.save(connection, merged.issue)
        failpoint("work_orders.issue_seen")
        made = _Receiving(connection, policy, now, before, merged.issue, seen).decide()
    failpoint("work_orders.received")
    if merged.stale and made.change == "unchanged":
        return Received("stale", "something newer is known", made.work)
    return made


class _Receiving:
    """One sight of one issue."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        policy: WorkPolicy,
        now: datetime,
        before: KnownIssue | None,
        issue: KnownIssue,
        seen: IssueSeen,
    ) -> None:
        self.connection = connection
        self.policy = policy
        self.now = now
        self.before = before
        self.issue = issue
        self.seen = seen

    def decide(self) -> Received:
        reading = routing.read(self.issue.labels, self.issue.labelled, self.policy)
        self._record_ignored(reading)
        newest = of_issue(self.connection, self.issue.repository, self.issue.number)
        if newest is not None and newest.phase not in ENDED:
            return self._about_open(newest, reading)
        return self._about_new(newest, reading)

    # -- an issue without an open order --------------------------------------------------------------------------

    def _about_new(self, last: WorkOrder | None, reading: Reading) -> Received:
        if self.issue.state != "open":
            return Received("unchanged", f"the issue is {self.issue.state}", last)
        route = reading.route
        if route is None:
            if reading.unknown:
                self._look_again()
                return Received("unauthorised", f"who set {', '.join(reading.unknown)} is not known yet", last)
            if reading.ignored:
                return Received("unauthorised", "; ".join(reading.ignored.values()), last)
            return Received("ignored", "it has no label of work", last)
        if last is not None:
            assert last.ended_at is not None
            again = self.issue.reopened
            if again is not None and again.at > last.ended_at and again.authorised:
                by, bound_at, why = again.by, again.at, f"{again.by} opened it again"
                asked_at = again.at
            elif route.labelled_at > last.ended_at:
                by, bound_at, why = route.labelled_by, route.labelled_at, f"{route.labelled_by} labelled it again"
                asked_at = max(route.asked_at, last.ended_at)
            else:
                return Received("unchanged", f"round {last.round} is {last.phase}", last)
        else:
            by, bound_at, why = route.labelled_by, route.labelled_at, route.reason
            asked_at = route.asked_at
            if self._is_backlog(bound_at):
                return Received("ignored", "it was labelled long before work orders were connected: label it again")
        held = self._reason_to_hold(bound_at)
        work = self._insert(route, by, bound_at, asked_at, 1 if last is None else last.round + 1, held)
        self._decided(
            work, "received", f"{why}. {route.reason}" if last is not None else route.reason, actor=by,
            facts={
                "source": self.seen.source, "labels": list(self.issue.labels), "body_hash": work.body_hash,
                "calendar": work.calendar, "due_at": None if work.due_at is None else work.due_at.isoformat(),
            },
        )  # fmt: skip
        if held is not None:
            self._decided(work, "held", held)
            return Received("held", held, work)
        return Received("queued", route.reason, work)

    def _is_backlog(self, labelled_at: datetime) -> bool:
        row = self.connection.execute(
            "select connected_at from ops.work_repositories where repository = %s", (self.issue.repository,)
        ).fetchone()
        return row is not None and row[0] is not None and labelled_at < row[0] - self.policy.intake.backlog

    def _insert(
        self, route: Route, by: str, bound_at: datetime, asked_at: datetime, number_of_round: int, held: str | None
    ) -> WorkOrder:
        issue, policy = self.issue, self.policy
        rule = policy.priorities[route.priority]
        largest = policy.intake.largest_body
        row = self.connection.execute(
            """insert into ops.work_orders (
                   repository, number, round, issue_id, node_id, title, body, body_hash, labels, assignees, author,
                   labelled_by, labelled_at, routed_by, agent, priority, approver, phase, held_reason, received_at,
                   clock_from, calendar, sla_minutes, queued_at, due_at, updated_at
               ) values (
                   %(repository)s, %(number)s, %(round)s, %(issue_id)s, %(node_id)s, %(title)s, %(body)s, %(hash)s,
                   %(labels)s, %(assignees)s, %(author)s, %(by)s, %(bound_at)s, %(routed_by)s, %(agent)s,
                   %(priority)s, %(approver)s, %(phase)s, %(held)s, %(now)s, %(clock_from)s, %(calendar)s,
                   %(minutes)s, %(queued_at)s, %(now)s, %(now)s
               ) returning id""",
            {
                "repository": issue.repository, "number": issue.number, "round": number_of_round,
                "issue_id": issue.issue_id, "node_id": issue.node_id, "title": issue.title,
                "body": issue.body[:largest], "hash": issue.body_hash, "labels": list(issue.labels),
                "assignees": list(issue.assignees), "author": issue.author, "by": by, "bound_at": bound_at,
                "routed_by": route.routed_by, "agent": route.agent, "priority": route.priority,
                "approver": route.approver, "phase": Phase.QUEUED if held is None else Phase.RECEIVED, "held": held,
                # The time counts from the label, however late it was noticed; a clock ahead of ours gains nothing.
                "clock_from": min(asked_at, self.now),
                "calendar": calendar_of(policy, route.priority, route.agent, issue.assignees),
                "minutes": rule.sla_minutes, "queued_at": None if held is not None else self.now, "now": self.now,
            },
        ).fetchone()  # fmt: skip
        assert row is not None
        work_id = int(row[0])
        policy_store.keep(
            self.connection, f"issue {issue.repository}#{issue.number}", self._words(), "issue", policy.policy_store,
            work_id=work_id, at=self.now,
        )  # fmt: skip
        if held is not None:
            self._stop_clock(work_id, held)
        reclock(self.connection, work_id, policy)
        return load(self.connection, work_id)

    def _words(self) -> str:
        return doubts.words_of(self.issue, self.policy)

    def _reason_to_hold(self, bound_at: datetime, *, let_through: bool = False) -> str | None:
        return doubts.reason_to_hold(self.issue, self.seen, self.before, bound_at, self.policy, let_through=let_through)

    # -- an issue with an open order -----------------------------------------------------------------------------

    def _about_open(self, work: WorkOrder, reading: Reading) -> Received:
        issue = self.issue
        if issue.state in mirror.GONE:
            where = f" to {self.seen.moved_to}" if self.seen.moved_to else ""
            return self._withdraw(work, f"the issue was {issue.state}{where}")
        if issue.state == "closed":
            if self._closed_by_us(work):
                return Received("unchanged", "closed by ourselves", work)
            return self._withdraw(work, f"the issue was closed{f' by {self.seen.actor}' if self.seen.actor else ''}")
        route = reading.route
        if route is None:
            if reading.unknown:
                self._look_again()
                return Received("unchanged", "who set its labels is looked up", work)
            why = "; ".join(reading.ignored.values()) or "its labels were taken off"
            return self._withdraw(work, why)
        changed = self._reroute(work, route) or self._begun_earlier(work, route)
        work = load(self.connection, work.id) if changed else work
        held = self._about_words(work, route)
        if held is not None:
            return held
        return Received("changed", changed, work) if changed else Received("unchanged", "nothing new", work)

    def _withdraw(self, work: WorkOrder, reason: str) -> Received:
        by = self.seen.actor or decisions.PLATFORM
        return Received("withdrawn", reason, store.withdraw(self.connection, work.id, reason, by, at=self.now))

    def _closed_by_us(self, work: WorkOrder) -> bool:
        if self.seen.actor.lower() in {login.lower() for login in self.policy.intake.own_logins}:
            return True
        row = self.connection.execute(
            "select 1 from ops.work_effects where work_id = %s and kind = 'close'"
            " and state in ('intended', 'done', 'unclear') limit 1",
            (work.id,),
        ).fetchone()
        return row is not None

    def _reroute(self, work: WorkOrder, route: Route) -> str:
        """Follow a change of labels or of who the issue is assigned to; what changed, in words. An order that is being
        worked on keeps its agent until the next attempt; an answer keeps everything."""
        if work.phase is Phase.ANSWERED:
            return ""
        agent = work.agent if work.phase is Phase.RUNNING else route.agent
        calendar = calendar_of(self.policy, route.priority, agent, self.issue.assignees)
        minutes = self.policy.priorities[route.priority].sla_minutes
        now = (agent, route.priority, route.approver, calendar, minutes)
        was = (work.agent, work.priority, work.approver, work.calendar, work.sla_minutes)
        same_lists = (work.labels, work.assignees) == (self.issue.labels, self.issue.assignees)
        if now == was and same_lists:
            return ""
        self.connection.execute(
            """update ops.work_orders set agent = %s, priority = %s, approver = %s, calendar = %s, sla_minutes = %s,
                   routed_by = %s, labels = %s, assignees = %s, updated_at = %s where id = %s""",
            (
                agent, route.priority, route.approver, calendar, minutes, route.routed_by, list(self.issue.labels),
                list(self.issue.assignees), self.now, work.id,
            ),
        )  # fmt: skip
        if now == was:
            return ""
        reclock(self.connection, work.id, self.policy)
        if route.priority < work.priority and route.asked_at > work.clock_from:
            self._hurry(work, route)
        names = ("agent", "priority", "approver", "calendar", "sla_minutes")
        differing = [
            f"{name} {old or 'none'} → {new or 'none'}"
            for name, old, new in zip(names, was, now, strict=True)
            if old != new
        ]
        words = "; ".join(differing)
        self._decided(work, "rerouted", f"{words}. {route.reason}", actor=route.labelled_by)
        return words

    def _begun_earlier(self, work: WorkOrder, route: Route) -> str:
        """A label that came to be known later was set earlier: its time counts from then. What changed, in words."""
        if work.round > 1 or work.phase is Phase.ANSWERED or route.asked_at >= work.clock_from:
            return ""
        self.connection.execute("update ops.work_orders set clock_from = %s where id = %s", (route.asked_at, work.id))
        reclock(self.connection, work.id, self.policy)
        words = f"its time counts from {route.asked_at:%Y-%m-%d %H:%M:%S} UTC"
        self._decided(work, "clock_corrected", f"{words}: an earlier label came to be known")
        return words

    def _hurry(self, work: WorkOrder, route: Route) -> None:
        """More urgent from now on: its shorter time counts from when that was asked for. A nearer deadline stands."""
        self.connection.execute(
            "update ops.work_orders set clock_from = %s where id = %s", (min(route.asked_at, self.now), work.id)
        )
        fresh = reclock(self.connection, work.id, self.policy)
        if work.due_at is not None and (fresh is None or fresh > work.due_at):
            self.connection.execute(
                "update ops.work_orders set clock_from = %s, sla_minutes = %s where id = %s",
                (work.clock_from, work.sla_minutes, work.id),
            )
            reclock(self.connection, work.id, self.policy)

    def _about_words(self, work: WorkOrder, route: Route) -> Received | None:
        """What follows from the words as they stand now; None where nothing does."""
        issue = self.issue
        again = route.labelled_at > work.labelled_at
        differ = issue.body_hash != work.body_hash
        if work.phase is Phase.ANSWERED:
            if differ:
                self._decided(
                    work, "edited_after_answer", "the words changed after the answer, which is about the earlier ones",
                    actor=issue.edited.by if issue.edited else decisions.PLATFORM,
                    key=f"edited_after_answer:{work.id}:{issue.body_hash}",
                )  # fmt: skip
            return None
        if work.held_reason is not None:
            return self._about_held(work, route, again=again, differ=differ)
        if differ:
            edit = issue.edited
            by_authority = edit is not None and edit.authorised and edit.at >= work.labelled_at
            if again or by_authority:
                bound_at = route.labelled_at if again else edit.at if edit else route.labelled_at
                held = self._reason_to_hold(bound_at)
                if held is None:
                    return self._bind_again(work, route.labelled_by if again or edit is None else edit.by, bound_at)
                return self._hold(work, held)
            who = f" by {edit.by}" if edit is not None and edit.at >= work.labelled_at else ""
            return self._hold(work, f"{EDITED}{who}. Read it and label it again")
        edit = issue.edited
        if (
            edit is not None
            and not edit.authorised
            and not again
            and abs(edit.at - work.labelled_at) <= self.policy.intake.race
            and self._is_new_edit()
        ):
            return self._hold(work, f"{RACED} ({edit.by}, {edit.at:%H:%M:%S} UTC). Read it and label it again")
        if again:
            self.connection.execute(
                "update ops.work_orders set labelled_by = %s, labelled_at = %s where id = %s",
                (route.labelled_by, route.labelled_at, work.id),
            )
        return None

    def _is_new_edit(self) -> bool:
        return self.before is None or self.before.edited != self.issue.edited

    def _about_held(self, work: WorkOrder, route: Route, *, again: bool, differ: bool) -> Received | None:
        """A held order goes on when an authorised person has labelled it again, or when an edit was taken back."""
        assert work.held_reason is not None
        if again:
            held = self._reason_to_hold(route.labelled_at, let_through=not differ)
            if held is None:
                if work.held_reason.startswith(FORBIDDEN) and not differ:
                    self._decided(work, "let_through", work.held_reason, actor=route.labelled_by)
                return self._bind_again(work, route.labelled_by, route.labelled_at)
            return self._hold(work, held)
        if not differ and work.held_reason.startswith(EDITED):
            return self._bind_again(work, work.labelled_by, work.labelled_at, why="the edit was taken back")
        return None

    def _hold(self, work: WorkOrder, reason: str) -> Received:
        if work.held_reason == reason:
            return Received("unchanged", reason, work)
        if work.phase is Phase.RUNNING:
            self.connection.execute(
                """update ops.work_attempts set ended_at = greatest(%s, started_at), outcome = 'held', reason = %s
                   where work_id = %s and attempt = %s and outcome is null""",
                (self.now, reason, work.id, work.attempt),
            )
        self.connection.execute(
            """update ops.work_orders set phase = 'received', held_reason = %s, lease_holder = null,
                   lease_until = null, launched_until = null, updated_at = %s where id = %s""",
            (reason, self.now, work.id),
        )
        self._stop_clock(work.id, reason)
        reclock(self.connection, work.id, self.policy)
        self._decided(work, "held", reason, actor=self.seen.actor or decisions.PLATFORM)
        return Received("held", reason, load(self.connection, work.id))

    def _bind_again(self, work: WorkOrder, by: str, bound_at: datetime, *, why: str = "") -> Received:
        """The order is about the words as they stand now. One that is being worked on begins again with them."""
        issue = self.issue
        running = work.phase is Phase.RUNNING
        if running:
            self._hold(work, "its words were changed by somebody who may")
        self.connection.execute(
            """update ops.work_clock set resumed_at = greatest(paused_at, %s), resumed_by = %s
               where work_id = %s and resumed_at is null and by = %s""",
            (self.now, by, work.id, decisions.PLATFORM),
        )
        self.connection.execute(
            """update ops.work_orders
               set title = %(title)s, body = %(body)s, body_hash = %(hash)s, labelled_by = %(by)s,
                   labelled_at = %(bound_at)s, held_reason = null,
                   phase = case when phase = 'blocked' then 'blocked' else 'queued' end,
                   queued_at = coalesce(queued_at, %(now)s), updated_at = %(now)s
               where id = %(id)s""",
            {
                "title": issue.title, "body": issue.body[: self.policy.intake.largest_body], "hash": issue.body_hash,
                "by": by, "bound_at": bound_at, "now": self.now, "id": work.id,
            },
        )  # fmt: skip
        policy_store.keep(
            self.connection, f"issue {issue.repository}#{issue.number}", self._words(), "issue",
            self.policy.policy_store, work_id=work.id, at=self.now,
        )  # fmt: skip
        reclock(self.connection, work.id, self.policy)
        reason = why or f"{by} stands for the words as they are now"
        self._decided(work, "bound_again", reason, actor=by, facts={"body_hash": issue.body_hash})
        if work.phase is Phase.BLOCKED:
            return Received(
                "queued", reason,
                store.requeue(self.connection, work.id, by, reason, policy=self.policy, at=self.now),
            )  # fmt: skip
        return Received("queued", reason, load(self.connection, work.id))

    # -- small parts ---------------------------------------------------------------------------------------------

    def _stop_clock(self, work_id: int, reason: str) -> None:
        if "held" in self.policy.pause_when:
            self.connection.execute(
                """insert into ops.work_clock (work_id, paused_at, reason, by) values (%s, %s, %s, %s)
                   on conflict (work_id) where resumed_at is null do nothing""",
                (work_id, self.now, f"held: {reason}"[:2000], decisions.PLATFORM),
            )

    def _look_again(self) -> None:
        self.connection.execute(
            "update ops.work_issues set look_again = true where repository = %s and number = %s",
            (self.issue.repository, self.issue.number),
        )

    def _record_ignored(self, reading: Reading) -> None:
        """A label that does not count, told once for each time it was set."""
        for label, why in reading.ignored.items():
            who = self.issue.labelled[label]
            decisions.record(
                self.connection, "label_ignored", why, repository=self.issue.repository, number=self.issue.number,
                actor=who.by or "somebody", facts={"label": label},
                key=f"ignored:{self.issue.repository}#{self.issue.number}:{label}:{who.at.isoformat()}"[:400],
                at=self.now,
            )  # fmt: skip

    def _decided(
        self,
        work: WorkOrder,
        decision: str,
        reason: str,
        *,
        actor: str = decisions.PLATFORM,
        facts: dict[str, Any] | None = None,
        key: str | None = None,
    ) -> None:
        decisions.record(
            self.connection, decision, reason, work_id=work.id, repository=self.issue.repository,
            number=self.issue.number, actor=actor or decisions.PLATFORM, facts=facts, key=key, at=self.now,
        )  # fmt: skip
