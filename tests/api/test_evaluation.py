"""Evaluation of recognition on a manifest: models and files, bad rows, and what is written."""

import json
import re
import warnings
from pathlib import Path

import pytest

import sonant
from sonant.data.text_normalization import normalize_text
from sonant.errors import ConfigurationError, ManifestError, SonantWarning, UnknownName
from sonant.evaluation import error_rate
from tests.heads import write_ctc

SPEECH = Path(__file__).parent.parent.parent / "examples/speech"
NAMES = ("en-allison-welcome", "en-allison-busy", "fr-june-queue")


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> sonant.SpeechEncoder:
    return sonant.load(write_ctc(tmp_path_factory.mktemp("ctc")))


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rows = [
        {"path": str(SPEECH / f"{name}.flac"), "end": end, "text": f"Hello, {name}!", "lang": name[:2]}
        for end, name in enumerate(NAMES, start=1)
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def add(manifest: Path, **row: object) -> None:
    with manifest.open("a") as file:
        file.write(json.dumps(row) + "\n")


def hypotheses(path: Path, text: str, names: tuple[str, ...] = NAMES) -> Path:
    path.write_text("".join(f"{name}\t{text} {name}\n" for name in names))
    return path


def test_a_model_and_the_transcripts_that_it_leaves(
    recognizer: sonant.SpeechEncoder, manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    add(manifest, path="bad.wav", text="hello")
    add(manifest, path=str(SPEECH / "en-allison-queue.flac"))
    output = tmp_path / "out"
    done = sonant.evaluate_asr(manifest, recognizer, output=output, by=["lang"], normalize="upper", resamples=50)
    entries = sonant.data.read_manifest(manifest)[:3]
    references = [normalize_text(f"Hello, {name}!", "upper") for name in NAMES]
    said = [normalize_text(each.text, "upper") for each in recognizer.transcribe(entries)]
    for metric, unit in (("wer", "word"), ("cer", "character")):
        assert done.report.systems[0].totals[metric].rate == error_rate(references, said, unit=unit)
    assert set(done.failures) == {str(tmp_path / "bad.wav"), str(SPEECH / "en-allison-queue.flac")}
    errors = [json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines()]
    assert [(error["path"], error["error"]) for error in errors] == [
        (str(tmp_path / "bad.wav"), "UndecodableAudio"),
        (str(SPEECH / "en-allison-queue.flac"), "ManifestError"),
    ]
    page = done.page.read_text()
    assert page.count("data:audio/mpeg;base64,") == 3
    assert list(done.report.systems[0].groups) == ["length", "lang"]
    results = json.loads((output / "results.json").read_text())
    assert results["failures"] == dict(done.failures)
    assert {key: results[key] for key in done.report.to_json()} == json.loads(json.dumps(done.report.to_json()))
    again = sonant.evaluate_asr(manifest, output / "transcripts.jsonl", normalize="upper", resamples=50)
    assert again.report.systems[0].totals == done.report.systems[0].totals
    assert set(again.failures) == set(done.failures)


def test_two_files_without_the_recordings(tmp_path: Path) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,text\n" + "".join(f"{name}.wav,one two {name}\n" for name in NAMES))
    first, second = hypotheses(tmp_path / "first.tsv", "one"), hypotheses(tmp_path / "second.tsv", "one two")
    done = sonant.evaluate_asr(manifest, first, against=second, output=tmp_path / "out", metrics=["cer"], resamples=50)
    assert [system.name for system in done.report.systems] == ["first.tsv", "second.tsv"]
    assert list(done.report.comparison) == ["cer"]
    assert done.report.comparison["cer"].difference < 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.html", "results.json"]
    assert "<audio" not in done.page.read_text()
    same = sonant.evaluate_asr(manifest, first, against=first, resamples=50)
    assert [system.name for system in same.report.systems] == ["first.tsv", "first.tsv (2)"]
    assert same.page is None


def test_words_are_no_references_of_a_model_that_writes_phones(manifest: Path, tmp_path: Path) -> None:
    tokenizer = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "pad_token": "<pad>"}
    model = sonant.load(write_ctc(tmp_path / "model", vocabulary=("<pad>", "HH", "AH", "L"), tokenizer=tokenizer))
    with pytest.raises(ConfigurationError, match=r"writes phones \(.*AH.*\), and 6 of the 6 symbols of the references"):
        sonant.evaluate_asr(manifest, model, metrics=["per"])
    rows = [json.loads(line) | {"text": "HH AH L OW"} for line in manifest.open()]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert sonant.evaluate_asr(manifest, model, metrics=["per"]).report.systems


def test_phones_may_be_a_list(tmp_path: Path) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"path": "a.wav", "phones": ["k", "a", "t"]}\n')
    (tmp_path / "h.txt").write_text("a k a")
    done = sonant.evaluate_asr(manifest, tmp_path / "h.txt", label="phones", metrics=["per"])
    assert done.report.systems[0].totals["per"].rate == 1 / 3


def test_what_is_missing_is_said(manifest: Path, tmp_path: Path, recognizer: sonant.SpeechEncoder) -> None:
    some = hypotheses(tmp_path / "some.tsv", "hello", NAMES[:2])
    assert sonant.evaluate_asr(manifest, some, resamples=50).failures == {
        f"{SPEECH / NAMES[2]}.flac, 0 to 3 s": f"{SPEECH / NAMES[2]}.flac, 0 to 3 s has no text in {some}."
    }
    with pytest.warns(SonantWarning, match="1 of the 4 texts in .*more.tsv are of no row"):
        sonant.evaluate_asr(manifest, hypotheses(tmp_path / "more.tsv", "hello", (*NAMES, "x")), resamples=50)
    with pytest.raises(UnknownName, match="field of the manifest 'words'"):
        sonant.evaluate_asr(manifest, some, label="words")
    with pytest.raises(UnknownName, match="field of the manifest 'accent'"):
        sonant.evaluate_asr(manifest, some, by=["accent"])
    with pytest.raises(UnknownName, match="normalization"):
        sonant.evaluate_asr(manifest, some, normalize="title")
    with pytest.raises(ConfigurationError, match="is a file; expected a folder"):
        sonant.evaluate_asr(manifest, some, output=manifest)
    earlier = hypotheses(tmp_path / "transcripts.jsonl", "{")
    with pytest.raises(ConfigurationError, match="would be written too"):
        sonant.evaluate_asr(manifest, recognizer, against=earlier, output=tmp_path)
    for wrong in ({"worst": -1}, {"resamples": 0}):
        with pytest.raises(ConfigurationError, match="expected 0 recordings, and 1 resample, or more"):
            sonant.evaluate_asr(manifest, some, **wrong)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"path": "none.wav", "text": "a"}\n')
    with pytest.raises(ManifestError, match=r"None of the 1 recordings can be used. The first: .*none.wav"):
        sonant.evaluate_asr(bad, recognizer)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("hello é", "references have capital letters, and .* wrote small ones alone"),
        ("HELLO É", "references have small letters, and .* wrote capital ones alone"),
        ("Hello e\u0301", "one character in some texts and two in others"),
        ("Hello é", None),
    ],
)
def test_texts_in_another_form_are_told(texts: str, message: str | None, tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps({"path": "a.wav", "text": "Hello é"}) + "\n")
    (tmp_path / "said.tsv").write_text(f"a.wav\t{texts}\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        sonant.evaluate_asr(tmp_path / "test.jsonl", tmp_path / "said.tsv", resamples=2)
        normal = sonant.evaluate_asr(tmp_path / "test.jsonl", tmp_path / "said.tsv", resamples=2, normalize="lower")
    assert [bool(re.search(str(message), str(each.message))) for each in told] == [True] * (message is not None)
    assert normal.report.systems[0].totals["wer"].rate == 0
