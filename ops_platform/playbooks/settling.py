"""What a person says about an effect that nobody can look up: it was done, it was not, or the step is given up.

Belongs here: which effects wait for a word, taking one down with who said it and why. Does not belong here: how an
effect becomes unclear (`effects.py`), going on afterwards (`engine.py`).

A word counts for the moment at which the effect became unclear: the database refuses to have it settled otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ops_platform.failures import DataFailure
from ops_platform.playbooks import record
from ops_platform.playbooks.record import wall_clock

if TYPE_CHECKING:
    import psycopg

Said = Literal["done", "not_done"]
REASON_MOST = 2000


@dataclass(frozen=True, slots=True)
class Unclear:
    """An effect that waits for a word. `over` says that its execution is: nothing goes on then, whatever is said."""

    key: str
    execution_id: int
    playbook_id: str
    step_id: str
    name: str
    request: dict[str, Any]
    why: str
    since: datetime
    over: bool


_UNCLEAR = """
select effects.key, effects.execution_id, executions.playbook_id, effects.step_id, effects.name, effects.request,
    coalesce(effects.error, 'the execution was over before it was looked up'),
    coalesce(effects.settled_at, effects.intended_at), executions.state <> 'running'
from ops.playbook_effects as effects
join ops.playbook_executions as executions on executions.id = effects.execution_id
where (effects.state = 'unclear' or (effects.state = 'intended' and executions.state <> 'running'))
    and (%(execution)s::bigint is null or effects.execution_id = %(execution)s)
order by effects.intended_at, effects.key
"""


def unclear(connection: psycopg.Connection[Any], execution_id: int | None = None) -> list[Unclear]:
    """What waits for a word, the oldest first; of one execution, or of all."""
    rows = connection.execute(_UNCLEAR.encode(), {"execution": execution_id})
    return [Unclear(*row) for row in rows]


def settle(
    connection: psycopg.Connection[Any],
    execution_id: int,
    step_id: str,
    said: Said,
    *,
    person: str,
    via: str,
    reason: str,
    name: str | None = None,
    result: Any = None,
    give_up: bool = False,
) -> Unclear:
    """Take a person's word down, in the caller's transaction; what it was about. `result` is what the tool remembers of
    an effect that was done. One that was not is done by the step's next attempt; with `give_up` the step has failed
    instead. Raises `DataFailure` where nothing waits for it, or more than one effect and none is named."""
    reason = " ".join(reason.replace("\x00", "").split())
    if not reason:
        raise DataFailure("say why: it stands in the record")
    if len(reason) > REASON_MOST:
        raise DataFailure(f"the reason has {len(reason):,} characters; at most {REASON_MOST:,} are kept")
    if give_up and said == "done":
        raise DataFailure("what was done is not given up: the step goes on with it")
    record.load(connection, execution_id)
    waiting = [one for one in unclear(connection, execution_id) if one.step_id == step_id]
    found = [one for one in waiting if name is None or one.name == name]
    if not found:
        raise DataFailure(_nothing_waits(connection, execution_id, step_id, name))
    if len(found) > 1:
        raise DataFailure(f"{step_id} has more than one: name it, of {', '.join(one.name for one in found)}")
    (one,) = found
    _write(connection, one, said, person, via, reason, result, give_up)
    if give_up and not one.over:
        record.skip(connection, execution_id, step_id, f"{one.name} was not done: {person} gave it up: {reason}")
    return one


def _write(
    connection: psycopg.Connection[Any],
    one: Unclear,
    said: Said,
    person: str,
    via: str,
    reason: str,
    result: Any,
    give_up: bool,
) -> None:
    from psycopg.types.json import Jsonb

    now, kept = wall_clock(), None if result is None else Jsonb(result)
    # Of two words at once the second one waits here, and finds it said.
    row = connection.execute(
        "select state, settled_at from ops.playbook_effects where key = %s for update", (one.key,)
    ).fetchone()
    if row is None or row[0] not in ("unclear", "intended"):
        raise DataFailure(f"{one.name} was settled a moment ago")
    since = row[1]
    if row[0] == "intended":
        connection.execute(
            "update ops.playbook_effects set state = 'unclear', settled_at = %s where key = %s", (one.since, one.key)
        )
        since = one.since
    connection.execute(
        """insert into ops.playbook_settlements
               (effect_key, unclear_since, said, gave_up, result, person, via, reason, at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (one.key, since, said, give_up, kept, person, via, reason, now),
    )
    connection.execute(
        "update ops.playbook_effects set state = %s, result = %s, error = %s, settled_at = %s where key = %s",
        (said, kept if said == "done" else None, f"{person}: {reason}", now, one.key),
    )


def _nothing_waits(connection: psycopg.Connection[Any], execution_id: int, step_id: str, name: str | None) -> str:
    """Why there is nothing to say: it is settled, the machine sees to it, or it never was."""
    row = connection.execute(
        """select effects.state, said.person, said.reason from ops.playbook_effects as effects
           left join ops.playbook_settlements as said on said.effect_key = effects.key
           where effects.execution_id = %s and effects.step_id = %s and (%s::text is null or effects.name = %s)
           order by said.id desc nulls last limit 1""",
        (execution_id, step_id, name, name),
    ).fetchone()
    if row is None:
        return f"execution #{execution_id} has no effect in a step {step_id!r}"
    if row[0] == "intended":
        return f"{step_id} of execution #{execution_id} is under way: it is looked up by itself"
    told = "" if row[1] is None else f", as {row[1]} said: {row[2]}"
    return f"{step_id} of execution #{execution_id} is settled: {row[0].replace('_', ' ')}{told}"
