"""Curves of one run and of several."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.errors import ManifestError, SonantWarning
from sonant.training import curves, train
from sonant.training.curves import CurvesPicture, plot_runs, stages_of
from sonant.training.log import Monitoring
from tests.training.points import SHORT, Regression, points

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


@pytest.mark.parametrize(("seconds", "pictures"), [(0.0, 4), (60.0, 0)])
def test_a_stage_is_drawn_while_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, pictures: int
) -> None:
    """Once for each line that is written late enough after the last picture."""
    drawn: list[Path] = []
    monkeypatch.setattr(curves, "plot_curves", lambda _, path: drawn.append(path))
    monkeypatch.setattr(curves, "LEAST_SECONDS", seconds)
    picture = CurvesPicture({"stage": {"run": tmp_path}}, tmp_path / "curves.png")
    training = replace(SHORT, steps=4, log_every=1)
    train(Regression(), points, training, tmp_path / "stage", monitoring=Monitoring(picture=picture))
    assert drawn == [tmp_path / "curves.png"] * pictures


def test_a_picture_that_cannot_be_drawn_ends_no_training(tmp_path: Path) -> None:
    """It is said once."""
    picture = CurvesPicture({"stage": {"run": write_run(tmp_path, "mfcc") / "mfcc"}}, tmp_path / "none" / "curves.png")
    with pytest.warns(SonantWarning, match="was not drawn"):
        picture.draw()
    picture.draw()
