"""`sonant voices` as it is typed."""

import json
from pathlib import Path

import pytest
import soundfile

from sonant.cli import main

SPEECH = Path(__file__).parent.parent.parent / "examples/speech"
ADA, ADA_TOO, CARLO = (
    str(SPEECH / f"{name}.flac") for name in ("en-allison-busy", "en-allison-queue", "it-carlo-busy")
)


@pytest.fixture
def typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A function that runs a command on one file and returns exit code, output and errors."""

    def run(verb: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["voices", verb, *arguments, "--voices", str(tmp_path / "people.voices")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_life_of_a_file(typed, tmp_path: Path) -> None:
    assert typed("enroll", "Ada", ADA)[0] == 0
    assert typed("enroll", "Carlo", CARLO)[0] == 0
    short = tmp_path / "short.wav"
    soundfile.write(short, soundfile.read(ADA)[0][:16_000], soundfile.info(ADA).samplerate)
    code, out, err = typed("enroll", "Ada", str(short), ADA_TOO)
    assert (code, out) == (1, "Ada: 1 of 2 recordings enrolled\n")
    assert "short.wav" in err
    assert "of speech" in err
    people = json.loads(typed("list", "--json")[1])
    assert [(person["name"], person["recordings"]) for person in people] == [("Ada", 2), ("Carlo", 1)]
    assert typed("rename", "Carlo", "Carlo B.")[0] == typed("merge", "Ada", "Carlo B.")[0] == 0
    assert [person["name"] for person in json.loads(typed("export")[1])["people"]] == ["Carlo B."]
    assert typed("forget", "Carlo B.")[0] == 0
    assert typed("identify", ADA) == (0, f"{ADA}: no one is enrolled\n", "")


def test_identify_names_or_says_unknown(typed) -> None:
    typed("enroll", "Ada", ADA)
    code, out, err = typed("identify", ADA, CARLO, "--threshold", "0.9999")
    mine, other = out.splitlines()
    assert mine.startswith(f"{ADA}: Ada (cosine 1.000")
    assert other.startswith(f"{CARLO}: unknown; most similar is Ada")
    assert err == "The threshold was given by the caller.\n"
    code, out, err = typed("identify", ADA, "--top", "0")
    assert (code, out) == (2, "")
    assert "top=0" in err
    code, out, err = typed("identify", "nowhere.wav", ADA, "--json")
    assert code == 1
    assert "nowhere.wav" in err
    (line,) = out.splitlines()
    assert json.loads(line)["matches"][0]["name"] == "Ada"


def test_calibrate_sets_the_threshold(typed, tmp_path: Path) -> None:
    rows = []
    for path, speaker in (
        (ADA, "Ada"),
        (ADA_TOO, "Ada"),
        (CARLO, "Carlo"),
        (str(SPEECH / "it-carlo-queue.flac"), "Carlo"),
    ):
        samples, rate = soundfile.read(path)
        for number in range(3):
            piece = tmp_path / f"{len(rows)}.wav"
            soundfile.write(piece, samples[number * rate : (number + 2) * rate], rate)
            rows.append({"path": piece.name, "speaker": speaker})
    rows.append({"path": "nowhere.wav", "speaker": "Ada"})
    manifest = tmp_path / "speakers.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    code, out, err = typed("calibrate", str(manifest), "--false-accept", "0.2")
    assert code == 1
    assert "nowhere.wav" in err
    assert out.startswith("Set on 12 recordings of 2 speakers (speakers.jsonl)")
    typed("enroll", "Ada", ADA)
    assert typed("identify", ADA)[2] == out
    other = tmp_path / "voices.json"
    assert typed("calibrate", str(manifest), "--false-accept", "0.2", "-o", str(other))[:2] == (1, out)
    (calibration,) = json.loads(other.read_text()).values()
    assert calibration["basis"] + "\n" == out
    assert typed("calibrate", str(manifest), "--label", "who")[0] == 1


@pytest.mark.parametrize(
    "command",
    [
        "voices list",
        "voices identify SPEECH",
        "voices identify SPEECH -m sonant/wavlm-tiny",
        "voices forget Ada",
        "diarize SPEECH -n 1",
    ],
)
def test_a_mistyped_file_is_not_made(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "poeple.voices"
    words = [ADA if word == "SPEECH" else word for word in command.split()]
    assert main([*words, "--voices", str(file)]) == 2
    assert f"There is no file of voices at {file}" in capsys.readouterr().err
    assert not file.exists()


def test_a_single_recording_is_listed_and_forgotten(typed) -> None:
    typed("enroll", "Ada", ADA, ADA_TOO)
    first, second = json.loads(typed("list", "--recordings", "--json")[1])
    assert first["recording"] in typed("list", "--recordings")[1]
    assert typed("forget", "Ada", "--recording", first["recording"])[0] == 0
    assert json.loads(typed("list", "--recordings", "--json")[1]) == [second]
    assert typed("forget", "Ada", "--recording", first["recording"])[0] == 2


def test_the_same_recording_counts_once(typed) -> None:
    assert typed("enroll", "Ada", ADA)[1] == "Ada: 1 of 1 recordings enrolled\n"
    assert typed("enroll", "Ada", ADA, ADA_TOO)[:2] == (0, "Ada: 1 of 2 recordings enrolled, 1 enrolled before\n")
    code, out, err = typed("enroll", "Eve", ADA)
    assert (code, out) == (1, "")
    assert "enrolled as 'Ada'" in err
    assert [person["name"] for person in json.loads(typed("list", "--json")[1])] == ["Ada"]


def test_a_failed_enrollment_leaves_no_file(typed, tmp_path: Path) -> None:
    assert typed("enroll", "Ada", "nowhere.wav")[0] == 1
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "song").touch()
    assert main(["voices", "enroll", "Ada", ADA, "--voices", str(tmp_path / "song/people.voices")]) == 2


def test_names_are_printed_as_they_are_written(typed) -> None:
    typed("enroll", "Зоя", ADA)
    for verb in (("list", "--json"), ("export",), ("identify", ADA, "--json")):
        assert "Зоя" in typed(*verb)[1]


def test_an_empty_file_is_filled(typed, tmp_path: Path) -> None:
    (tmp_path / "people.voices").touch()
    assert typed("enroll", "Ada", ADA)[0] == 0


def test_errors_name_a_recording_once(typed, tmp_path: Path) -> None:
    text, silent = tmp_path / "text.wav", tmp_path / "silent.wav"
    text.write_text("hello")
    soundfile.write(silent, [0.0] * 48_000, 16_000)
    assert typed("enroll", "Ada", ADA)[0] == 0
    lines = typed("identify", str(text), str(silent))[2].splitlines()
    assert [line.count(path) for line, path in zip(lines, (str(text), str(silent)), strict=True)] == [1, 1]


def test_a_name_that_is_not_there(typed) -> None:
    code, _, err = typed("list")
    assert code == 2
    assert "people.voices" in err
    typed("enroll", "Ada", ADA)
    code, _, err = typed("forget", "Adda")
    assert code == 2
    assert "Did you mean 'Ada'?" in err
