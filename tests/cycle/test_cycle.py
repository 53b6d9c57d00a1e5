"""The whole morning cycle on the generated company, judged by the sandbox's ledger."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ops_platform.commands.demo import COMPANY_CLOCK
from tests.cycle.conftest import OPS, Cycle, run_demo


def ledger(cycle: Cycle, query: str) -> list[Any]:
    with sqlite3.connect(cycle.home / "sandbox" / "ledger.sqlite") as connection:
        return connection.execute(query).fetchall()


def test_both_runs_succeed_and_the_pulse_is_posted_once(cycle: Cycle) -> None:
    assert cycle.first["succeeded"]
    assert cycle.second["succeeded"]
    assert cycle.first["posted_now"] == cycle.first["slack_messages"] == 3
    assert cycle.second["posted_now"] == 0
    assert cycle.second["slack_messages"] == 3
    assert cycle.rows("select state, attempts from ops.outbox where kind = 'ops_pulse'") == [("sent", 1)]


def test_every_message_is_posted_once(cycle: Cycle) -> None:
    messages = cycle.rows("select channel_key, state, attempts from ops.outbox")
    assert {(state, attempts) for _, state, attempts in messages} == {("sent", 1)}
    assert ledger(cycle, "select count(*) from effects where kind = 'message_posted'") == [(len(messages),)]
    # Alerts go to the alert channel and to teams: the executive reads the pulse, in its thread what is a concern, and
    # is asked about the board pack.
    told = cycle.rows(
        "select kind, thread_of is not null from ops.outbox where channel_key = 'executive' order by created_at"
    )
    assert told == [("ops_pulse", False), ("narrative_daily", True), ("approval", False)]


def test_every_stream_is_landed_whole_and_ties_out(cycle: Cycle) -> None:
    failed = cycle.rows("select vendor, stream, error from ops.sync_runs where status <> 'succeeded'")
    assert failed == []
    assert cycle.rows("select vendor, stream, entity, day from ops.tie_outs where status <> 'matched'") == []
    tied = dict(cycle.rows("select stream, count(*) from ops.tie_outs where vendor = 'shopify' group by stream"))
    assert tied["orders"] > 600


def test_accepted_and_quarantined_are_what_was_received(cycle: Cycle) -> None:
    assert (
        cycle.rows(
            "select vendor, stream from ops.sync_runs"
            " where received <> inserted + updated + unchanged + duplicates + quarantined"
        )
        == []
    )


def test_second_run_changes_no_row_and_builds_nothing(cycle: Cycle) -> None:
    first, second = cycle.rows("select run_id, max(id) from ops.sync_runs group by run_id order by 2")
    changed = cycle.rows("select sum(inserted + updated + deleted) from ops.sync_runs where run_id = %s", (second[0],))
    assert changed == [(0,)]
    assert cycle.rows("select count(*) from ops.warehouse_builds") == [(1,)]
    assert cycle.rows("select count(*) from ops.documents where kind = 'ops_pulse'") == [(1,)]
    # What was told of in the first run is no news in the second.
    assert cycle.rows("select count(*) - (select count(*) from ops.outbox) from ops.documents") == [(0,)]
    assert first[0] != second[0]


def test_the_build_is_green(cycle: Cycle) -> None:
    ((status, models, tests, failures),) = cycle.rows(
        "select status, models, tests, failures from ops.warehouse_builds"
    )
    assert (status, failures) == ("succeeded", 0)
    assert models > 60
    assert tests > 100


def test_at_least_twenty_metrics_have_yesterday(cycle: Cycle) -> None:
    rows = cycle.rows(
        "select count(distinct metric_id) from metrics.fct_metric_daily where date >= %s and value is not null",
        (date(2026, 11, 19),),
    )
    assert rows[0][0] >= 20


def test_every_metric_is_described_and_owned(cycle: Cycle) -> None:
    rows = cycle.rows("select metric_id, label, description, unit, currency, owner, division from metrics.dim_metric")
    assert len(rows) > 100
    assert [row[0] for row in rows if not (row[1] and row[2] and row[5] and row[6])] == []
    assert {row[4] for row in rows if row[3] == "money"} == {"USD"}
    assert {row[4] for row in rows if row[3] != "money"} == {None}


def test_net_sales_of_yesterday_agree_with_the_erp(cycle: Cycle) -> None:
    # Two systems, two protocols, two paths through the warehouse: the same day must be the same money.
    shop, erp = (
        cycle.rows(
            "select sum(value) from metrics.fct_metric_daily where metric_id = %s and dimension = 'all' and date = %s",
            (metric, date(2026, 11, 19)),
        )[0][0]
        for metric in ("net_sales", "erp_revenue")
    )
    assert shop > 0
    assert erp > 0
    assert abs(Decimal(shop) - Decimal(erp)) < Decimal(shop) * Decimal("0.6")


def test_no_secret_reaches_the_database_or_the_logs(cycle: Cycle) -> None:
    from ops_platform.database.server import running_server

    canaries = ("sandbox-secret", "xoxb-sandbox", "sk-ant-sandbox", "BEGIN PRIVATE KEY", "BEGIN RSA PRIVATE")
    import psycopg

    for database in ("warehouse", "dagster"):
        with psycopg.connect(running_server(cycle.home).url(database)) as connection:
            columns = connection.execute(
                "select table_schema, table_name, column_name from information_schema.columns"
                " where data_type in ('text', 'jsonb', 'character varying', 'json')"
                " and table_schema not in ('pg_catalog', 'information_schema')"
                " and table_schema not like 'raw%' and table_schema not in ('staging', 'intermediate')"
            ).fetchall()
            for schema, table, column in columns:
                found = connection.execute(
                    f'select count(*) from {schema}."{table}" where "{column}"::text like any(%s)'.encode(),
                    ([f"%{canary}%" for canary in canaries],),
                ).fetchone()
                assert found == (0,), (database, schema, table, column)
    for path in cycle.home.rglob("*"):
        inside = path.relative_to(cycle.home).parts[0]
        if path.is_file() and inside not in ("postgres", "sandbox"):
            content = path.read_bytes()
            for canary in canaries:
                assert canary.encode() not in content, path


def test_the_message_in_slack_is_the_document(cycle: Cycle) -> None:
    posted = ledger(cycle, "select count(*) from sqlite_master where name like '%'")
    assert posted
    ((document, payload),) = cycle.rows(
        "select documents.document, outbox.payload from ops.outbox join ops.documents on documents.id = document_id"
        " where outbox.kind = 'ops_pulse'"
    )
    from ops_platform.documents import slack
    from ops_platform.documents.model import Document

    message = slack.render(Document.from_json(document))[0]
    assert payload["blocks"] == list(message.blocks)


def test_files_are_there(cycle: Cycle) -> None:
    names = {path.name for path in (cycle.home / "documents").iterdir() if path.is_file()}
    assert {"ops_pulse-2026-11-20.html", "ops_pulse-2026-11-20.md"} <= names
    # The board is shown the month that is over.
    assert {f"board-pack-2026-10.{kind}" for kind in ("pptx", "pdf", "xlsx")} <= names
    assert {"narrative_daily-2026-11-20.md", "narrative_daily-2026-11-20.html"} <= names


def test_no_person_is_in_what_is_published(cycle: Cycle) -> None:
    """Who the vendors' records name, and anything that looks like an address, is looked for in every published text."""
    people = {
        name
        for query in (
            "select concat_ws(' ', payload->'properties'->>'firstname', payload->'properties'->>'lastname')"
            " from raw_hubspot.contacts",
            "select concat_ws(' ', payload->>'firstName', payload->>'lastName') from raw_hubspot.owners",
            "select user_name from staging.stg_slack__users where not is_bot",
            "select owner_name from staging.stg_airtable__projects",
        )
        for (name,) in cycle.rows(query)
        if name and " " in name.strip()
    }
    assert len(people) > 50
    found = []
    for schema, table, column in cycle.rows(
        "select table_schema, table_name, column_name from information_schema.columns"
        " where table_schema in ('marts', 'metrics') and data_type in ('text', 'ARRAY', 'jsonb') order by 1, 2, 3"
    ):
        texts = [text for (text,) in cycle.rows(f'select distinct "{column}"::text from {schema}.{table}') if text]
        # Every name has a space in it.
        spoken = "\n".join(text for text in texts if " " in text)
        named = sorted(name for name in people if name in spoken)
        addresses = [text for text in texts if "@" in text and re.search(r"[\w.+-]+@[\w-]+\.[a-z]{2,}", text)]
        if named or addresses:
            found.append((f"{schema}.{table}.{column}", named[:3], addresses[:3]))
    assert found == []


def test_the_unit_tests_of_the_models_pass(cycle: Cycle, tmp_path: Path) -> None:
    """They prove SQL, not data: of a warehouse they want its tables."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OPS_", "DBT_"))}
    done = subprocess.run(
        [str(OPS), "dbt", "test", "--select", "test_type:unit", "--target-path", str(tmp_path), "--log-path",
         str(tmp_path)],
        env={**clean, "OPS_HOME": str(cycle.home), "OPS_NOW": COMPANY_CLOCK}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (passed,) = re.findall(r"PASS=(\d+)", done.stdout)
    assert int(passed) > 100


@pytest.mark.slow
def test_made_again_nothing_is_posted_twice(cycle: Cycle) -> None:
    """The narrative and the board pack too; last, for it is a run more."""
    told = cycle.rows("select count(*), (select count(*) from ops.documents) from ops.outbox")
    again = run_demo(cycle.base)
    assert again["succeeded"]
    assert (again["posted_now"], again["slack_messages"]) == (0, cycle.first["slack_messages"])
    assert cycle.rows("select count(*), (select count(*) from ops.documents) from ops.outbox") == told
    assert cycle.rows("select count(*) from ops.warehouse_builds") == [(1,)]
