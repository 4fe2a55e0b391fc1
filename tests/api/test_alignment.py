"""Alignment of texts: a batch as each alone, windows nearly as the whole, files of every format, bad texts skipped."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonant
from sonant.api import SpeechEncoder
from sonant.cli import main
from sonant.errors import AudioWarning, ConfigurationError, UnalignableText
from tests.api.test_recognition import speech
from tests.heads import PHONEMES, write_ctc

TEXTS = ["Bonjour, il est tard.\nA demain!", "Pronto?", "Hi"]
pytestmark = pytest.mark.filterwarnings("ignore:.*probably not what is said:sonant.errors.AudioWarning")


def run(*words: str | Path) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [speech("fr-june-busy", 3.0), speech("it-carlo-queue", 1.7), speech("en-allison-welcome", 0.6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ctc(tmp_path_factory.mktemp("ctc"))


@pytest.fixture(scope="module")
def aligner(folder: Path) -> SpeechEncoder:
    return sonant.load(folder)


def times(found: sonant.Alignment) -> list[float]:
    return [time for word in found.words for time in (word.start_seconds, word.end_seconds)]


def test_a_batch_is_aligned_as_each_alone(aligner: SpeechEncoder, clips: list[np.ndarray]) -> None:
    together = aligner.align(clips, TEXTS)
    for found, clip, text in zip(together, clips, TEXTS, strict=True):
        alone = sonant.align(clip, text, model=aligner)
        assert times(found) == times(alone) == sorted(times(found))
        assert found.score == pytest.approx(alone.score, abs=1e-4)
        assert found.text.split() == text.split()
        assert found.normalization == "upper"
        assert 0 <= times(found)[0] <= times(found)[-1] <= found.duration_seconds
    assert [len(segment.words) for segment in together[0].segments] == [4, 2]


def test_windows_are_stitched(aligner: SpeechEncoder, clips: list[np.ndarray]) -> None:
    long = np.concatenate([clips[0], clips[1], clips[0]])
    text = "\n".join([TEXTS[0], TEXTS[1], TEXTS[0]])
    whole, cut = aligner.align(long, text), aligner.align(long, text, window_seconds=4, overlap_seconds=2)
    near = np.abs(np.array(times(whole)) - np.array(times(cut))) <= 0.1
    assert near.mean() > 0.8


def test_what_cannot_be_aligned_is_refused_or_skipped(aligner: SpeechEncoder, clips: list[np.ndarray]) -> None:
    with pytest.raises(UnalignableText, match="too short for this text"):
        aligner.align(clips[2], "a very long text " * 20)
    with pytest.raises(ConfigurationError, match="a list with a text for each"):
        aligner.align(clips, "one text")
    with pytest.raises(ConfigurationError, match="expected one text"):
        aligner.align(clips[0], ["one", "two"])
    with pytest.warns(sonant.errors.SonantWarning, match="1 of 2 recordings could not be used"):
        found = aligner.align(clips[:2], [" ", "Pronto"], on_error="skip")
    assert found[0] is None
    assert found[1] is not None


def test_what_is_not_spelled_and_texts_of_others_are_named(aligner: SpeechEncoder, clips: list[np.ndarray]) -> None:
    with pytest.warns(AudioWarning, match="1984 cannot be spelled"):
        found = aligner.align(clips[0], "In 1984 we", star=True)
    assert found.unspelled == ("1984",)
    with pytest.warns(AudioWarning, match="probably not what is said"):
        assert not aligner.align(clips[0], "quiz jazz fox " * 4).is_match


def test_phones_are_aligned(tmp_path: Path, clips: list[np.ndarray]) -> None:
    tokenizer = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "pad_token": "<pad>", "do_phonemize": False}
    model = sonant.load(write_ctc(tmp_path, vocabulary=PHONEMES, tokenizer=tokenizer))
    found = model.align(clips[0], "n aɪ s t")
    assert [word.text for word in found.words] == ["n", "aɪ", "s", "t"]
    assert found.normalization == "none"


def corpus(folder: Path, texts: list[str | None]) -> Path:
    folder.mkdir(exist_ok=True)
    rows = []
    for number, text in enumerate(texts):
        if not (folder / f"{number}.wav").exists():
            soundfile.write(folder / f"{number}.wav", speech("en-allison-welcome", 1.0 + number / 10), 16_000)
        rows.append({"path": f"{number}.wav"} | ({} if text is None else {"text": text}))
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "manifest.jsonl"


def test_a_manifest_is_aligned_and_brought_up_to_date(folder: Path, tmp_path: Path, capsys) -> None:
    listed, out = corpus(tmp_path / "corpus", ["Hi you", "", None, "One"]), tmp_path / "out"
    assert run("align", listed, "-m", folder, "-o", out) == 1
    errors = [json.loads(line) for line in (out / "errors.jsonl").open()]
    assert {error["path"]: error["error"] for error in errors} == dict.fromkeys(("1.wav", "2.wav"), "UnalignableText")
    assert 'text = "you"' in (out / "0.TextGrid").read_text()
    corpus(tmp_path / "corpus", ["Hi they", "Two", "Three", "One"])
    assert run("align", listed, "-m", folder, "-o", out) == 0
    assert 'text = "they"' in (out / "0.TextGrid").read_text()
    assert "1 kept from before" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ending", "level", "expected"),
    [
        ("ctm", None, "0 1 "),
        ("ctm", "characters", " H "),
        ("json", "words", '"is_spelled": true}'),
        ("srt", "segments", "\nHi you\n"),
        ("vtt", None, "WEBVTT"),
        ("TextGrid", None, 'name = "characters"'),
    ],
)
def test_one_recording_goes_into_a_file(
    folder: Path, tmp_path: Path, ending: str, level: str | None, expected: str
) -> None:
    corpus(tmp_path, [None])
    (tmp_path / "t.txt").write_text("Hi you\nMr. O")
    out = tmp_path / f"a.{ending}"
    levels = [] if level is None else ["--level", level]
    assert run("align", tmp_path / "0.wav", tmp_path / "t.txt", "-m", folder, "-o", out, *levels) == 0
    assert expected in out.read_text()


def test_a_file_of_text_must_be_there(folder: Path, tmp_path: Path, capsys) -> None:
    corpus(tmp_path, [None])
    assert run("align", tmp_path / "0.wav", tmp_path / "missing.txt", "-m", folder) == 2
    assert "cannot be read as a UTF-8 file" in capsys.readouterr().err
