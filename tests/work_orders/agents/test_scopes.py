"""What each agent's role may read in the database itself, role by role: no code of ours stands between."""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg.errors
import pytest

from ops_platform.database.roles import WRITER_READER
from ops_platform.work_orders.agents import find, roster
from ops_platform.work_orders.agents.scopes import acting_as, ensure, metrics_of, relations_of
from tests.conftest import Connect
from tests.fleet.job_scene import metrics
from tests.work_orders.agents.company import NAMES

Desk = psycopg.Connection[Any]


def made(desk: Desk, name: str) -> None:
    ensure(desk, find(name))
    desk.commit()


@pytest.mark.parametrize("name", NAMES)
def test_a_role_sees_its_own_metrics_marts_alerts_and_documents(name: str, desk: Desk) -> None:
    agent = find(name)
    made(desk, name)
    own = set(metrics_of(desk, agent))
    wanted = {
        metric for metric, said in metrics().items()
        if "all" in agent.scope.divisions or said["division"] in agent.scope.divisions or metric in agent.scope.metrics
    }  # fmt: skip
    assert own == wanted
    with acting_as(desk, agent):
        seen = {name for (name,) in desk.execute("select distinct metric_id from metrics.fct_metric_daily")}
        assert seen == own
        divisions = {each for (each,) in desk.execute("select division from ops.agent_alerts")} if (
            "alerts" in agent.scope.readings
        ) else set()  # fmt: skip
        assert divisions <= {"sales", "supply_chain"} & set(agent.scope.divisions)
        kinds = {each for (each,) in desk.execute("select kind from ops.agent_documents")}
        assert kinds == {"pulse", "board_pack"} & set(agent.scope.documents)
    desk.rollback()


@pytest.mark.parametrize("name", NAMES)
def test_a_role_can_read_nothing_else_and_write_nothing(name: str, agents_company: Connect) -> None:
    agent = find(name)
    with agents_company() as desk:
        made(desk, name)
        everything = [
            f"{schema}.{table}"
            for schema, table in desk.execute(
                "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " where c.relkind in ('r', 'v', 'm', 'p') and n.nspname not like 'pg\\_%'"
                " and n.nspname <> 'information_schema'"
            )
        ]
        assert len(everything) > 80
        readable = {
            relation
            for relation in everything
            for (may,) in desk.execute(
                "select has_schema_privilege(%s, split_part(%s, '.', 1), 'usage')"
                " and has_table_privilege(%s, %s, 'select')",
                (agent.role, relation, agent.role, relation),
            )
            if may
        }
        assert readable == relations_of(agent) & set(everything)
        writable = [
            relation
            for relation in everything
            for (may,) in desk.execute(
                "select has_table_privilege(%s, %s, 'insert, update, delete, truncate, references, trigger')",
                (agent.role, relation),
            )
            if may
        ]
        assert writable == []
        assert desk.execute(
            "select rolcanlogin, rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = %s", (agent.role,)
        ).fetchone() == (False, False, False, False)
        desk.rollback()


def test_everybody_else_sees_the_whole_metric_table_as_before(desk: Desk) -> None:
    made(desk, "finance")
    (whole,) = desk.execute("select count(*) from metrics.fct_metric_daily").fetchone() or (0,)
    desk.execute(f"grant select on metrics.fct_metric_daily to {WRITER_READER}".encode())
    desk.execute(f"set local role {WRITER_READER}".encode())
    assert desk.execute("select count(*) from metrics.fct_metric_daily").fetchone() == (whole,)


def test_what_a_file_no_longer_names_is_taken_back(desk: Desk) -> None:
    agent = find("sales")
    made(desk, "sales")
    less = agent.model_copy(
        update={"scope": agent.scope.model_copy(update={"divisions": (), "metrics": ("orders",), "marts": ()})}
    )
    ensure(desk, less)
    with acting_as(desk, less):
        assert list(desk.execute("select distinct metric_id from metrics.fct_metric_daily")) == [("orders",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            desk.execute("select * from marts.fct_deals_open")


def test_a_table_made_anew_is_closed_until_its_policy_stands_again(agents_company: Connect) -> None:
    """A publication that rebuilds the metric table gives grants again, but knows no policy: `ensure` comes first."""
    agent = find("finance")
    with agents_company() as desk:
        made(desk, "finance")
        desk.execute("alter table metrics.fct_metric_daily disable row level security")
        desk.execute("drop policy agents_read_their_own on metrics.fct_metric_daily")
        ensure(desk, agent)
        own = set(metrics_of(desk, agent))
        with acting_as(desk, agent):
            assert {name for (name,) in desk.execute("select distinct metric_id from metrics.fct_metric_daily")} == own
        desk.rollback()


def test_acting_ends_also_after_an_error(desk: Desk) -> None:
    made(desk, "support")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), desk.transaction(), acting_as(desk, find("support")):
        desk.execute("select * from ops.documents")
    (who,) = desk.execute("select current_user").fetchone() or ("",)
    assert not who.startswith("ops_agent")


def test_every_agent_has_a_role_of_its_own() -> None:
    assert len({agent.role for agent in roster().values()}) == len(NAMES)
