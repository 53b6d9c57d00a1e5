"""The contract of the app's database: no vendor publishes a schema, so the documentation is held to the code.

The SQL that `docs/connect/app.md` tells people to run is run, against an app's database that was made without it; the
role it makes reads every stream. What the client sends is held against a list of what a guest may say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from ops_platform.settings import PROJECT_ROOT
from resources import app_database
from resources.app_database.source import AppSource
from resources.app_database.tables import TABLES
from tests.connectors.conftest import NOW, World, read, started

DOCUMENT = (PROJECT_ROOT / "docs" / "connect" / "app.md").read_text(encoding="utf-8")
STEPS = dict(re.findall(r"```sql\n-- step: (\w+)[^\n]*\n(.*?)```", DOCUMENT, re.DOTALL))
PASSWORD = "choose-a-long-one"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An app's database in which the reading role has nothing yet."""
    for world in started(tmp_path_factory.mktemp("bare")):
        for statement in ("drop owned by ops_reader", "drop role ops_reader"):
            world.mutate("app", "sql", statement=statement)
        world.mutate("app", "sql", statement=STEPS["role"])
        yield world


def documented(world: World) -> AppSource:
    """Connected as the documentation says, with the password it gave."""
    assert world.settings.app_database_url is not None
    url = world.settings.app_database_url.get_secret_value().replace("sandbox-reader", PASSWORD)
    source = app_database.connect(world.settings.model_copy(update={"app_database_url": SecretStr(url)}))
    assert source is not None
    return source


def test_the_documented_steps_are_there() -> None:
    assert set(STEPS) == {"role", "grants", "views", "indexes", "optional"}


def test_the_documented_role_and_grants_read_everything_and_nothing_more(bare: World) -> None:
    told = {probe.endpoint: probe for probe in documented(bare).probe()}
    assert told["credentials"].ok and not any(told[name].ok for name in TABLES)
    # What the doctor says to run is what the documentation says to run.
    for name, table in TABLES.items():
        assert f"ON public.{name} TO ops_reader;" in told[name].remedy
        assert ", ".join(column.name for column in table.columns) in told[name].remedy
    for step in ("grants", "indexes", "optional"):
        bare.mutate("app", "sql", statement=STEPS[step])
    source = documented(bare)
    assert all(probe.ok for probe in source.probe()), list(source.probe())
    for name in TABLES:
        assert read(source, name).payloads
        assert list(source.living_ids(source.streams[name]))
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(source.database.address.url) as opened:
        opened.execute("select full_name from public.users")


def test_the_documented_views_carry_another_apps_tables(bare: World) -> None:
    bare.mutate("app", "sql", statement="""
        create table public.accounts (account_id uuid primary key, kind text, profile jsonb, shop_ref bigint,
            joined timestamp not null, touched timestamp, last_login timestamp, closed timestamp, is_test boolean);
        insert into public.accounts
            select gen_random_uuid(), 'customer', '{"source": "shop", "country": "us", "e-mail": "a@mail.example"}',
                g, '2024-11-20 10:00', '2024-11-21 10:00:00.5', null, null, g = 1 from generate_series(1, 5) as g;
        create table public.contracts (contract_id int primary key, account_id uuid, product text, state text,
            price_cents int, signed timestamptz, touched timestamptz);
        insert into public.contracts
            select 1, account_id, 'plus', 'active', 499, '2024-11-20Z', '2024-11-20Z' from public.accounts limit 1;
    """)  # fmt: skip
    bare.mutate("app", "sql", statement=STEPS["views"])
    try:
        source = documented(bare)
        users = read(source, "users").payloads
        assert len(users) == 4 and "e-mail" not in str(users)
        assert {user["created_at"] for user in users.values()} == {"2024-11-20 10:00:00+00"}
        (subscription,) = read(source, "subscriptions").payloads.values()
        assert subscription["id"] == "c1" and subscription["amount"].startswith("4.99")
        assert len(read(source, "users", "2024-11-22T00:00:00Z").payloads) == 0
    finally:
        bare.mutate("app", "sql", statement="drop schema ops_export cascade")


def test_every_column_of_the_contract_is_documented() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (`.*)$", DOCUMENT, re.MULTILINE))
    for name, table in TABLES.items():
        required, optional = (re.findall(r"`(\w+)`", cell) for cell in rows[name].split("|")[:2])
        assert set(required) == {column.name for column in table.columns if column.required}
        assert set(optional) == {column.name for column in table.columns if not column.required}


def test_what_the_client_says_is_what_a_guest_may_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    execute = psycopg.Connection.execute

    def listening(self: Any, query: Any, *more: Any, **further: Any) -> Any:
        # The sandbox speaks to its server from the same process, as somebody else.
        if self.info.user == "ops_reader":
            said.append(query.decode() if isinstance(query, bytes) else str(query))
        return execute(self, query, *more, **further)

    monkeypatch.setattr(psycopg.Connection, "execute", listening)
    source = world.app()
    list(source.probe())
    for stream in source.streams.values():
        list(source.pages(stream, None, now=NOW))
        list(source.pages(stream, "2024-12-01T00:00:00Z", now=NOW))
        list(source.living_ids(stream))
        source.control_totals(stream, None)
    firsts = {text.split()[0].lower() for text in said}
    assert firsts <= {"select", "set", "declare", "fetch"}
    assert not [text for text in said if re.search(r"\boffset\b|select \*|for update", text, re.IGNORECASE)]
    session = source.database.ask("settings", lambda session: session.execute(
        "select current_setting('transaction_isolation'), current_setting('transaction_read_only'),"
        " current_setting('statement_timeout'), current_setting('row_security')").fetchone())  # fmt: skip
    assert session == ("repeatable read", "on", "1min", "off")
