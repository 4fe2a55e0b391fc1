"""`sonant transcribe`, `verify` and `diarize` as they are typed."""

import json
from pathlib import Path

import pytest

import sonant
from sonant.cli import main
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.extraction.text_formats import rttm_names
from sonant.extraction.voice_calibrations import write_calibration
from tests.heads import write_ctc, write_frame_classifier, write_xvector
from tests.mms import write_mms

SPEECH = Path(__file__).parent.parent.parent / "examples/speech"
ONE, OTHER = SPEECH / "en-allison-welcome.flac", SPEECH / "fr-june-queue.flac"


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_ctc(tmp_path_factory.mktemp("ctc")))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, path in (("a.flac", ONE), ("b.flac", OTHER)):
        (folder / name).symlink_to(path)
    return folder


def test_one_recording_is_printed(recognizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    transcript = sonant.transcribe(ONE, model=recognizer)
    assert main(["transcribe", str(ONE), "-m", recognizer]) == 0
    assert capsys.readouterr().out == f"{transcript.text}\n"
    assert main(["transcribe", str(ONE), "-m", recognizer, "-f", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["path"], answer["text"]) == (ONE.name, transcript.text)
    assert answer["words"][0] == {
        "text": transcript.words[0].text,
        "start_seconds": transcript.words[0].start_seconds,
        "end_seconds": transcript.words[0].end_seconds,
        "confidence": transcript.words[0].confidence,
        "before": "",
    }


def test_several_go_into_a_file_or_a_folder(
    recognizer: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recordings / "bad.wav").write_bytes(b"not audio")
    assert main(["transcribe", str(recordings), "-m", recognizer]) == 1
    captured = capsys.readouterr()
    assert [line.split("\t")[0] for line in captured.out.splitlines()] == ["a.flac", "b.flac"]
    assert captured.err.startswith(f"{recordings / 'bad.wav'}: not audio")  # the name once
    lines = tmp_path / "out.jsonl"
    assert main(["transcribe", str(recordings), "-m", recognizer, "-f", "json", "-o", str(lines)]) == 1
    assert [json.loads(line)["path"] for line in lines.read_text().splitlines()] == ["a.flac", "b.flac"]
    (error,) = (tmp_path / "out.jsonl.errors.jsonl").read_text().splitlines()
    assert json.loads(error)["path"] == "bad.wav"
    titles = tmp_path / "titles"
    assert main(["transcribe", str(recordings), "-m", recognizer, "-f", "vtt", "-o", str(titles)]) == 1
    assert sorted(path.name for path in titles.iterdir()) == [
        "a.vtt", "b.vtt", "errors.jsonl", "index.jsonl", "settings.json"
    ]  # fmt: skip
    assert (titles / "a.vtt").read_text().startswith("WEBVTT\n\n00:00:0")
    capsys.readouterr()
    assert main(["transcribe", str(recordings), "-m", recognizer, "-f", "srt"]) == 2
    assert "3 recordings do not fit into one file" in capsys.readouterr().err


def test_the_ending_names_the_format(recognizer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["transcribe", str(ONE), "-m", recognizer, "-o"]
    assert main([*command, str(tmp_path / "a.srt")]) == 0
    assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:0")
    assert main([*command, str(tmp_path / "a.jsonl")]) == 0
    assert json.loads((tmp_path / "a.jsonl").read_text())["path"] == ONE.name
    assert main([*command, str(tmp_path / "run.v2")]) == 0
    assert f"{ONE.stem}.txt" in [path.name for path in (tmp_path / "run.v2").iterdir()]
    capsys.readouterr()
    for wrong in ("talk.wav", "x.csv", "a.srt -f vtt"):
        assert main([*command, *str(tmp_path / wrong).split()]) == 2
    assert capsys.readouterr().err.count("one file that ends in .txt") == 2
    assert main([*command, "-"]) == 0
    assert capsys.readouterr().out.strip()


def test_a_language_is_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_mms(tmp_path / "mms"))
    texts = {}
    for language in ("eng", "deu"):
        assert main(["transcribe", str(ONE), "-m", folder, "--language", language]) == 0
        texts[language] = capsys.readouterr().out
        assert texts[language] == sonant.transcribe(ONE, model=folder, language=language).text + "\n"
    assert texts["eng"] != texts["deu"]
    encoder = sonant.load(folder)
    assert sonant.transcribe(ONE, model=encoder, language="deu").text + "\n" == texts["deu"]
    assert main(["transcribe", str(ONE), "-m", folder, "--language", "fre"]) == 2
    assert "Did you mean 'fra'?" in capsys.readouterr().err
    assert main(["convert", folder, str(tmp_path / "german"), "--to", "hf", "--language", "deu"]) == 0
    capsys.readouterr()
    assert main(["transcribe", str(ONE), "-m", str(tmp_path / "german")]) == 0
    assert capsys.readouterr().out == texts["deu"]


def test_no_two_recordings_are_called_the_same_in_rttm() -> None:
    names = ["a/x.wav", "a/x.mp3", "b c.wav", "b_c.wav", "d e.wav", "f.wav"]
    assert list(rttm_names(names).values()) == ["a/x.wav", "a/x.mp3", r"b\x20c.wav", "b_c.wav", "d_e", "f"]


def test_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_xvector(tmp_path))
    assert main(["verify", str(ONE), str(OTHER), "-m", model, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["score"] == pytest.approx(sonant.verify(ONE, OTHER, model=model).score, abs=1e-6)
    assert answer["same"] is answer["threshold"] is None  # no one has calibrated these weights
    assert main(["verify", str(ONE), str(ONE), "-m", model]) == 0
    assert capsys.readouterr().out == "no verdict (cosine 1.000)\n"
    assert main(["verify", str(ONE), str(ONE), "-m", model, "--threshold", "0.86"]) == 0
    assert capsys.readouterr().out == "the same voice (cosine 1.000, threshold 0.86)\n"
    mine = tmp_path / "calibrations.json"
    write_calibration(mine, sonant.load(model).voice_fingerprint, VoiceCalibration((0.9,), "Mine.", 5.0, 0.0))
    assert main(["verify", str(ONE), str(ONE), "-m", model, "--calibration", str(mine)]) == 0
    told = capsys.readouterr()
    assert told.out == "the same voice (cosine 1.000, threshold 0.9, probability 0.99)\n"
    assert told.err == "Mine.\n"


def test_diarize(tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(write_frame_classifier(tmp_path / "model"))
    turns = sonant.diarize(ONE, model=model)
    assert main(["diarize", str(ONE), "-m", model]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(turns) > 1
    assert lines[0].split()[:3] == ["SPEAKER", ONE.stem, "1"]
    assert main(["diarize", str(recordings), "-m", model, "-f", "json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["path"] for answer in answers] == ["a.flac", "b.flac"]
    assert answers[0]["turns"][0]["speaker"] == "speaker_0"
    assert main(["diarize", str(ONE), "-m", str(write_xvector(tmp_path / "other"))]) == 2
    assert "num_speakers" in capsys.readouterr().err
