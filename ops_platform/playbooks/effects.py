"""What playbooks do at vendors: written down before it is done, never repeated blindly.

Belongs here: the one function and the SQL on `ops.playbook_effects`. Does not belong here: what is done (a tool), what
goes by the outbox or by an approval (they have ledgers of their own).

Between doing it and writing down that it was done there is a moment in which a process can die. What is found
`intended` by the next one is looked up at the vendor; where that is not possible, it is `unclear` and a person's
(`settling.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ops_platform.failpoints import failpoint
from ops_platform.failures import AmbiguousFailure, DataFailure, OpsError
from ops_platform.playbooks.record import bounded, wall_clock

if TYPE_CHECKING:
    import psycopg

Connect = Callable[[], "psycopg.Connection[Any]"]


class UnclearEffectError(DataFailure):
    """It may have been done, and nobody can look it up: the step waits until a person has said which."""


def once(
    connect: Connect,
    *,
    execution_id: int,
    step_id: str,
    key: str,
    name: str,
    request: Mapping[str, Any],
    do: Callable[[str], Any],
    look_up: Callable[[str], Any] | None,
    still_held: Callable[[], None],
) -> Any:
    """Do an external effect at most once, and return what is remembered of it (JSON).

    `still_held` is asked last before it is done, and raises where another process may have taken the step up: a machine
    that was suspended goes on where it stood, however much later. `do` is given an idempotency key to hand to the
    vendor. Raises what `do` raises; `UnclearEffectError` where the effect may have been done and cannot be looked up;
    `DataFailure` where something else is asked for under its key."""
    unclear = UnclearEffectError(
        f"{name} may have been done, and cannot be looked up: a person says which, by"
        f" `ops playbook settle {execution_id} {step_id} done` or `not-done`"
    )
    key = bounded(f"{key}:{name}")
    wanted = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
    before = _intend(connect, key, execution_id, step_id, name, wanted)
    if before is not None:
        state, asked, result = before
        if asked != hashlib.sha256(wanted).hexdigest():
            raise DataFailure(f"{name} was begun with another request: nothing is done under the same key")
        if state == "done":
            return result
        if state == "intended" and look_up is None:
            _note(connect, key, "unclear", error="a process died over it")
        if state == "unclear" or (state == "intended" and look_up is None):
            raise unclear
        if state == "intended" and look_up is not None:
            found = look_up(_digest(key))
            if found is not None:
                _note(connect, key, "done", result=found)
                return found
        _note(connect, key, "intended")
    failpoint("playbooks.effect_intended")
    still_held()
    try:
        result = do(_digest(key))
    except AmbiguousFailure as error:
        if look_up is None:
            _note(connect, key, "unclear", error=str(error))
            raise unclear from error
        raise  # stays intended: the next attempt looks before it repeats
    except OpsError as error:
        _note(connect, key, "not_done", error=str(error))
        raise
    failpoint("playbooks.effect_done")
    _note(connect, key, "done", result=result)
    failpoint("playbooks.effect_noted")
    return result


def _intend(
    connect: Connect, key: str, execution_id: int, step_id: str, name: str, request: bytes
) -> tuple[str, str, Any] | None:
    """Write the intention down; what stood there before, as (state, hash of the request, result)."""
    with connect() as connection:
        made = connection.execute(
            """insert into ops.playbook_effects (key, execution_id, step_id, name, request, state, intended_at)
               values (%s, %s, %s, %s, %s, 'intended', %s) on conflict (key) do nothing returning key""",
            (key, execution_id, step_id, name, request.decode(), wall_clock()),
        ).fetchone()
        if made is not None:
            return None
        row = connection.execute(
            "select state, request, result from ops.playbook_effects where key = %s for update", (key,)
        ).fetchone()
    assert row is not None
    asked = hashlib.sha256(orjson.dumps(row[1], option=orjson.OPT_SORT_KEYS)).hexdigest()
    return str(row[0]), asked, row[2]


def _note(connect: Connect, key: str, state: str, *, result: Any = None, error: str | None = None) -> None:
    from psycopg.types.json import Jsonb

    with connect() as connection:
        connection.execute(
            """update ops.playbook_effects set state = %s, result = %s, error = %s, settled_at = %s
               where key = %s and state <> 'done'""",
            (
                state, None if result is None else Jsonb(result), error,
                None if state == "intended" else wall_clock(), key,
            ),
        )  # fmt: skip


def _digest(key: str) -> str:
    """A vendor's idempotency key: short, and the same for ever."""
    return hashlib.sha256(key.encode()).hexdigest()[:40]
