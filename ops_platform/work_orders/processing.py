"""One attempt at one order: claimed, answered, staged, posted, reported. The same code for a run, a terminal, a test.

Belongs here: the order of the steps, the lease while they last, what a failure of any of them becomes. Does not belong
here: any one step (`agents/`, `effects.py`, `store.py`, `showing.py`, `oversight.py`), when attempts begin
(`queue.py`).

Nothing is posted that was not staged and committed first, so an attempt that dies anywhere is gone on with: an answer
that was staged is posted by the next one and no model is asked again; what may have been posted is looked up. The order
becomes answered or done after GitHub has the answer, never before.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ops_platform.failpoints import failpoint
from ops_platform.failures import ConfigurationError, PermanentFailure, TransientFailure, in_words
from ops_platform.work_orders import answers, effects, ledger, manager, oversight, sanitising, showing, store
from ops_platform.work_orders.model import FailureClass, Phase
from ops_platform.work_orders.store import LostLeaseError

if TYPE_CHECKING:
    from types import TracebackType

    from ops_platform.work_orders.agents.model import Answer
    from ops_platform.work_orders.answers import KeptAnswer
    from ops_platform.work_orders.model import WorkOrder
    from ops_platform.work_orders.office import Office

#: Effects of an agent that are made once an order, whatever the answer is made anew.
_ONCE = ("branch", "pull_request")
#: What GitHub's client says of a token that was revoked or has expired, and how long an order waits then.
_TOKEN_REFUSED = "the token was refused"  # noqa: S105
TOKEN_SECONDS = 600.0
#: What GitHub says of an issue that is not there any more (410).
_DELETED = "This issue was deleted"
_BEYOND = ("branch", "file", "pull_request", "issue")


def holder_name(run_id: str | None = None) -> str:
    """Who holds a lease: machine, process, run; never the same twice."""
    return f"{socket.gethostname()}:{os.getpid()}:{(run_id or os.urandom(4).hex())[:12]}"


@dataclass(frozen=True, slots=True)
class Processed:
    """How an attempt ended. `phase` is the order's afterwards; None where there was nothing to claim."""

    work_id: int
    phase: Phase | None
    words: str
    attempt: int = 0
    seconds: float = 0.0


@dataclass
class Attempt:
    """A claimed order on its way through the steps. Use `claimed` to begin; as a context manager it keeps the lease,
    and turns whatever a step raises into a failed attempt."""

    office: Office
    work: WorkOrder
    holder: str
    kept: KeptAnswer | None = None
    answer: Answer | None = None
    begun: float = field(default_factory=time.monotonic)
    _beat: _Heartbeat | None = None

    def __enter__(self) -> Attempt:
        self._beat = _Heartbeat(self.office, self.work.id, self.holder)
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beat is not None:
            self._beat.stop()

    # The steps ------------------------------------------------------------------------------------------------

    def take_up(self) -> None:
        """Say at the issue that it is worked on, and tell the project manager of a P0 or P1."""
        with self.office.connect() as connection:
            store.still_held_by(connection, self.work.id, self.holder)
            self.kept = answers.staged(connection, self.work)
            showing.stage_state(connection, self.office, self.work)
            oversight.started(connection, self.office, self.work)
            connection.commit()
        failpoint("work_orders.taken_up")
        if self.kept is None:
            # Where an answer waits, the state goes out with it.
            self._apply()

    def make_answer(self) -> None:
        """Have the agent answer, unless an answer waits to be posted; apart from any token where the office says so."""
        if self.kept is not None:
            self.office.log(f"{self.work.name}: attempt {self.kept.attempt} left an answer, which is posted now")
            return
        if self.office.apart is not None:
            self.office.apart(self.work, self.holder)
            with self.office.connect() as connection:
                self.kept = answers.staged(connection, self.work)
            if self.kept is None:
                raise TransientFailure("the agent's process left no answer")
            return
        with self.office.connect() as connection:
            self.answer = self.office.answering(self.work, connection)
            failpoint("work_orders.answered")
            # The document and its evidence are kept together with the staged effects, in `stage`.
            self._staged_in(connection)
            connection.commit()
        failpoint("work_orders.staged")

    def post(self) -> None:
        """Post what is staged, each effect once, and say that the order is answered, done or blocked."""
        kept = self.kept
        assert kept is not None
        self._apply()
        with self.office.connect() as connection:
            now = self.office.now()
            # Whatever happened before: nothing is said to be answered that does not stand at the issue.
            if ledger.state_of(connection, self.work.id, kept.effect) != "done":
                raise PermanentFailure("the answer does not stand at the issue")
            answers.posted(connection, kept.id, now)
            self.work = store.finish(
                connection, self.work.id, self.holder, kept.ends, kept.reason or kept.note,
                document_id=kept.document_id, tokens=kept.tokens, cost=kept.cost, policy=self.office.policy, at=now,
            )  # fmt: skip
            if self.work.phase is Phase.ANSWERED:
                manager.ask(connection, self.office, self.work, kept)
            oversight.ended(connection, self.office, self.work)
            connection.commit()
        failpoint("work_orders.posted")
        self.office.log(f"{self.work.name}: {self.work.phase} by {self.work.agent}")

    def report(self) -> None:
        """Show how it ended: labels, card, and closing what is done. What fails now, the coordinator shows later."""
        showing.show(self.office, self.work.id)

    def failed(self, error: BaseException) -> Processed:
        """What becomes of the order after a step raised `error`; shown and told."""
        if isinstance(error, LostLeaseError):
            self.office.log(f"{self.work.name}: {error}")
            return self._outcome(str(error))
        kind, words = _class_of(error), _words_of(error)
        try:
            with self.office.connect() as connection:
                self.work = store.fail(
                    connection, self.work.id, self.holder, kind, words,
                    retry_after=getattr(error, "retry_after", None), policy=self.office.policy, at=self.office.now(),
                )  # fmt: skip
                if self.work.phase is Phase.FAILED:
                    oversight.ended(connection, self.office, self.work)
                connection.commit()
        except LostLeaseError as lost:
            return self._outcome(str(lost))
        self.office.log(f"{self.work.name}: attempt {self.work.attempt} failed ({kind}): {words}")
        if self.work.phase is Phase.FAILED:
            showing.show(self.office, self.work.id)
        return self._outcome(words)

    def done(self) -> Processed:
        return self._outcome(self.work.reason or "")

    # Parts ----------------------------------------------------------------------------------------------------

    def _outcome(self, words: str) -> Processed:
        with self.office.connect() as connection:
            work = store.load(connection, self.work.id)
        return Processed(work.id, work.phase, words, self.work.attempt, time.monotonic() - self.begun)

    def _staged_in(self, connection: Any) -> None:
        """Stage the answer in the transaction that keeps its document. Raises `LostLeaseError` where the order is no
        longer ours, or the issue's words changed."""
        from ops_platform.work_orders.agents import find

        made = self.answer
        assert made is not None
        work = store.still_held_by(connection, self.work.id, self.holder)
        agent = find(work.agent)
        # Kept as it will stand at the issue: that is what the manager is shown.
        body = sanitising.markdown(made.text).text.rstrip()
        before = {
            (row.kind, row.payload.get("branch")) for row in ledger.of_order(connection, work.id)
            if row.state in ("done", "intended")
        }  # fmt: skip
        proposed = [
            effects.StagedEffect(each.kind, f"{each.name}:{work.attempt}"[-60:], each.payload)
            for each in made.effects
            if not (each.kind in _ONCE and (each.kind, each.payload.get("branch")) in before)
        ]
        # What runs, or reaches further than the issue, waits for a person where the role says so.
        held = [each for each in proposed if agent.needs_manager and each.kind in _BEYOND]
        waits = bool(held) or work.needs_manager
        ends: answers.Ends = "blocked" if not made.complete else ("answered" if waits else "done")
        self.kept = answers.keep(
            connection, work, ends=ends, reason=made.reason if ends == "blocked" else "", note=made.note, body=body,
            document_id=made.document_id, tokens=made.tokens, cost=made.cost, now=self.office.now(),
            held=[{"kind": each.kind, "name": each.name, "payload": dict(each.payload)} for each in held]
            if ends == "answered" else [],
        )  # fmt: skip
        at_once = [each for each in proposed if each not in held]
        if at_once:
            allowed = effects.within(agent.effects, self.office.policy.caps)
            staging = effects.stage(connection, work, at_once, allowed, staged_by=work.agent)
            for refused in staging.refused:
                self.office.log(f"{work.name}: {refused.kind} {refused.name} was refused: it {refused.reason}")
        result = effects.comment(self.kept.effect, body, meta=self._meta())
        staging = effects.stage(connection, work, [result], effects.COORDINATOR, staged_by=showing.BY)
        if staging.refused:
            raise PermanentFailure(f"the answer cannot be posted: it {staging.refused[0].reason}")

    def _meta(self) -> dict[str, str | int | bool | None]:
        kept = self.kept
        assert kept is not None
        return {
            "kind": "result", "round": self.work.round, "attempt": kept.attempt, "ends": kept.ends,
            "hash": kept.body_hash, "tokens": kept.tokens, "cost": str(kept.cost), "note": kept.note,
        }  # fmt: skip

    def _apply(self) -> None:
        """Do what is staged. Waits where GitHub asks for it, as far as patience goes. Raises `OpsError`."""
        github = self.office.github
        if github is None:
            raise ConfigurationError("GitHub's writing side is not connected: set GITHUB_WRITE_TOKEN")
        until = time.monotonic() + self.office.patience
        while True:
            try:
                with self.office.connect() as connection:
                    applied = effects.apply(
                        connection, self.work.id, github, still=self._still, settle=self.office.settle
                    )
            except TransientFailure as failure:
                wait = failure.retry_after or 1.0
                if failure.exhausted or time.monotonic() + wait > until:
                    raise
                self.office.sleep(wait)
                continue
            if applied.whole:
                return
            if applied.failed is None:
                raise LostLeaseError(applied.reason or "the order is no longer ours to answer")
            if _DELETED in applied.reason:
                with self.office.connect() as connection:
                    store.withdraw(connection, self.work.id, "the issue was deleted", "github", at=self.office.now())
                    connection.commit()
                raise LostLeaseError("the issue was deleted")
            if _TOKEN_REFUSED in applied.reason:
                # Not this order's doing: it waits for another token, its answer with it.
                with self.office.connect() as connection:
                    ledger.stage_again(connection, self.work.id, applied.failed)
                    connection.commit()
                raise TransientFailure(applied.reason, retry_after=TOKEN_SECONDS)
            raise PermanentFailure(f"GitHub refused {applied.failed}: {applied.reason}")

    def _still(self) -> bool:
        try:
            with self.office.connect() as connection:
                work = store.still_held_by(connection, self.work.id, self.holder)
        except LostLeaseError:
            return False
        return work.body_hash == self.work.body_hash


def claimed(office: Office, work_id: int, holder: str, *, run_id: str | None = None) -> Attempt | None:
    """Take the order up; None where somebody else has it or its agent has no place free."""
    if office.github is None:
        return None
    with office.connect() as connection:
        queued = store.load(connection, work_id)
        rule = office.policy.agents.get(queued.agent)
        work = store.claim(
            connection, work_id, holder, office.lease_seconds, agent_limit=None if rule is None else rule.limit,
            run_id=run_id, at=office.at,
        )  # fmt: skip
        connection.commit()
    return None if work is None else Attempt(office, work, holder)


def process(office: Office, work_id: int, *, run_id: str | None = None) -> Processed:
    """The whole attempt. Never raises for what an order can do wrong: that is a failed attempt."""
    attempt = claimed(office, work_id, holder_name(run_id), run_id=run_id)
    if attempt is None:
        return Processed(work_id, None, "somebody else has it, it is not to be worked on now, or no place is free")
    try:
        with attempt:
            attempt.take_up()
            attempt.make_answer()
            attempt.post()
    except Exception as error:
        return attempt.failed(error)
    attempt.report()
    return attempt.done()


def _class_of(error: BaseException) -> FailureClass:
    import psycopg

    # A database that is away comes back; everything else is what `failures.py` says.
    return FailureClass.TRANSIENT if isinstance(error, psycopg.OperationalError) else store.class_of(error)


def _words_of(error: BaseException) -> str:
    from ops_platform.redaction import without_secrets

    return " ".join(without_secrets(in_words(error)).replace("\x00", "").split())[:2000] or type(error).__name__


class _Heartbeat(threading.Thread):
    """Keeps the lease while a step lasts; a lease that is lost is noticed by the next step."""

    def __init__(self, office: Office, work_id: int, holder: str) -> None:
        super().__init__(name=f"lease {work_id}", daemon=True)
        self._office, self._work_id, self._holder = office, work_id, holder
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._office.lease_seconds / 4):
            try:
                with self._office.connect() as connection:
                    store.heartbeat(
                        connection, self._work_id, self._holder, self._office.lease_seconds, at=self._office.at
                    )  # fmt: skip
                    connection.commit()
            except LostLeaseError:
                return
            except Exception as error:
                self._office.log(f"the lease of work order {self._work_id} could not be kept: {error}")

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=5)
