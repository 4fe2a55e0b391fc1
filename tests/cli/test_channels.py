"""`--channel` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.checkpoints import save_pretrained
from sonant.cli import main
from tests.codes import vq_wav2vec

RATE = 16_000


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("coder")
    save_pretrained(vq_wav2vec(), folder)
    return str(folder)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """call.wav with two channels and mono.wav with one."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("mono.wav", "call.wav"), start=1):
        samples = 0.1 * np.random.default_rng(number).standard_normal((RATE, number))
        soundfile.write(tmp_path / "in" / name, samples, RATE)
    return tmp_path / "in"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_embed(coder: str, calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["embed", str(calls), "-o", str(out), "-m", coder, "--pool", "mean", "--channel", "all"]) == 0
    assert [(row["path"], row["channel"]) for row in lines(out / "index.jsonl")] == [
        ("call.wav", 0),
        ("call.wav", 1),
        ("mono.wav", 0),
    ]
    one = tmp_path / "one"
    assert main(["embed", str(calls), "-o", str(one), "-m", coder, "--pool", "mean", "--channel", "1"]) == 1
    np.testing.assert_allclose(np.load(one / "vectors.npy")[0], np.load(out / "vectors.npy")[1], atol=1e-5)
    assert main(["embed", str(calls), "-o", str(one), "-m", coder, "--channel", "left"]) == 2


def test_units(coder: str, calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units", str(calls), "-m", coder, "--channel", "all"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [["call.wav", "0"], ["call.wav", "1"], ["mono.wav", "0"]]
    assert main(["units", str(calls), "-m", coder, "--channel", "1", "-o", str(tmp_path / "units.jsonl")]) == 1
    (row,) = lines(tmp_path / "units.jsonl")
    assert (row["path"], row["channel"]) == ("call.wav", 1)
    assert " ".join("-".join(map(str, unit)) for unit in row["units"]) == rows[1][2]
    assert main(["units", str(calls), "-m", coder, "--channel", "all", "-o", str(tmp_path / "arrays")]) == 0
    index = lines(tmp_path / "arrays/index.jsonl")
    assert [row["file"] for row in index] == [
        f"units/{name}.npy" for name in ("call.channel0", "call.channel1", "mono.channel0")
    ]
