"""Usage reports over a range of days: rows, sums, a chart, CSV; for one account or all."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import Response

from sonant.server.accounts.usage import UsageRow
from sonant.server.errors import ApiError
from sonant.server.web.wording import figure

DEFAULT_DAYS = 30
MOST_DAYS = 366
EARLIEST = date(2000, 1, 1)
MEASURES: Mapping[str, tuple[str, Callable[[UsageRow], float]]] = {  # query value: (label, value of a row)
    "cost": ("Cost", lambda row: float(row.cost)),
    "audio": ("Minutes of audio", lambda row: row.audio_seconds / 60),
    "requests": ("Requests", lambda row: float(row.requests)),
}
CHART_WIDTH, CHART_HEIGHT = 1080, 220
LABELS = 8  # at most, below the bars
SHADES = 6  # .series-0 to .series-5 in style.css


@dataclass(frozen=True, kw_only=True)
class Range:
    """A range of days, both ends included."""

    since: date
    until: date

    @property
    def days(self) -> list[date]:
        return [self.since + timedelta(days=i) for i in range((self.until - self.since).days + 1)]


def read_range(since: str, until: str) -> Range:
    """Parse the range of an address; by default the last thirty days. Raises ApiError 400: invalid or too long."""
    last = _day(until, "until") if until else datetime.now(UTC).date()
    first = _day(since, "since") if since else last - timedelta(days=DEFAULT_DAYS - 1)
    if not timedelta(0) <= last - first < timedelta(days=MOST_DAYS):
        raise ApiError(
            400,
            "invalid_value",
            f"From {first} to {last} was asked for; expected a range of 1 to {MOST_DAYS} days, the earlier day first.",
            param="since",
        )
    return Range(since=first, until=last)


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day < EARLIEST:
        raise ApiError(
            400, "invalid_value", f"{name}={text[:40]!r} is no day since {EARLIEST}; write 2026-11-21.", param=name
        )
    return day


@dataclass(frozen=True)
class Bar:
    """The bar of one model on one day, in the units of the chart."""

    x: float
    y: float
    width: float
    height: float
    shade: int
    label: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A bar chart by day, with the models stacked.

    Attributes:
        measure: label of the measure.
        top: value at the upper edge.
        models: by color; from the sixth on they have the same one.
        days: labels of the days: empty but for each `every`-th.
        summary: text alternative.
    """

    measure: str
    top: str
    bars: tuple[Bar, ...]
    models: tuple[str, ...]
    days: tuple[str, ...]
    every: int
    summary: str
    width: int = CHART_WIDTH
    height: int = CHART_HEIGHT


def chart(rows: Sequence[UsageRow], span: Range, measure: str) -> Chart:
    """Make the chart of a range. Raises ApiError 400 for an unknown measure."""
    if measure not in MEASURES:
        raise ApiError(
            400, "unknown_name", f"There is no measure {measure[:40]!r}. Known: {', '.join(MEASURES)}.", param="measure"
        )
    name, amount = MEASURES[measure]
    by_day: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    by_model: dict[str, float] = defaultdict(float)
    for row in rows:
        by_day[row.day][row.model] += amount(row)
        by_model[row.model] += amount(row)
    models = sorted(by_model, key=lambda model: -by_model[model])
    most = max((sum(day.values()) for day in by_day.values()), default=0.0)
    step = CHART_WIDTH / len(span.days)
    bars: list[Bar] = []
    for index, day in enumerate(span.days):
        base = float(CHART_HEIGHT)
        for shade, model in enumerate(models):
            value = by_day[day.isoformat()].get(model, 0.0)
            if not value or not most:
                continue
            height = value / most * CHART_HEIGHT
            base -= height
            label = f"{day}: {model}, {figure(value)}"
            bars.append(Bar(index * step + step * 0.1, base, step * 0.8, height, min(shade, SHADES - 1), label))
    every = math.ceil(len(span.days) / LABELS)
    busiest = max(by_day, key=lambda day: sum(by_day[day].values()), default=None)
    return Chart(
        measure=name,
        top=figure(most),
        bars=tuple(bars),
        models=tuple(models),
        days=tuple("" if index % every else f"{day:%d %b}" for index, day in enumerate(span.days)),
        every=every,
        summary=f"{name} by day from {span.since} to {span.until}; "
        + (f"the most on {busiest}: {figure(most)}." if busiest else "nothing was used."),
    )


def as_csv(rows: Sequence[UsageRow], span: Range) -> Response:
    """Make CSV, a line for each day, model and endpoint."""
    text = io.StringIO()
    names = [field.name for field in fields(UsageRow)]
    writer = csv.DictWriter(text, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in asdict(row).items()} for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="usage-{span.since}-{span.until}.csv"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def _plain(value: Any) -> Any:
    """Format a value for CSV: text that looks like a formula is quoted, amounts have no exponent."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in "=+-@" else value
    return f"{value:f}" if hasattr(value, "as_tuple") else value
