"""`explain`: published numbers taken apart, files searched, and a clear outcome for what cannot be answered."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from ops_platform.cli import cli
from ops_platform.commands.explain import explain_file, explanation_json, explanation_lines
from ops_platform.failures import ConfigurationError, DataFailure
from ops_platform.settings import PROJECT_ROOT
from ops_platform.watch.decomposition import Undecidable
from ops_platform.watch.explain import explain, explain_csv
from ops_platform.watch.tree import MetricTree
from tests.conftest import Connect

DAY = date(2026, 11, 19)
WEEK = DAY - timedelta(weeks=1)
TREE = MetricTree.of(
    {
        "net": [{"sum": ["sales", "-refunds"]}],
        "sales": [{"product": ["orders", "order_value"]}],
        "share": [{"ratio": ["refunds", "sales"]}],
        "balance": [{"moved_by": ["received", "-paid"]}],
        "lost": [{"sum": ["orders", "ghost"]}],
    }
)
UNITS = {"orders": "count", "share": "ratio", "order_value": "money"}
# metric, day, dimension, value, numerator, denominator
ROWS: list[tuple[str, date, str, str, str | None, str | None, str | None]] = [
    ("net", WEEK, "all", "all", "900", None, None),
    ("net", DAY, "all", "all", "480", None, None),
    ("sales", WEEK, "all", "all", "1000", None, None),
    ("sales", DAY, "all", "all", "600", None, None),
    ("refunds", WEEK, "all", "all", "100", None, None),
    ("refunds", DAY, "all", "all", "120", None, None),
    ("orders", WEEK, "all", "all", "40", None, None),
    ("orders", DAY, "all", "all", "24", None, None),
    ("order_value", WEEK, "all", "all", "25", "1000", "40"),
    ("order_value", DAY, "all", "all", "25", "600", "24"),
    ("sales", WEEK, "channel", "web", "800", None, None),
    ("sales", WEEK, "channel", "retail", "200", None, None),
    ("sales", DAY, "channel", "web", "350", None, None),
    ("sales", DAY, "channel", "wholesale", "250", None, None),
    ("orders", WEEK, "channel", "web", "30", None, None),
    ("orders", WEEK, "channel", "retail", "10", None, None),
    ("orders", DAY, "channel", "web", "14", None, None),
    ("orders", DAY, "channel", "wholesale", "10", None, None),
    ("share", WEEK, "all", "all", "0.1", "100", "1000"),
    ("share", DAY, "all", "all", "0.2", "120", "600"),
    ("share", WEEK, "channel", "web", "0.1", "80", "800"),
    ("share", WEEK, "channel", "retail", "0.1", "20", "200"),
    ("share", DAY, "channel", "web", "0.2", "70", "350"),
    ("share", DAY, "channel", "wholesale", "0.2", "50", "250"),
    ("alone", WEEK, "all", "all", "3", None, None),
    ("alone", DAY, "all", "all", "5", None, None),
    ("lost", WEEK, "all", "all", "40", None, None),
    ("lost", DAY, "all", "all", "24", None, None),
    ("unknown", WEEK, "all", "all", "7", None, None),
    ("unknown", DAY, "all", "all", None, None, None),
    ("undefined", WEEK, "all", "all", "0.5", "1", "2"),
    ("undefined", DAY, "all", "all", None, "0", "0"),
    ("late", DAY, "all", "all", "7", None, None),
    ("balance", WEEK, "all", "all", "500", None, None),
    ("balance", DAY, "all", "all", "570", None, None),
    *(("received", WEEK + timedelta(days=n), "all", "all", "20", None, None) for n in range(1, 8)),
    *(("paid", WEEK + timedelta(days=n), "all", "all", "10", None, None) for n in range(1, 8)),
]  # fmt: skip


@pytest.fixture
def published(warehouse: Connect) -> Any:
    connection = warehouse()
    connection.execute("create schema if not exists metrics; create schema if not exists marts")
    connection.execute(
        "create table metrics.dim_metric (metric_id text, label text, unit text, currency text, aggregation text,"
        " kind text)"
    )
    connection.execute(
        "create table metrics.fct_metric_daily (metric_id text, date date, dimension text, dimension_value text,"
        " value numeric, numerator numeric, denominator numeric, fresh_to timestamptz, tie_out text)"
    )
    with connection.cursor() as cursor:
        for metric in dict.fromkeys(row[0] for row in ROWS):
            unit = UNITS.get(metric, "money")
            cursor.execute(
                "insert into metrics.dim_metric values (%s, %s, %s, %s, 'sum', 'flow')",
                (metric, metric.replace("_", " ").capitalize(), unit, "USD" if unit == "money" else None),
            )
        cursor.executemany(
            "insert into metrics.fct_metric_daily (metric_id, date, dimension, dimension_value, value, numerator,"
            " denominator) values (%s, %s, %s, %s, %s, %s, %s)",
            ROWS,
        )
    connection.commit()
    yield connection
    connection.close()


def test_down_the_tree_to_the_factor_that_moved(published: psycopg.Connection[Any]) -> None:
    found = explain(published, "net", DAY, "week", tree=TREE)
    assert (found.before, found.after, found.change) == (900, 480, -420)
    told = {node.metric.id: (node.depth, node.effect) for top in found.tree for node in top.walk()}
    assert told == {"sales": (1, -400), "orders": (2, -400), "order_value": (2, 0), "refunds": (1, -20)}
    assert found.formula == "sales − refunds" and found.tree[0].formula == "orders × order value"
    assert sum((node.effect for node in found.tree), Decimal(0)) == found.change
    assert found.foremost(1) == [("Orders", Decimal(-400), Decimal(-400) / Decimal(-420))]
    assert (found.unexplained, found.notes) == (0, ())


def test_by_the_values_of_a_dimension_with_volume_mix_and_price(published: psycopg.Connection[Any]) -> None:
    (told,) = explain(published, "sales", DAY, "week", tree=TREE).dimensions
    assert [(one.part, one.before, one.after, one.effect) for one in told.effects] == [
        ("web", 800, 350, -450), ("wholesale", None, 250, 250), ("retail", 200, None, -200),
    ]  # fmt: skip
    assert told.volume_of is not None and told.volume_of.id == "orders"
    for one in told.volume:
        assert one.volume + one.mix + one.price == {e.part: e.effect for e in told.effects}[one.value]
    # The price of wholesale is what it was sold for; it had none before, so none of its change is price.
    assert {one.value: one.price for one in told.volume}["wholesale"] == 0
    assert told.unexplained == 0


def test_a_ratio_by_rate_and_mix(published: psycopg.Connection[Any]) -> None:
    found = explain(published, "share", DAY, "week", tree=TREE)
    (told,) = found.dimensions
    assert sum((one.rate + one.mix for one in told.mix), Decimal(0)) == found.change == Decimal("0.1")
    # Web's own rate doubled, at its mean weight of 0.8 and 350/600.
    assert {one.value: one.rate for one in told.mix}["web"] == Decimal("0.06916667")
    assert {node.metric.id for node in found.tree} == {"refunds", "sales"}


def test_a_state_and_the_flows_since(published: psycopg.Connection[Any]) -> None:
    found = explain(published, "balance", DAY, "week", tree=TREE)
    assert {node.metric.id: node.effect for node in found.tree} == {"received": 140, "paid": -70}
    back = explain(published, "balance", WEEK, str(DAY), tree=TREE)
    assert {node.metric.id: node.effect for node in back.tree} == {"received": -140, "paid": 70}


def test_against_what_was_expected(published: psycopg.Connection[Any]) -> None:
    usual = explain(published, "net", DAY, tree=TREE)
    assert usual.before == 900  # of the four same weekdays, the one that is known
    assert "net was not judged" in usual.notes[0]
    for metric, expected in (("net", 880), ("sales", 1000), ("refunds", 100)):
        published.execute(
            "insert into ops.judgements"
            " (metric_id, date, found, expected, closeness, since, judged_at, first_judged_at)"
            " values (%s, %s, 'breached', %s, 2, %s, now(), now())",
            (metric, DAY, expected, DAY),
        )
    found = explain(published, "net", DAY, tree=TREE)
    assert (found.against, found.before) == ("what was expected", 880)
    # The expectations of the parts make 900: what they do not make up of 880 is said.
    assert {node.metric.id: node.effect for node in found.tree} == {"sales": -400, "refunds": -20}
    assert found.unexplained == 20
    assert sum((node.effect for node in found.tree), found.unexplained) == found.change == -400


@pytest.mark.parametrize(
    ("metric", "day", "against", "dimension", "failure", "said"),
    [
        ("nett", DAY, "week", None, ConfigurationError, r"no published metric 'nett' \(like net"),
        ("net", DAY, "fortnight", None, ConfigurationError, "say expected, week, year or a day"),
        ("net", DAY, str(DAY), None, ConfigurationError, "against itself"),
        ("net", DAY, "week", "channel", ConfigurationError, "has no dimension 'channel': it has none"),
        ("sales", DAY, "week", "region", ConfigurationError, "has no dimension 'region': it has channel"),
        ("unknown", DAY, "week", None, Undecidable, "unknown is unknown for 2026-11-19"),
        ("undefined", DAY, "week", None, Undecidable, "nothing to divide by for 2026-11-19"),
        ("late", DAY, "week", None, Undecidable, "has no value for the same weekday a week before, 2026-11-12"),
        ("net", DAY, "year", None, Undecidable, "a year before, 2025-11-20"),
        ("net", date(2027, 1, 1), "week", None, Undecidable, "no value for 2027-01-01"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_says_so(
    published: psycopg.Connection[Any],
    metric: str,
    day: date,
    against: str,
    dimension: str | None,
    failure: type[Exception],
    said: str,
) -> None:
    with pytest.raises(failure, match=said):
        explain(published, metric, day, against, dimension=dimension, tree=TREE)


def test_a_metric_without_parts_and_one_with_an_unknown_part(published: psycopg.Connection[Any]) -> None:
    alone = explain(published, "alone", DAY, "week", tree=TREE)
    assert (alone.change, alone.tree, alone.dimensions) == (2, (), ())
    assert alone.notes == ("alone has no parts and no dimensions: nothing to take apart",)
    lost = explain(published, "lost", DAY, "week", tree=TREE)
    assert lost.notes == ("not taken apart as orders + ghost: ghost is unknown before",)


def test_nothing_published_yet(warehouse: Connect) -> None:
    with warehouse() as connection, pytest.raises(ConfigurationError, match="no metric was published yet"):
        explain(connection, "net", DAY)


def test_slices_come_from_the_mart_of_the_metric(published: psycopg.Connection[Any]) -> None:
    tree = MetricTree.load()
    published.execute(
        "create table marts.fct_sales_daily (date date, channel text, country_name text, net_amount numeric)"
    )
    published.execute("insert into metrics.dim_metric values ('net_sales', 'Net sales', 'money', 'USD', 'sum', 'flow')")
    totals = {WEEK: Decimal(0), DAY: Decimal(0)}
    for channel in ("web", "amazon", "retail", "wholesale"):
        for n in range(12):
            was = Decimal(900 + 10 * n)
            now = was * Decimal("0.4") if (channel == "web" and n < 4) else was + (n % 5 - 2) * 9
            for day, amount in ((WEEK, was), (DAY, now)):
                totals[day] += amount
                published.execute(
                    "insert into marts.fct_sales_daily values (%s, %s, %s, %s)",
                    (day, channel, f"{'north' if n < 4 else 'land'} {n}", amount),
                )
    for day, total in totals.items():
        published.execute(
            "insert into metrics.fct_metric_daily values ('net_sales', %s, 'all', 'all', %s)", (day, total)
        )
    found = explain(published, "net_sales", DAY, "week", tree=tree)
    assert found.slices is not None
    assert {part.pairs[0] for part in found.slices.slices} == {("channel", "web")}
    assert found.slices.effect == pytest.approx(float(found.change))
    published.execute("drop table marts.fct_sales_daily")
    assert any(
        "was not published yet" in note for note in explain(published, "net_sales", DAY, "week", tree=tree).notes
    )


# Nothing that says where a change lies may say what brought it about.
CAUSAL = re.compile(
    r"\b(caus\w*|because|due to|owing to|drove|driven by|driver\w*|drives?|led to|leads to|result\w* (in|from)"
    r"|responsible|thanks to|root cause\w*|trigger\w*|made it|explains why|blame\w*|brought about by|attributable)\b",
    re.IGNORECASE,
)


def test_no_wording_is_causal(published: psycopg.Connection[Any], tmp_path: Path) -> None:
    said = []
    for metric in ("net", "sales", "share", "balance", "alone", "lost"):
        found = explain(published, metric, DAY, "week", tree=TREE)
        said += [
            *explanation_lines(found),
            json.dumps(explanation_json(found)),
            *(line[0] for line in found.foremost()),
        ]
    file = tmp_path / "table.csv"
    file.write_text(_table(), encoding="utf-8")
    result = CliRunner().invoke(cli, ["explain", "--csv", str(file)])
    said += [result.output, CliRunner().invoke(cli, ["explain", "--help"]).output]
    for module in ("commands/explain.py", "watch/explain.py", "watch/decomposition.py", "watch/search.py"):
        source = (PROJECT_ROOT / "ops_platform" / module).read_text(encoding="utf-8")
        said += re.findall(r'"([^"\n]+)"', source)
    assert [text for text in said if CAUSAL.search(text)] == []
    assert CAUSAL.search("fell because of web") and CAUSAL.search("driven by web")


def _table(**changed: str) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["category", "country", "real", "predict"])
    for category in ("Computers", "Phones", "Toys", "Books", "Garden"):
        for n, country in enumerate(("Germany", "France", "Italy", "Spain", "Norway", "Chile")):
            hit = category == "Computers" and country in ("Germany", "France", "Italy", "Spain", "Norway", "Chile")
            real = (40 if hit else 100) + (n * 7 % 5)
            rows.writerow([category, country, changed.get(f"{category}_{country}", real), 100 + n % 3])
    return out.getvalue()


def test_a_file_gives_rows_of_elements(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(_table(), encoding="utf-8")
    result = CliRunner().invoke(cli, ["explain", "--csv", str(file)])
    assert result.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["element"] for row in rows] == ["category=Computers"]
    assert 0.8 < float(rows[0]["share"]) < 1.2
    assert "unexplained:" in result.stderr
    answer = json.loads(CliRunner().invoke(cli, ["explain", "--csv", str(file), "--json"]).stdout)
    assert answer["elements"][0]["element"] == "category=Computers"
    assert answer["unexplained_share"] == pytest.approx(1 - answer["elements"][0]["share"])


def test_bad_rows_of_a_file_are_set_aside_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        "\ufeff" + _table(Phones_France="NaN", Toys_Chile="inf", Books_Italy="", Garden_Spain="many"), encoding="utf-8"
    )
    found = explain_csv(file)
    assert (found.rows, found.set_aside, found.found.leaves) == (30, 4, 26)
    assert [part.element for part in found.found.slices] == ["category=Computers"]


@pytest.mark.parametrize(
    ("text", "failure", "said"),
    [
        ("", DataFailure, "is empty"),
        ("a,real\nx,1\n", ConfigurationError, "no column predict"),
        ("real,predict\n1,2\n", ConfigurationError, "no column of a dimension"),
        (",real,predict\n0,1,2\n", ConfigurationError, "no column of a dimension"),
        ("a,a,real,predict\nx,y,1,2\n", ConfigurationError, "column a is there twice"),
        ("a,real,predict\n", DataFailure, "has no rows"),
        ("a,real,predict\nx,NaN,1\ny,inf,2\n", DataFailure, "no row has two finite numbers"),
    ],
)
def test_files_that_cannot_be_searched(tmp_path: Path, text: str, failure: type[Exception], said: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(failure, match=said):
        explain_csv(file)
    with pytest.raises(ConfigurationError, match="no such file"):
        explain_csv(tmp_path / "nowhere.csv")


def test_empty_cells_and_rows_that_repeat_are_said(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("a,b,real,predict\nx,y,1,2\nx,y,3,4\n,y,5,6\nx,,NaN,1\n", encoding="utf-8")
    found = explain_csv(file)
    assert (found.found.effect, found.set_aside) == (-3, 1)
    assert found.found.notes[-2:] == (
        "1 cells of dimensions are empty: taken as the value (missing)",
        "1 rows repeat the dimensions of another: added to it",
    )
    file.write_bytes(bytes(range(256)) * 50)
    with pytest.raises(ConfigurationError, match="is no text in UTF-8"):
        explain_csv(file)


def test_small_and_even_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "table.csv"
    for text in ("a,real,predict\nx,1,2\n", "a,b,real,predict\nx,y,5,5\nx,z,5,5\n", "a,real,predict\nx,0,0\ny,0,0\n"):
        file.write_text(text, encoding="utf-8")
        assert explain_file(file, depth=None, most=10, as_json=False) == 0
        said = capsys.readouterr()
        assert said.out == "element,share,effect,real,predict\n"
        assert "no slice moved apart from the rest" in said.err


def test_the_two_parts_of_a_ratio_are_searched_as_one(tmp_path: Path) -> None:
    lines = ["cdn,rate,real,predict,real_a,predict_a,real_b,predict_b"]
    for cdn in range(6):
        for rate in range(8):
            asked, fails = 4000 + 100 * rate, 0.02 if rate != 3 else 0.12
            good = round(asked * (1 - fails)) + (cdn * 5 + rate * 3) % 7
            lines.append(f"{cdn},{rate},{good / asked},0.98,{good},{round(2000 * 0.98)},{asked},2000")
    file = tmp_path / "ratio.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [part.element for part in explain_csv(file).found.slices] == ["rate=3"]


def test_wrong_use_of_the_command() -> None:
    for arguments in ([], ["net_sales", "--csv", "x.csv"], ["net_sales", "--date", "yesterday"]):
        assert CliRunner().invoke(cli, ["explain", *arguments]).exit_code == 2
