"""Progress: a bar on a terminal, lines elsewhere, and nothing where it is not wanted."""

import pytest

from sonant.data import progress
from sonant.data.progress import Progress, with_progress


@pytest.fixture
def every_update_is_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)


@pytest.mark.usefixtures("every_update_is_a_minute")
def test_without_a_terminal_there_are_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(4000, title="wavlm/mfcc", unit="steps", done=1000) as shown:
        shown.note = "loss 3.214"
        shown.update(500)
        shown.update(500)
    text = capsys.readouterr().err
    assert "\r" not in text
    first, second = text.splitlines()
    assert first.startswith("wavlm/mfcc  38 % 1,500/4,000 steps, 00:00<")
    assert second.startswith("wavlm/mfcc  50 % 2,000/4,000 steps, 00:00<")
    assert first.endswith(", loss 3.214")


def test_a_line_comes_a_minute_at_most(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Progress(600, title="decoding", unit="files") as shown:
        for _ in range(600):
            clock[0] += 1
            shown.update()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[2] == "decoding  30 % 180/600 files, 03:00<07:00"


@pytest.mark.usefixtures("every_update_is_a_minute")
def test_no_means_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(10, title="decoding", unit="files", show=False) as shown:
        shown.update()
    assert capsys.readouterr().err == ""


def test_a_bar_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a notebook, whose output is no terminal."""
    with Progress(1.5, title="encoding", unit="h", show=True) as shown:
        shown.note = "25 x real time"
        shown.update(0.5)
        shown.update(1.0)
    text = capsys.readouterr().err
    assert "encoding 100 %|" in text
    assert "1.50/1.50 h" in text
    assert "25 x real time" in text


def test_items_pass_through() -> None:
    assert list(with_progress(range(5), "labels", unit="clips")) == [0, 1, 2, 3, 4]
