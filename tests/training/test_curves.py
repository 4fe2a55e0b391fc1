"""Curves of one run and of several."""

import json
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.errors import ManifestError
from sonant.training.curves import plot_runs, stages_of

pytest.importorskip("matplotlib")


def write_run(folder: Path, *stages: str) -> Path:
    for stage in stages:
        (folder / stage).mkdir(parents=True)
        reports = [{"step": step, "loss": 5 / step, "masked_accuracy": 0.1, "warning": "none"} for step in (1, 2, 3)]
        reports.append({"step": 3, "probe_label_accuracy_mean": 0.5})
        (folder / stage / "metrics.jsonl").write_text("".join(json.dumps(report) + "\n" for report in reports))
    (folder / "run.json").write_text(json.dumps({"stages": [{"name": name} for name in stages]}))
    return folder


def test_stages_come_in_the_order_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "mfcc", "layer5", "again")
    assert [stage.name for stage in stages_of(run)] == ["mfcc", "layer5", "again"]
    assert stages_of(run / "layer5") == [run / "layer5"]
    with pytest.raises(ManifestError, match="no metrics"):
        stages_of(tmp_path)


def test_stages_of_one_name_share_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.append(figure))
    plot_runs(
        [write_run(tmp_path / "one", "mfcc", "layer5"), write_run(tmp_path / "two", "mfcc")], tmp_path / "both.png"
    )
    (figure,) = drawn
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{stage}: {panel}" for stage in ("mfcc", "layer5") for panel in ("loss", "accuracy", "probes")]
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == ["one: loss", "two: loss"]
    assert lines[0].get_color() != lines[1].get_color()


def test_the_command_draws_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", "mfcc")
    assert main(["pretrain", "curves", str(run), "-o", str(tmp_path / "now.png")]) == 0
    assert (tmp_path / "now.png").stat().st_size > 5_000
    assert main(["pretrain", "curves"]) != 0
    assert "No run was named" in capsys.readouterr().err
