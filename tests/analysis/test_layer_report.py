"""Tables and plots of measures by layer."""

import sys

import pytest

from sonant.analysis import Curve, Estimate, Measure, layer_table, plot_layers
from sonant.errors import MissingExtra

MEASURES = (
    Measure(
        "keywords",
        (
            Curve("model", (Estimate(0.5), Estimate(0.805, 0.75, 0.85), Estimate(0.7)), chosen=1),
            Curve("random", (Estimate(0.3), Estimate(0.2), Estimate(0.1))),
            Curve("MFCC", (Estimate(0.6),)),
        ),
    ),
    Measure("EER", (Curve("model", (Estimate(0.3), Estimate(0.2), Estimate(0.25))), Curve("MFCC", (Estimate(0.22),)))),
)


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_has_a_row_a_layer_and_a_column_a_system():
    header, rule, *rows = cells(layer_table(MEASURES))
    assert header == ["layer", "keywords, model", "keywords, random", "EER, model"]
    assert len(rule) == 4
    assert rows == [
        ["0", "50.0", "30.0", "30.0"],
        ["1", "**80.5 [75.0, 85.0]**", "20.0", "20.0"],
        ["2", "70.0", "10.0", "25.0"],
        ["MFCC", "60.0", "", "22.0"],
    ]


def test_every_row_is_as_wide_as_the_header():
    assert len({len(row) for row in cells(layer_table(MEASURES))}) == 1


@pytest.mark.parametrize("name", ["layers.png", "layers.svg"])
def test_the_plot_is_written(tmp_path, name):
    plot_layers(MEASURES, tmp_path / name, title="a & b")
    start = (tmp_path / name).read_bytes()[:100]
    assert start.startswith(b"\x89PNG") if name.endswith("png") else b"<?xml" in start


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="pip install 'matplotlib"):
        plot_layers(MEASURES, tmp_path / "layers.png")
