"""The companion app's database: users, subscriptions (money), tickets, and the roles; read over SQL, not HTTP.

Belongs here: what the database holds and how it changes. Does not belong here: when a sync is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.faults.scenarios import Held, Meanwhile, Scenario

if TYPE_CHECKING:
    from sandbox.server import Sandbox

# Each once here for the census and, over `payload`, for what landed.
_FACTS = {
    "users": ("updated_at", "role"),
    "subscriptions": ("updated_at", "amount"),
    "tickets": ("updated_at", "status"),
    "roles": ("name",),
}


def _rows(sandbox: Sandbox, sql: str) -> list[tuple[Any, ...]]:
    side: Any = sandbox.sides["app"]
    side._awake()
    with side._server.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return list(connection.execute(sql).fetchall())


def census(sandbox: Sandbox, stream: str) -> Held:
    columns = ", ".join(f"{name}::text" for name in _FACTS[stream])
    return {row[0]: tuple(row[1:]) for row in _rows(sandbox, f"select id::text, {columns} from public.{stream}")}


def change(meanwhile: Meanwhile) -> None:
    step, draw, now = meanwhile.step, meanwhile.draw, meanwhile.sandbox.clock.now().isoformat()
    users = [number for (number,) in _rows(meanwhile.sandbox, "select id from public.users order by id")]
    roles = [name for (name,) in _rows(meanwhile.sandbox, "select name from public.roles order by id")]
    number = 7_000_000 + step
    row = {
        "id": number,
        "user_id": draw.choice(users),
        "subject": f"Kill {step} 工厂",
        "status": "open",
        "created_at": now,
    }
    meanwhile.mutate("app", "upsert", table="tickets", row=row)
    meanwhile.mutate("app", "update", table="users", id=draw.choice(users), set={"role": draw.choice(roles)})
    paid = [identity for (identity,) in _rows(meanwhile.sandbox, "select id from public.subscriptions order by id")]
    meanwhile.mutate("app", "update", table="subscriptions", id=draw.choice(paid), set={"amount": f"{step}.25"})
    # Few enough that the shrink guard lets them go.
    if step % 4 == 0:
        meanwhile.mutate("app", "delete", table="tickets", id=number - 1)


SCENARIO = Scenario(
    "app",
    ("users", "tickets", "subscriptions", "roles"),
    census,
    {stream: ", ".join(f"payload->>'{name}'" for name in names) for stream, names in _FACTS.items()},
    change,
    unreached={"http.answering": "the database is read over its own protocol"},
    page_faults=("repeat_page", "empty_page", "short_page", "duplicate_rows"),
)
