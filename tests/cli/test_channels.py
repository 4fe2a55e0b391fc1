"""`--channel` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonant
from sonant.checkpoints import save_pretrained
from sonant.cli import main
from tests.codes import vq_wav2vec
from tests.heads import write_ctc, write_frame_classifier, write_xvector

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


def test_transcribe(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_ctc(tmp_path / "ctc"))
    recognizer = sonant.load(model)
    call, mono = recognizer.transcribe([calls / "call.wav", calls / "mono.wav"], channel="all")
    asked = ["transcribe", str(calls), "-m", model, "--channel", "all"]
    assert main(asked) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    expected = [["call.wav", "0", call[0].text], ["call.wav", "1", call[1].text], ["mono.wav", "0", mono[0].text]]
    assert rows == expected
    assert main(["transcribe", str(calls / "call.wav"), *asked[2:]]) == 0
    assert [line.split("\t") for line in capsys.readouterr().out.splitlines()] == expected[:2]
    assert main(["transcribe", str(calls / "call.wav"), "-m", model, "--channel", "1"]) == 0
    assert capsys.readouterr().out == f"{call[1].text}\n"
    assert main([*asked, "-f", "json", "-o", str(tmp_path / "all.jsonl")]) == 0
    assert [(row["path"], row["channel"]) for row in lines(tmp_path / "all.jsonl")] == [
        (name, int(channel)) for name, channel, _ in expected
    ]
    assert main([*asked, "-f", "srt", "-o", str(tmp_path / "titles")]) == 0
    assert sorted(path.name for path in (tmp_path / "titles").glob("*.srt")) == [
        f"{name}.srt" for name in ("call.channel0", "call.channel1", "mono.channel0")
    ]
    assert main(["transcribe", str(calls / "call.wav"), *asked[2:], "-f", "srt"]) == 2
    assert "channels do not fit" in capsys.readouterr().err
    assert main(["transcribe", str(calls), "-m", model, "--channel", "1", "-o", str(tmp_path / "one")]) == 1
    assert [path.name for path in (tmp_path / "one").glob("*.txt")] == ["call.channel1.txt"]
    assert lines(tmp_path / "one/errors.jsonl")[0]["error"] == "MissingChannel"


def test_a_channel_that_cannot_be_used_leaves_the_others(
    calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_ctc(tmp_path / "ctc"))
    samples = np.full((RATE, 2), 0.1, np.float32)
    samples[100, 0] = np.nan
    soundfile.write(calls / "bad.wav", samples, RATE, subtype="FLOAT")
    (calls / "broken.wav").write_bytes(b"no audio")
    assert main(["transcribe", str(calls), "-m", model, "--channel", "all", "-o", str(tmp_path / "out")]) == 1
    assert "2 could not be used" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.txt")) == [
        f"{name}.txt" for name in ("bad.channel1", "call.channel0", "call.channel1", "mono.channel0")
    ]


def test_diarize(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_frame_classifier(tmp_path / "frames"))
    turns = sonant.load(model).diarize(calls / "call.wav", channel="all")
    assert main(["diarize", str(calls / "call.wav"), "-m", model, "--channel", "all"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [(row[1], row[2], row[7]) for row in rows] == [
        ("call", str(channel + 1), turn.speaker) for channel, found in enumerate(turns) for turn in found
    ]
    assert main(["diarize", str(calls / "call.wav"), "-m", model, "--channel", "1"]) == 0
    assert {line.split()[2] for line in capsys.readouterr().out.splitlines()} <= {"2"}
    assert main(["diarize", str(calls), "-m", model, "--channel", "all", "-o", str(tmp_path / "turns.json")]) == 0
    assert [(row["path"], row["channel"], len(row["turns"])) for row in lines(tmp_path / "turns.json")][:2] == [
        ("call.wav", 0, len(turns[0])),
        ("call.wav", 1, len(turns[1])),
    ]


def test_verify(calls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_xvector(tmp_path / "voices"))
    asked = ["verify", str(calls / "call.wav"), str(calls / "call.wav"), "-m", model, "--json", "--channel"]
    for channel in ("0", "mix"):
        assert main([*asked, channel]) == 0
        assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(1.0, abs=1e-5)
    assert main([*asked, "2"]) == 1
    assert main([*asked, "all"]) == 2
