"""Every link of an alert opens a page that is there, or is not there at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagster import AssetKey

from ops_platform.alerts.announcement import Kind
from ops_platform.alerts.links import LOCATION, Links
from ops_platform.alerts.sources import _WATCH_STEPS
from ops_platform.fleet import get_fleet
from ops_platform.settings import PROJECT_ROOT, Settings
from tests.alerts.test_alert_document import said, sales

LINKS = Links.of(Settings(ops_dagster_url="https://dagster.example/"), get_fleet())


@pytest.fixture(scope="module")
def assets() -> set[AssetKey]:
    from ops_platform.build import build_definitions

    return {spec.key for spec in build_definitions().resolve_all_asset_specs()}


def test_an_alert_opens_the_page_of_what_it_is_about() -> None:
    opened = said(Kind.OPENED, sales())
    assert LINKS(opened) == "https://dagster.example/assets/metrics/net_sales"
    assert replace(LINKS, console="https://ops.example")(opened) == "https://ops.example/alerts/12"
    assert Links.of(Settings(), get_fleet())(opened) == ""


@pytest.mark.parametrize(
    ("head", "page"),
    [
        ("source:shopify.orders:all:all", "assets/raw/shopify/orders"),
        ("tie_out:shopify.orders:entity:orders", "assets/raw/shopify/orders?view=checks"),
        ("threshold:stock:sku:A/1", "assets/marts/fct_inventory_position"),
        ("threshold:gone:all:all", ""),
        ("job:ops_pulse:all:all", f"locations/{LOCATION}/jobs/ops_pulse"),
        ("job:watch_judgements:all:all", "assets/watch/judgements"),
        ("job:freshness:layer:warehouse", "assets"),
        ("job:freshness:layer:delivery", f"locations/{LOCATION}/asset-groups/delivery"),
        ("job:gone:all:all", ""),
        ("metric:a b:channel:x:y", "assets/metrics/a%20b"),
        ("", ""),
    ],
)
def test_each_kind_of_subject_has_its_page(head: str, page: str) -> None:
    assert LINKS.page(head) == page


def test_no_link_is_dead(assets: set[AssetKey]) -> None:
    heads = [f"threshold:{name}:all:all" for name in get_fleet().alert_rules]
    heads += [f"metric:{key.path[-1]}:all:all" for key in assets if key.path[0] == "metrics"]
    heads += [f"source:{key.path[1]}.{key.path[2]}:all:all" for key in assets if key.path[0] == "raw"]
    heads += [f"job:watch_{step}:all:all" for step in _WATCH_STEPS]
    heads += [f"job:look_at_{watcher}:all:all" for watcher in ("metrics", "rules")]
    for head in heads:
        section, *path = LINKS.page(head).split("/")
        assert section == "assets" and AssetKey(path) in assets, head
    assert f"location_name: {LOCATION}" in (PROJECT_ROOT / "workspace.yaml").read_text(encoding="utf-8")
