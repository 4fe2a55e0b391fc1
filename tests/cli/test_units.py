"""`sonant units` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.codes import vq_wav2vec
from tests.shapes import SMALL

RATE = 16_000


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("coder")
    save_pretrained(vq_wav2vec(), folder)
    return str(folder)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("a.wav", "b.wav")):
        samples = 0.1 * np.random.default_rng(number).standard_normal(RATE)
        soundfile.write(tmp_path / "in" / name, samples, RATE)
    return tmp_path / "in"


def test_lines_on_standard_output(coder: str, recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units", str(recordings), "-m", coder]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == ["a.wav", "b.wav"]
    units = [tuple(map(int, unit.split("-"))) for unit in lines[0][1].split()]
    assert len(units) == 99
    assert {len(unit) for unit in units} == {2}


def test_a_bad_file_is_told_by_the_exit_code(
    coder: str, recordings: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (recordings / "bad.wav").write_bytes(b"not audio")
    assert main(["units", str(recordings), "-m", coder]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err.startswith(f"{recordings / 'bad.wav'}: not audio")  # the name once
    assert "Errno" not in captured.err
    assert main(["units", str(recordings), "-m", coder, "-o", str(tmp_path / "u.jsonl"), "-d", "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["computed"], summary["failed"]) == (2, 1)
    assert Path(summary["errors"]).exists()
    row = json.loads((tmp_path / "u.jsonl").read_text().splitlines()[0])
    assert sum(row["durations"]) == row["frames"] == 99


def test_clusters_of_a_layer(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    save_pretrained(build(WavLMConfig(**SMALL)), tmp_path / "model")
    KMeans(torch.randn(5, SMALL["dim"])).save(tmp_path / "kmeans.safetensors")
    command = ["units", str(recordings), "-m", str(tmp_path / "model"), "-o", str(tmp_path / "out")]
    assert main(command) == 2
    assert "kmeans=PATH" in capsys.readouterr().err
    assert main([*command, "--kmeans", str(tmp_path / "none.safetensors"), "--layer", "3"]) == 2
    assert "There is no file" in capsys.readouterr().err
    assert main([*command, "--kmeans", str(tmp_path / "kmeans.safetensors"), "--layer", "3"]) == 0
    assert "2 recordings turned into units, 2.0 s of audio" in capsys.readouterr().out
    assert np.load(tmp_path / "out" / "units" / "a.npy").shape == (49,)


def test_a_summary_needs_room(coder: str, recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for nowhere in ([], ["-o", "-"]):
        assert main(["units", str(recordings), "-m", coder, "--json", *nowhere]) == 2
        assert "name an output" in capsys.readouterr().err
        assert main(["units", str(recordings), "-m", coder, *nowhere]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 2  # of two recordings, and nothing else
