"""What `ops doctor` says of credentials: who may read the files, and which may do more than is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_platform.commands.doctor import _Asking
from ops_platform.commands.doctor_credentials import credential_findings
from ops_platform.ingestion.contract import Probe
from ops_platform.settings import Settings
from resources.shopify.source import SCOPES, _scopes


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "credentials"
    directory.mkdir(mode=0o700)
    (tmp_path / ".env").write_text("HUBSPOT_TOKEN=x\n")
    (tmp_path / ".env").chmod(0o600)
    return tmp_path


def found(files: Path, **settings: str) -> dict[str, tuple[str, str]]:
    made = Settings(ops_credentials=files / "credentials", **settings)  # type: ignore[arg-type]
    return {one.check: (one.state, one.detail) for one in credential_findings(made, files / ".env")}


def write(files: Path, bot: str, text: str, mode: int = 0o600) -> None:
    path = files / "credentials" / f"{bot}.env"
    path.write_text(text)
    path.chmod(mode)


def test_files_that_are_well_kept(files: Path) -> None:
    write(files, "sales", "HUBSPOT_TOKEN=canary\nKLAVIYO_API_KEY=canary\n")
    said = found(files)
    assert said["shared"][0] == "ok"
    assert said["sales"] == ("ok", "its own: HUBSPOT_TOKEN, KLAVIYO_API_KEY")
    assert "canary" not in str(said)
    assert said["kept apart"][0] in ("ok", "warning")


def test_a_kernel_that_cannot_keep_bots_apart_is_told(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops_platform.instance.confinement.available", lambda: False)
    write(files, "sales", "HUBSPOT_TOKEN=x\n")
    assert found(files)["kept apart"][0] == "warning"


@pytest.mark.parametrize(("environment", "state"), [("development", "warning"), ("production", "failed")])
def test_a_shared_file_that_everybody_reads(files: Path, environment: str, state: str) -> None:
    (files / ".env").chmod(0o644)
    assert found(files, ops_env=environment)["shared"][0] == state


def test_files_that_are_not(files: Path) -> None:
    write(files, "sales", "HUBSPOT_TOKEN=x\n", mode=0o640)
    write(files, "nobody", "HUBSPOT_TOKEN=x\n")
    (files / "credentials").chmod(0o755)
    said = found(files)
    assert said["sales"][0] == "failed"
    assert said["nobody"][0] == "warning"
    assert said["directory"][0] == "failed"


def test_no_files_at_all(tmp_path: Path) -> None:
    findings = credential_findings(Settings(ops_credentials=tmp_path / "none"), tmp_path / "no")
    assert {one.check: one.state for one in findings} == {"shared": "ok", "bots": "ok"}


def test_scopes_beyond_need_are_named() -> None:
    least = frozenset({*SCOPES.values(), "read_all_orders", "read_reports"})
    assert _scopes(least).excess == ()
    more = _scopes(least | {"write_products", "read_themes"})
    assert more.ok
    assert more.excess == ("read_themes", "write_products")


def test_they_are_a_warning_with_something_to_do() -> None:
    asking = _Asking.__new__(_Asking)
    asking.vendor = "shopify"
    finding = asking._finding(Probe("scopes", True, "9 granted", excess=("write_products",)), 0.1, ())
    assert finding.state == "warning"
    assert "write_products" in finding.detail
    assert "docs/connect/shopify.md" in finding.advice


@pytest.mark.parametrize(("token", "excess"), [("pat-na1-sandbox-writes", ("content", "crm.objects.deals.write"))])
def test_hubspot_tells_what_its_token_may_do(
    token: str, excess: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from pydantic import SecretStr

    from resources.hubspot import connect
    from sandbox.hubspot.side import TOKEN
    from tests.delivery.sandboxed import running_sandbox

    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        for each, expected in ((token, excess), (TOKEN, ())):
            settings = Settings(hubspot_token=SecretStr(each), hubspot_base_url=sandbox.url)
            source = connect(settings)
            assert source is not None
            assert [probe.excess for probe in source.probe() if probe.endpoint == "scopes"] == [expected]
            source.close()
