"""The smaller parts: plans and notes of development agents, the contract, readings, the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from ops_platform import clock
from ops_platform.cli import cli
from ops_platform.commands.agent import as_data, issue_of, read_issue
from ops_platform.failures import DataFailure
from ops_platform.settings import reset_settings
from ops_platform.work_orders.agents import answer, contract, development, find
from ops_platform.work_orders.agents.development import ProposedFile
from ops_platform.work_orders.agents.readings import READINGS, reading, relations
from ops_platform.work_orders.agents.readings.repository import matching, modules
from ops_platform.work_orders.staged import StagedEffect
from tests.conftest import Connect
from tests.work_orders.agents.company import NAMES, moment, order

Desk = psycopg.Connection[Any]
BODY = """We want Teams.
- a message is posted **once**, see https://evil.example/x
* [ ] an unclear post is looked up
3. nothing of a vendor outside resources
not a point
"""


def test_points_are_the_lines_a_request_lists() -> None:
    assert development.points(BODY) == [
        "a message is posted **once**, see [link]", "an unclear post is looked up",
        "nothing of a vendor outside resources",
    ]  # fmt: skip
    assert development.points("no list\n--\n-") == []
    assert len(development.points("\n".join(f"- point {n}" for n in range(50)))) == 8


def test_an_architect_proposes_a_note_on_a_branch_of_its_own(desk: Desk) -> None:
    made = answer(
        order("Where should delivery to Teams live?", BODY), find("architect"), desk, None, as_of=moment(), keep=False
    )
    assert [(each.kind, each.payload.get("branch") or each.payload.get("filename")) for each in made.effects] == [
        ("artefact", "7-architect-plan.md"), ("branch", "work/7-architect"), ("file", "work/7-architect"),
        ("pull_request", "work/7-architect"),
    ]  # fmt: skip
    (file,) = [each for each in made.effects if each.kind == "file"]
    assert file.payload["path"] == "docs/proposals/work-7.md"
    assert "evil.example" not in file.payload["content"]
    assert "- ☐ an unclear post is looked up" in file.payload["content"]
    assert made.complete


def test_a_developer_without_code_is_not_done(desk: Desk) -> None:
    made = answer(order("Add a line to ops status", BODY), find("developer"), desk, None, as_of=moment(), keep=False)
    assert not made.complete
    assert made.reason == "no code was written: that needs a model or a person"
    assert "file" not in {each.kind for each in made.effects}


def test_code_counts_and_a_note_alone_does_not(desk: Desk) -> None:
    agent = find("developer")
    made = answer(order("Add a line to ops status", BODY), agent, desk, None, as_of=moment(), keep=False)
    for path, done in (("docs/proposals/x.md", False), ("tests/test_x.py", True)):
        plan = development.plan(agent, order("x"), made.bundle, [ProposedFile(path, "x = 1\n")])
        lacking = contract.missing(agent, made.bundle, _draft(made), made.text, (), plan.effects)
        assert (lacking == []) is done, path


def _draft(made: Any) -> Any:
    from ops_platform.writing.draft import Draft

    return Draft(slots={"lead": "x"})


def test_a_contract_asks_for_parts_known_figures_and_a_bound(desk: Desk) -> None:
    agent = find("finance")
    made = answer(order("Opex?"), agent, desk, None, as_of=moment(), keep=False)

    def lacking(**more: Any) -> list[str]:
        other = agent.model_copy(update={"output": agent.output.model_copy(update=more)})
        return contract.missing(other, made.bundle, _draft(made), made.text, (), ())

    assert lacking() == []
    assert lacking(known=("nothing_such",)) == ["not known: nothing such"]
    assert lacking(most_characters=1_000)[0].startswith("it has ")
    assert lacking(must=("design",)) == ["it has no plan"]
    assert lacking(must=("files",)) == ["no code was written: that needs a model or a person"]


def test_modules_are_found_by_what_they_say_of_themselves() -> None:
    near = [module.path for module, _ in matching("post what the outbox holds, worker dies after claim")]
    assert near[0] == "ops_platform/delivery/worker.py"
    assert matching("xyzzy quux") == []
    assert len(modules()) > 300
    assert all(module.says for module in modules() if not module.path.endswith("__init__.py"))


@pytest.mark.parametrize("name", sorted(READINGS))
def test_a_reading_reads_what_it_says_and_finds_what_is_there(name: str, desk: Desk) -> None:
    from ops_platform.fleet import get_fleet
    from ops_platform.fleet.profile import company_profile
    from ops_platform.work_orders.agents.findings import Reader
    from ops_platform.work_orders.agents.scopes import acting_as, ensure

    agent = find("analytics")
    agent = agent.model_copy(update={"scope": agent.scope.model_copy(update={"readings": (name,)})})
    ensure(desk, agent)
    with acting_as(desk, agent):  # it needs nothing beyond the relations it names
        found = reading(name)(Reader(desk, moment(), company_profile(get_fleet()), get_fleet(), order("The outbox")))
    ids = {fact.id for fact in found.facts}
    assert len(ids) == len(found.facts)
    assert set(found.figures) <= ids
    assert {one for line in found.lines for one in line.facts} <= ids
    assert all(relation.startswith("ops.") for relation in relations(name))


def test_the_queue_as_the_project_manager_reads_it(desk: Desk) -> None:
    """Three orders by hand: one late, one due soon, one answered inside its deadline."""
    now = moment()
    for number, (due, answered, phase) in enumerate(
        ((now - timedelta(hours=2), None, "queued"), (now + timedelta(hours=3), None, "queued"),
         (now - timedelta(hours=1), now - timedelta(hours=5), "done")), 1,
    ):  # fmt: skip
        desk.execute(
            "insert into ops.work_issues (repository, number, title, body, body_hash, state, labels, author,"
            " created_at, updated_at, seen_at) values ('o/r', %s, 'An issue', '', %s, 'open', '{}', 'a', %s, %s, %s)",
            (number, "0" * 64, now, now, now),
        )
        desk.execute(
            "insert into ops.work_orders (repository, number, round, title, body, body_hash, labels, author,"
            " labelled_by, labelled_at, routed_by, agent, priority, phase, received_at, clock_from, calendar,"
            " sla_minutes, due_at, answered_at, ended_at, updated_at)"
            " values ('o/r', %s, 1, 'An issue', '', %s, '{}', 'a', 'b', %s, 'x',"
            " 'ai-sales', 'P1', %s, %s, %s, 'always', 240, %s, %s, %s, %s)",
            (number, "0" * 64, now, phase, now - timedelta(hours=6), now, due, answered, answered, now),
        )
    desk.commit()
    try:
        made = answer(order("Where do we stand?"), find("project-manager"), desk, None, as_of=now, keep=False)
    finally:
        for table in ("work_orders", "work_issues"):
            desk.execute(f"delete from ops.{table}".encode())
        desk.commit()
    figures = {
        name: made.bundle.fact(name).value
        for name in ("orders_open", "orders_late", "orders_due_soon", "orders_urgent")
    }
    assert figures == {"orders_open": 2, "orders_late": 1, "orders_due_soon": 1, "orders_urgent": 2}
    assert made.bundle.fact("orders_inside").value == 1
    assert made.bundle.fact("orders_hours").value == 1
    assert "past its deadline by" in made.text
    assert "Answer or escalate the late orders" in made.text


def test_qa_judges_only_what_a_check_reported(desk: Desk) -> None:
    for gate, value, conclusion in (
        ("coverage", 84, "success"),
        ("tests", 91, "failure"),
        ("security", None, "success"),
    ):
        desk.execute(
            "insert into ops.work_checks (repository, sha, gate, name, value, conclusion, source, reported_at, seen_at)"
            " values ('o/r', 'abc', %s, %s, %s, %s, 'ci', %s, %s)",
            (gate, gate, value, conclusion, moment(), moment()),
        )
    desk.commit()
    try:
        made = answer(order("Gates?", repository="O/R"), find("qa"), desk, None, as_of=moment(), keep=False)
    finally:
        desk.execute("delete from ops.work_checks")
        desk.commit()
    marks = {row.texts["label"]: row.mark for row in made.bundle.rows("checks")}
    assert marks == {
        "Code coverage": "ok", "Test pass rate": "attention", "Security score": "unknown", "Performance": "unknown",
    }  # fmt: skip
    assert made.bundle.fact("gates_passed").value == 1
    assert "no check reported it, so the gate is not passed" in made.text
    assert made.complete


# The command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        {"number": 42, "title": "T", "body": "B", "labels": [{"name": "priority/P1"}, {"name": "finance/x"}]},
        {"title": "T", "body": "B", "labels": ["priority/P1", "finance/x"]},
        {"issue": {"number": 42, "title": "T", "body": "B", "labels": [{"name": "priority/P1"}, {"name": "finance/x"}]},
         "repository": {"full_name": "o/r"}, "action": "opened"},
    ],
)  # fmt: skip
def test_an_issue_is_read_as_github_has_it_or_by_hand(data: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "issue.json"
    file.write_text(json.dumps(data))
    found = read_issue(42, file)
    assert (found.number, found.title, found.body, found.labels) == (42, "T", "B", ("priority/P1", "finance/x"))
    assert found.priority == "P1"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "is no issue"), ({"title": 7}, "is no issue"), ({"title": "T", "number": 9}, "is issue 9, not 42"),
        ({"title": "T", "pull_request": {}}, "is a pull request"), ({"title": "T", "labels": "x"}, "labels are a list"),
        ({"title": "T", "labels": [7]}, "a label is a text"), ({"title": "T", "body": {}}, "the body is a text"),
    ],
)  # fmt: skip
def test_what_is_no_issue_is_refused(data: Any, why: str) -> None:
    with pytest.raises(DataFailure, match=why):
        issue_of(data, 42, "it")


def test_an_issue_may_hold_what_a_database_cannot() -> None:
    found = issue_of({"title": "a\x00b\ud800", "body": None}, 1, "it")
    assert (found.title, found.body, found.priority) == ("ab?", "", "P2")


def test_an_answer_as_a_script_reads_it(desk: Desk) -> None:
    agent = find("finance")
    given = order("Opex?")
    data = as_data(agent, given, answer(given, agent, desk, None, as_of=moment(), keep=False))
    assert json.loads(json.dumps(data))["complete"] is True
    assert {claim["relation"] for claim in data["claims"]} <= {
        "metrics.fct_metric_daily", "marts.fct_receivables_open", "marts.fct_payables_open",
        "marts.fct_erp_shop_reconciliation",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [(["agent", "finance"], 2), (["agent", "--demo"], 2), (["agent", "finance", "--demo", "--process-issue", "3"], 2)],
)
def test_wrong_use_says_so(words: list[str], code: int) -> None:
    assert CliRunner().invoke(cli, words).exit_code == code


def test_the_roster_is_listed() -> None:
    done = CliRunner().invoke(cli, ["agent", "--json"])
    assert done.exit_code == 0
    assert len(json.loads(done.output)) == 14


def test_a_proposed_effect_is_a_kind_of_the_role(desk: Desk) -> None:
    agent = find("architect").model_copy(update={"effects": find("finance").effects})
    made = answer(order("Teams"), agent, desk, None, as_of=moment(), keep=False)
    assert {each.kind for each in made.effects if isinstance(each, StagedEffect)} <= {"artefact"}


@pytest.fixture
def shell(agents_company: Connect, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    """The command line in the tests' company, without a model."""
    monkeypatch.setattr("ops_platform.database.connection.connect", lambda *_, **__: agents_company())
    monkeypatch.setattr("ops_platform.commands.prepare.prepare_database", lambda: None)
    monkeypatch.setattr(clock, "now", moment)
    monkeypatch.setenv("OPS_WRITER", "rules")
    reset_settings()
    yield CliRunner()
    reset_settings()


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_runs_alone_in_demo_mode(name: str, shell: CliRunner, desk: Desk) -> None:
    before = desk.execute("select count(*) from ops.documents").fetchone()
    desk.rollback()
    done = shell.invoke(cli, ["agent", f"ai-{name}", "--demo"])
    assert "answer to #" in done.output
    assert "Nothing was posted" in done.output
    # By rules, the developer writes no code, and without a check the gates are unknown: they say so and fail.
    assert done.exit_code == (1 if name in ("developer", "qa") else 0), done.output
    assert ("Not complete" in done.output) == (done.exit_code == 1)
    assert desk.execute("select count(*) from ops.documents").fetchone() == before


@pytest.mark.parametrize("name", NAMES)
def test_every_agent_processes_an_issue_from_a_file(name: str, shell: CliRunner, desk: Desk, tmp_path: Path) -> None:
    example = find(name).demo
    file = tmp_path / "issue.json"
    file.write_text(json.dumps({"number": 42, "title": example["title"], "body": example["body"], "labels": []}))
    words = ["agent", name, "--process-issue", "42", "--issue-data", str(file), "--json"]
    words += ["--files", str(tmp_path / "out")]
    done = shell.invoke(cli, words)
    data = json.loads(done.stdout)
    assert (data["agent"], data["number"], data["complete"]) == (f"ai-{name}", 42, done.exit_code == 0)
    assert data["text"].startswith(f"# {find(name).label}: answer to")
    kept = desk.execute(
        "select kind, evidence_digest from ops.documents where id = %s", (data["document_id"],)
    ).fetchone()
    assert kept == ("work_answer", data["evidence"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {each["name"] for each in data["artefacts"]}
