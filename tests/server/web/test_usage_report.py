"""Usage as a chart, as CSV, and the days that an address names."""

import csv
import io
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import httpx2
import pytest

from sonant.server.accounts.usage import UsageRow
from sonant.server.errors import ApiError
from sonant.server.web.usage_report import CHART_HEIGHT, CHART_WIDTH, LABELS, Range, as_csv, chart, read_range
from tests.server.running import RunningServer

MAY = Range(since=date(2026, 5, 1), until=date(2026, 5, 4))


def row(day: int, model: str, cost: str) -> UsageRow:
    return UsageRow(f"2026-05-{day:02}", model, "embeddings", 2, 100, 60.0, Decimal(cost))


ROWS = [row(3, "a", "2"), row(1, "b", "1"), row(1, "a", "1")]


def test_bars_stand_on_each_other_in_their_days() -> None:
    drawn = chart(ROWS, MAY, "cost")
    step = CHART_WIDTH / 4
    assert [int(bar.x // step) for bar in drawn.bars] == [0, 0, 2]
    assert [bar.height for bar in drawn.bars] == [CHART_HEIGHT / 2, CHART_HEIGHT / 2, CHART_HEIGHT]
    first, second = drawn.bars[:2]
    assert first.y == second.y + second.height
    assert drawn.models == ("a", "b")  # the greater first
    assert drawn.top == "2"
    assert drawn.days == ("01 May", "02 May", "03 May", "04 May")


def test_days_are_named_as_far_as_there_is_room() -> None:
    year = chart([], Range(since=date(2026, 1, 1), until=date(2026, 12, 31)), "cost")
    assert len(year.days) == 365
    assert [index for index, text in enumerate(year.days) if text] == list(range(0, 365, year.every))
    assert len(list(filter(None, year.days))) <= LABELS


@pytest.mark.parametrize(("measure", "top"), [("audio", "2"), ("requests", "4")])
def test_other_measures(measure: str, top: str) -> None:
    assert chart(ROWS, MAY, measure).top == top


def test_nothing_used_gives_an_empty_chart() -> None:
    drawn = chart([], MAY, "cost")
    assert drawn.bars == ()
    assert "nothing was used" in drawn.summary


def test_csv_holds_every_row_and_no_formulas() -> None:
    rows = [*ROWS, row(4, "=HYPERLINK()", "0.000000001")]
    read = list(csv.DictReader(io.StringIO(bytes(as_csv(rows, MAY).body).decode())))
    assert [line["cost"] for line in read] == ["2", "1", "1", "0.000000001"]
    assert read[-1]["model"] == "'=HYPERLINK()"


def test_days_of_an_address() -> None:
    assert read_range("2026-05-01", "2026-05-04") == MAY
    assert len(read_range("", "").days) == 30


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        ("soon", "", "since"),
        ("", "2026-13-01", "until"),
        ("2026-05-02", "2026-05-01", "since"),
        ("2020-01-01", "2026-01-01", "since"),
        ("", "0001-01-01", "until"),
    ],
)
def test_days_that_are_none_are_refused(since: str, until: str, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_range(since, until)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_page_and_its_twins(member: Callable[[str], httpx2.Client]) -> None:
    client = member("usage@example.org")
    assert client.get("/account/usage?measure=requests").status_code == 200
    assert client.get("/account/usage?format=json").json()["rows"] == []
    answer = client.get("/account/usage?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.strip() == "day,model,endpoint,requests,tokens,audio_seconds,cost"
    assert client.get("/account/usage?measure=length").status_code == 400


def test_everybodys_usage_is_for_administrators(server: RunningServer, member: Callable[[str], httpx2.Client]) -> None:
    assert member("curious@example.org").get("/admin/usage").status_code == 403
    keyed = httpx2.get(
        f"{server.base_url}/admin/usage?format=json", headers={"Authorization": f"Bearer {server.admin_key}"}
    )
    assert set(keyed.json()["totals"]) == {"requests", "tokens", "audio_seconds", "cost"}
