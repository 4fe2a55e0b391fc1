"""`sonant embed` as it is typed."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.cli import main
from sonant.models import WavLMConfig, build
from tests.shapes import SMALL

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    from sonant.checkpoints import save_pretrained

    torch.manual_seed(0)
    config = WavLMConfig(**SMALL)
    folder = tmp_path_factory.mktemp("model")
    save_pretrained(build(config), folder)
    return str(folder)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 1.0), ("sub/b.flac", 2.0), ("c.wav", 0.5)):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)
    return folder


def test_a_folder(model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["embed", str(recordings), "-o", str(out), "--model", model, "--layer", "1,last"]) == 0
    captured = capsys.readouterr()
    assert "3 recordings turned into vectors, 3.5 s of audio" in captured.out
    assert "3 recordings, 3.5 s of audio, about" in captured.err
    index = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert [row["path"] for row in index] == ["a.wav", "c.wav", "sub/b.flac"]
    assert [row["file"] for row in index] == ["features/a.npy", "features/c.npy", "features/sub/b.npy"]
    assert np.load(out / index[2]["file"]).shape == (2, 99, 32) == (2, index[2]["frames"], index[2]["dim"])
    assert index[0]["layer"] == [1, "last"]
    assert index[0]["model"] == model
    assert index[0]["revision"].startswith("sha256:")


def test_a_bad_file_is_told_by_the_exit_code_and_in_a_file(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "bad.wav").write_bytes(b"not audio")
    out = tmp_path / "out"
    arguments = ["embed", str(recordings), "-o", str(out), "--model", model, "--pool", "mean", "--json"]
    assert main(arguments) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["computed"], summary["kept"], summary["failed"]) == (3, 0, 1)
    (error,) = [json.loads(line) for line in Path(summary["errors"]).read_text().splitlines()]
    assert error["path"] == "bad.wav"
    assert np.load(out / "vectors.npy").shape == (3, 32)
    assert main([*arguments, "--on-error", "raise"]) == 1
    assert "bad.wav" in capsys.readouterr().err
    (recordings / "bad.wav").unlink()
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 3


def test_reasons_are_told_of_the_first_bad_files(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        (recordings / f"bad{number}.wav").write_bytes(b"not audio")
    assert main(["embed", str(recordings), "-o", str(tmp_path / "out"), "--model", model, "--pool", "mean"]) == 1
    *_, listed, first, second, third, more = capsys.readouterr().err.splitlines()
    assert listed == f"4 could not be used: {tmp_path / 'out' / 'errors.jsonl'}"
    for number, line in enumerate((first, second, third)):
        assert line.startswith(f"  {recordings / f'bad{number}.wav'}: not audio")
    assert more == "  ..."


@pytest.mark.parametrize("ending", ["npy", "npz", "safetensors", "parquet", "jsonl"])
def test_one_file_to_one_file(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str
) -> None:
    out = tmp_path / f"a.{ending}"
    assert main(["embed", str(recordings / "a.wav"), "-o", str(out), "-m", model]) == 0
    assert out.stat().st_size > 49 * 32 * 2
    assert capsys.readouterr().out.startswith("1 recording turned into vectors, ")


def test_bytes_from_standard_input(
    model: str, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stdin:
        buffer = io.BytesIO((recordings / "sub/b.flac").read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert main(["embed", "-", "-o", str(tmp_path / "x.npy"), "-m", model, "--layer", "all"]) == 0
    assert np.load(tmp_path / "x.npy").shape == (5, 99, 32)


def test_a_manifest(model: str, recordings: Path, tmp_path: Path) -> None:
    (recordings / "list.jsonl").write_text('{"path": "c.wav"}\n{"path": "sub/b.flac", "duration": 2.0}\n')
    out = tmp_path / "out"
    arguments = ["embed", str(recordings / "list.jsonl"), "-o", str(out), "-m", model, "--task", "speaker"]
    assert main(arguments) == 0
    index = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert [(row["path"], row["row"]) for row in index] == [("c.wav", 0), ("sub/b.flac", 1)]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--layer", "9"], "layer 9"),
        (["--window-seconds", "2", "--overlap-seconds", "2"], "overlap"),
        (["--device", "cuda:77"], "cuda:77"),
        (["--format", "npz", "-o", "x.npy"], "agree"),
    ],
)
def test_wrong_use_is_code_2(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str], told: str
) -> None:
    arguments = ["embed", str(recordings / "a.wav"), "-o", str(tmp_path / "out"), "-m", model, *wrong]
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_other_settings_in_the_same_folder_are_wrong_use(
    model: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["embed", str(recordings), "-o", str(tmp_path / "out"), "-m", model]
    assert main(arguments) == 0
    assert main([*arguments, "--layer", "2"]) == 2
    assert "layer: there 'last', now 2" in capsys.readouterr().err


def test_a_source_that_is_not_there_is_code_1(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["embed", str(tmp_path / "nowhere"), "-o", str(tmp_path / "out"), "-m", model]) == 1
    assert "nowhere" in capsys.readouterr().err
