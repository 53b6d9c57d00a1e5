"""The ledger of effects: kept before they are done, each done once, never repeated blindly.

Belongs here: SQL on `ops.work_effects` and `ops.work_artefacts`, the order of looking and doing. Does not belong here:
what may be staged (`effects.py`), how one kind is done and recognised (`applying.py`), HTTP
(`resources/github/writing.py`).

A row is `staged`, then `intended` (committed) before GitHub is asked, then `done`. What is found `intended` may have
happened: it is looked up first. A look that finds nothing counts only `SETTLE` after the request went out, because a
process that was killed may have left a request on its way. `not_done` was refused by GitHub for good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, OpsError, TransientFailure
from ops_platform.work_orders.staged import Effect, StagedEffect

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.applying import GitHubWrites

#: How long a request may still be on its way after its sender died. Our own timeouts are shorter.
SETTLE = timedelta(seconds=45)
OPEN = ("staged", "intended")

_COLUMNS = (
    "id, work_id, name, kind, place, attempt, staged_by, payload, marker, cut, state, tries, result, error, staged_at,"
    " intended_at, settled_at"
)


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of applying an order's effects. `done` are those done now, `left` those not begun because an earlier
    one was not done; `failed` is that one, with `reason`."""

    done: tuple[Effect, ...]
    left: tuple[str, ...] = ()
    failed: str | None = None
    reason: str = ""

    @property
    def whole(self) -> bool:
        """Whether everything that was staged is done."""
        return self.failed is None and not self.left


def wall_clock() -> datetime:
    """The machine's clock: what may still be on its way has nothing to do with `OPS_NOW`."""
    return datetime.now(UTC)


# -- keeping ----------------------------------------------------------------------------------------------------


def keep(
    connection: psycopg.Connection[Any],
    work_id: int,
    effect: StagedEffect,
    payload: Mapping[str, Any],
    marker: str,
    staged_by: str,
    *,
    attempt: int = 0,
    cut: Mapping[str, int] | None = None,
) -> bool:
    """Stage it in the caller's transaction. False where it was begun or done before, and stands. What GitHub refused
    may be staged anew."""
    from psycopg.types.json import Jsonb

    row = connection.execute(
        """insert into ops.work_effects
               (work_id, name, kind, place, attempt, staged_by, payload, marker, cut, staged_at)
           values (%s, %s, %s,
               (select coalesce(max(place), 0) + 1 from ops.work_effects where work_id = %s), %s, %s, %s, %s, %s, %s)
           on conflict (work_id, name) where state <> 'refused' do update
           set kind = excluded.kind, place = excluded.place, attempt = excluded.attempt, staged_by = excluded.staged_by,
               payload = excluded.payload, cut = excluded.cut, state = 'staged', staged_at = excluded.staged_at,
               intended_at = null, settled_at = null, error = null, result = null
           where work_effects.state in ('staged', 'not_done') returning id""",
        (
            work_id, effect.name, effect.kind, work_id, attempt, staged_by, Jsonb(dict(payload)), marker,
            Jsonb(dict(cut or {})), wall_clock(),
        ),
    ).fetchone()  # fmt: skip
    return row is not None


def refuse(
    connection: psycopg.Connection[Any],
    work_id: int,
    effect: StagedEffect,
    reason: str,
    staged_by: str,
    *,
    attempt: int = 0,
) -> None:
    """Keep that an effect was refused, and why; not what it said."""
    connection.execute(
        """insert into ops.work_effects (work_id, name, kind, place, attempt, staged_by, payload, marker, state, error,
               staged_at, settled_at)
           values (%s, %s, %s, 0, %s, %s, '{}', '', 'refused', %s, %s, %s)""",
        (
            work_id, _plain(effect.name, 60), _plain(effect.kind, 40), attempt, staged_by, _plain(reason, 400),
            wall_clock(), wall_clock(),
        ),
    )  # fmt: skip


def _plain(text: Any, most: int) -> str:
    """What a stranger named, fit to be kept and printed."""
    return "".join(each for each in str(text) if each.isprintable())[:most] or "?"


def of_order(connection: psycopg.Connection[Any], work_id: int) -> list[Effect]:
    """Everything an order staged, refused ones too, in order."""
    return _select(connection, "where work_id = %s order by place, id", (work_id,))


def state_of(connection: psycopg.Connection[Any], work_id: int, name: str) -> str | None:
    """Where one effect of an order stands; None where it was never staged."""
    row = connection.execute(
        "select state from ops.work_effects where work_id = %s and name = %s and state <> 'refused'", (work_id, name)
    ).fetchone()
    return None if row is None else str(row[0])


def stage_again(connection: psycopg.Connection[Any], work_id: int, name: str) -> None:
    """An effect that GitHub refused for a reason that is not its own waits again, in the caller's transaction."""
    connection.execute(
        """update ops.work_effects set state = 'staged', intended_at = null, settled_at = null
           where work_id = %s and name = %s and state = 'not_done'""",
        (work_id, name),
    )


def unfinished(connection: psycopg.Connection[Any], limit: int = 100) -> list[Effect]:
    """What is staged or begun, oldest first: for whoever looks after what was left behind."""
    return _select(connection, "where state in ('staged', 'intended') order by staged_at limit %s", (limit,))


def refusals(connection: psycopg.Connection[Any], since: datetime) -> list[Effect]:
    """What was refused since a moment: the security event behind the alert."""
    return _select(connection, "where state = 'refused' and staged_at >= %s order by id", (since,))


def _select(connection: psycopg.Connection[Any], where: str, values: Sequence[Any]) -> list[Effect]:
    rows = connection.execute(f"select {_COLUMNS} from ops.work_effects {where}".encode(), values)
    return [Effect(*row) for row in rows]


# -- doing ------------------------------------------------------------------------------------------------------


def apply(
    connection: psycopg.Connection[Any],
    work_id: int,
    github: GitHubWrites,
    *,
    still: Callable[[], bool] | None = None,
    settle: timedelta = SETTLE,
) -> Applied:
    """Do an order's staged effects, each once, in order, until one is not done. Commits as it goes.

    `still` is asked before each: false stops (the lease was lost, the issue withdrawn). Raises `TransientFailure` where
    nothing certain can be said yet or GitHub wants us to wait: call again. What GitHub refuses for good is `failed`."""
    from ops_platform.work_orders.applying import Doing

    connection.commit()
    if not _lock(connection, work_id):
        raise TransientFailure(f"another process applies the effects of work order {work_id}", retry_after=5.0)
    try:
        order = connection.execute(
            "select repository, number from ops.work_orders where id = %s", (work_id,)
        ).fetchone()
        if order is None:
            raise LookupError(f"there is no work order {work_id}")
        doing = Doing(connection, github, str(order[0]), int(order[1]))
        done: list[Effect] = []
        rows = [row for row in of_order(connection, work_id) if row.state in OPEN]
        connection.commit()
        for place, row in enumerate(rows):
            rest = tuple(each.name for each in rows[place:])
            if still is not None and not still():
                return Applied(tuple(done), rest, None, "stopped: the order is no longer ours to answer")
            reason = _once(connection, doing, row, settle)
            if reason is not None:
                return Applied(tuple(done), rest[1:], row.name, reason)
            done += _select(connection, "where id = %s", (row.id,))
            connection.commit()
        return Applied(tuple(done))
    finally:
        _unlock(connection, work_id)


def _once(connection: psycopg.Connection[Any], doing: Any, row: Effect, settle: timedelta) -> str | None:
    """Do one effect; why it was not done, or None."""
    if row.state == "intended" and row.intended_at is not None:
        # Raises where the look itself fails: nothing is known then, and nothing is repeated.
        found = doing.look_up(row)
        if found is not None:
            _settle(connection, row.id, "done", result=found)
            return None
        if doing.leaves_traces(row) and wall_clock() - row.intended_at < settle:
            left = (row.intended_at + settle - wall_clock()).total_seconds()
            raise TransientFailure(
                f"whether {row.name} of work order {row.work_id} was done is not known yet", retry_after=max(1.0, left)
            )
    _intend(connection, row.id)
    failpoint("work_orders.effect_intended")
    try:
        result = doing.do(row)
    except AmbiguousFailure:
        raise  # stays intended: the next call looks before it repeats
    except TransientFailure as failure:
        # Certainly not done: nothing was taken by GitHub. The next call need not wait.
        _back(connection, row.id, str(failure))
        raise
    except OpsError as error:
        _settle(connection, row.id, "not_done", error=str(error))
        return str(error)
    failpoint("work_orders.effect_done")
    _settle(connection, row.id, "done", result=result)
    failpoint("work_orders.effect_noted")
    return None


def _intend(connection: psycopg.Connection[Any], effect_id: int) -> None:
    connection.execute(
        "update ops.work_effects set state = 'intended', intended_at = %s, tries = tries + 1 where id = %s",
        (wall_clock(), effect_id),
    )
    connection.commit()


def _back(connection: psycopg.Connection[Any], effect_id: int, error: str) -> None:
    connection.rollback()
    connection.execute(
        "update ops.work_effects set state = 'staged', intended_at = null, error = %s where id = %s",
        (error[:400], effect_id),
    )
    connection.commit()


def _settle(
    connection: psycopg.Connection[Any], effect_id: int, state: str, *, result: Any = None, error: str | None = None
) -> None:
    from psycopg.types.json import Jsonb

    if state != "done":
        connection.rollback()
    connection.execute(
        "update ops.work_effects set state = %s, result = %s, error = %s, settled_at = %s where id = %s",
        (state, None if result is None else Jsonb(result), error and error[:400], wall_clock(), effect_id),
    )
    connection.commit()


# One process an order: the lock is the session's, so it goes with a process that is killed.
_SPACE = 0x574F


def _lock(connection: psycopg.Connection[Any], work_id: int) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s, %s)", (_SPACE, work_id % 2**31)).fetchone()
    connection.commit()
    return bool(row and row[0])


def _unlock(connection: psycopg.Connection[Any], work_id: int) -> None:
    if connection.closed:
        return
    connection.rollback()
    connection.execute("select pg_advisory_unlock(%s, %s)", (_SPACE, work_id % 2**31))
    connection.commit()
