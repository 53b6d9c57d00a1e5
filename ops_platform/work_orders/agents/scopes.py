"""What each agent may read, as PostgreSQL enforces it: a role of its own, its rows of the metric table, its marts.

Belongs here: making the roles and grants as the role files say, acting as one for a while. Does not belong here: the
role files (`role.py`), the other roles of the warehouse (`ops_platform.database.roles`).

A role cannot log in and can only select. The daily metric table holds every division, so a row policy shows an agent
the metrics of its own; everybody else sees what they saw. The policy names no role: a backup restores where none is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ops_platform.failures import ConfigurationError, TransientFailure
from ops_platform.work_orders.agents.readings import relations

if TYPE_CHECKING:
    import psycopg

    from ops_platform.work_orders.agents.role import Agent

#: What every agent reads: how fresh and how proven the figures are, and what they mean. No figure of the company.
COMMON = (
    "metrics.dim_metric", "metrics.fct_metric_daily", "ops.agent_documents", "ops.agent_judgements", "ops.company",
    "ops.connections", "ops.cursors", "ops.sync_runs", "ops.thresholds", "ops.tie_outs", "ops.warehouse_builds",
    "ops.publications", "ops.published_models",
)  # fmt: skip
METRIC_TABLE = "metrics.fct_metric_daily"
POLICY = "agents_read_their_own"
LOCK_SECONDS = 5
_LOCK = 4_172_018_003
_CREATE_POLICY = f"""
create policy {POLICY} on {METRIC_TABLE} for all to public using (
    current_user not like 'ops\\_agent\\_%'
    or metric_id = any ((select ops.agent_names(current_user, 'metric'))::text[])
)
"""
_GRANTED = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) as acl join pg_roles as roles on roles.oid = acl.grantee
where roles.rolname = %s and acl.privilege_type = 'SELECT' and n.nspname in ('marts', 'metrics', 'ops')
"""


def relations_of(agent: Agent) -> set[str]:
    """Every relation the agent may select from."""
    own = set(agent.scope.marts) | {one for name in agent.scope.readings for one in relations(name)}
    return {*COMMON, *own}


def ensure(connection: psycopg.Connection[Any], agent: Agent) -> None:
    """Make the warehouse agree with the role file: what it names and is there is granted, all else taken back. In the
    caller's transaction; safe to repeat, and cheap where nothing changed.

    Raises `ConfigurationError` where this user may not make roles or policies, `TransientFailure` where others held
    what it needs."""
    import psycopg.errors

    try:
        with connection.transaction():
            # The policy needs the metric table for a moment: nobody waits for it in a row behind a long reader.
            connection.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'".encode())
            connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            _role(connection, agent.role)
            _policy(connection)
            _rows(connection, agent)
            _grants(connection, agent)
    except (
        psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.InternalError_,
        psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation,
    ) as error:  # fmt: skip
        raise TransientFailure(
            f"the role {agent.role} is being made by others ({error.diag.message_primary})"
        ) from None
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"the role {agent.role} cannot be given what agents/{agent.name}.yaml names: this user may not"
            f" ({error.diag.message_primary})"
        ) from None


@contextmanager
def acting_as(connection: psycopg.Connection[Any], agent: Agent) -> Iterator[None]:
    """Everything read within is read as the agent's role. The caller's role is back afterwards, also after an error."""
    from psycopg import sql

    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(agent.role)))
    try:
        yield
    finally:
        # After an error the transaction is over and the role with it.
        if connection.info.transaction_status.name == "INTRANS":
            connection.execute("set local role none")


def _role(connection: psycopg.Connection[Any], role: str) -> None:
    from psycopg import sql

    row = connection.execute(
        "select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = %s", (role,)
    ).fetchone()
    if row is None:
        connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))
    if row is None or not row[0]:
        connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))


def _policy(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "select relrowsecurity, exists (select 1 from pg_policy where polrelid = c.oid and polname = %s),"
        " (select count(*) from pg_policy where polrelid = c.oid) from pg_class c where oid = to_regclass(%s)",
        (POLICY, METRIC_TABLE),
    ).fetchone()
    if row is None:
        return
    secured, present, policies = row
    if policies > present:
        raise ConfigurationError(f"{METRIC_TABLE} has row policies that are not ours: agents would read by them")
    if not present:
        connection.execute(_CREATE_POLICY.encode())
    if not secured:
        connection.execute(f"alter table {METRIC_TABLE} enable row level security".encode())


def _rows(connection: psycopg.Connection[Any], agent: Agent) -> None:
    """Which metrics, kinds of documents and divisions are the agent's."""
    wanted = {("document", kind) for kind in agent.scope.documents}
    wanted |= {("division", name) for name in agent.scope.divisions}
    if connection.execute("select to_regclass('metrics.dim_metric')").fetchone() != (None,):
        wanted |= {("metric", name) for name in metrics_of(connection, agent)}
    present = set(connection.execute("select what, name from ops.agent_scopes where role = %s", (agent.role,)))
    for what, name in sorted(present - wanted):
        connection.execute(
            "delete from ops.agent_scopes where role = %s and what = %s and name = %s", (agent.role, what, name)
        )
    for what, name in sorted(wanted - present):
        connection.execute(
            "insert into ops.agent_scopes (role, what, name) values (%s, %s, %s)", (agent.role, what, name)
        )


def metrics_of(connection: psycopg.Connection[Any], agent: Agent) -> list[str]:
    """The published metrics of the agent's divisions, and those its file names."""
    rows = connection.execute(
        "select metric_id from metrics.dim_metric where 'all' = any(%(divisions)s::text[])"
        " or division = any(%(divisions)s::text[]) or metric_id = any(%(metrics)s::text[]) order by metric_id",
        {"divisions": list(agent.scope.divisions), "metrics": list(agent.scope.metrics)},
    )
    return [name for (name,) in rows]


def _grants(connection: psycopg.Connection[Any], agent: Agent) -> None:
    from psycopg import sql

    role = sql.Identifier(agent.role)
    present = {
        name
        for (name,) in connection.execute(
            "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname in ('marts', 'metrics', 'ops') and c.relkind in ('r', 'v', 'm', 'p')"
        )
    }
    wanted = relations_of(agent) & present
    granted = {name for (name,) in connection.execute(_GRANTED, (agent.role,))}
    if wanted != granted:
        for schema in ("marts", "metrics", "ops"):
            connection.execute(sql.SQL("grant usage on schema {} to {}").format(sql.Identifier(schema), role))
    for relation in sorted(granted - wanted):
        connection.execute(sql.SQL("revoke all on {} from {}").format(_identifier(relation), role))
    for relation in sorted(wanted - granted):
        connection.execute(sql.SQL("grant select on {} to {}").format(_identifier(relation), role))


def _identifier(relation: str) -> Any:
    from psycopg import sql

    schema, _, table = relation.partition(".")
    return sql.Identifier(schema, table)


def others_with(definitions: Mapping[str, str], agents: Mapping[str, Agent], metric: str) -> list[str]:
    """The agents whose scope has a metric, by their labels; `definitions` gives each metric's division."""
    division = definitions.get(metric, "")
    return [
        agent.label for agent in agents.values() if metric in agent.scope.metrics or division in agent.scope.divisions
    ]
