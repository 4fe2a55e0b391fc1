"""Readers of corpora, each on a miniature of its official layout."""

from pathlib import Path
from typing import Any

import pytest
import soundfile

from sonant.data import read_manifest
from sonant.data.corpora import CORPORA, CorpusSets, read_corpus
from sonant.data.corpora.listing import CorpusProblem
from sonant.data.manifest_writer import write_manifest
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from tests.data.corpora.layouts import LAYOUTS, noise, write_lines

USES = [(name, use) for name, uses in CORPORA.items() for use in uses]


def rows(found: CorpusSets, part: str, *names: str) -> list[tuple[Any, ...]]:
    return [(entry.path.name, *(entry.fields[name] for name in names)) for entry in found.sets[part]]


def messages(found: CorpusSets) -> list[str]:
    return list(map(str, found.problems))


@pytest.mark.parametrize(("name", "use"), USES)
def test_every_layout_is_read_and_its_recordings_are_there(tmp_path: Path, name: str, use: str) -> None:
    found = read_corpus(name, LAYOUTS[name](tmp_path), use)
    assert all(soundfile.info(entry.path).frames for entries in found.sets.values() for entry in entries)
    assert {"dev", "test"} < found.sets.keys()
    assert not any(problem.severity == "error" for problem in found.problems)


@pytest.mark.parametrize(("name", "use"), USES)
def test_hidden_files_are_no_recordings(tmp_path: Path, name: str, use: str) -> None:
    """macOS writes one beside each file that it copies to another file system."""
    folder = LAYOUTS[name](tmp_path)
    before = read_corpus(name, folder, use)
    for path in [each for each in tmp_path.rglob("*") if each.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert read_corpus(name, folder, use) == before


@pytest.mark.parametrize(("name", "use"), USES)
def test_a_folder_of_another_layout_is_refused_with_the_layout(tmp_path: Path, name: str, use: str) -> None:
    with pytest.raises(ManifestError, match="Expected "):
        read_corpus(name, tmp_path, use)
    with pytest.raises(ManifestError, match="There is no folder"):
        read_corpus(name, tmp_path / "nowhere", use)


def test_unknown_corpora_uses_and_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="librispeech"):
        read_corpus("librispeech2", tmp_path, "asr")
    with pytest.raises(UnknownName, match="asr"):
        read_corpus("librispeech", tmp_path, "ks")
    with pytest.raises(ConfigurationError, match="folds 1 to 5"):
        read_corpus("iemocap", tmp_path, "er", fold=6)


def test_transcripts_of_librispeech(tmp_path: Path) -> None:
    found = read_corpus("librispeech", LAYOUTS["librispeech"](tmp_path) / "LibriSpeech", "asr")
    assert rows(found, "dev", "text", "speaker") == [(f"84-198-000{n}.flac", "GO ON", "84") for n in range(2)]
    assert read_corpus("librispeech", tmp_path, "pr").files == {"lexicon": tmp_path / "librispeech-lexicon.txt"}


def test_missing_files_and_audio_without_labels_are_named(tmp_path: Path) -> None:
    chapter = LAYOUTS["librispeech"](tmp_path) / "LibriSpeech" / "train-clean-100" / "19" / "198"
    (chapter / "19-198-0000.flac").unlink()
    noise(chapter / "19-198-0007.flac")
    found = read_corpus("librispeech", tmp_path, "asr")
    missing, unlabeled = messages(found)
    assert missing.startswith("error: 1 recordings that a list names are missing: ")
    assert missing.endswith("19-198-0000.flac")
    assert unlabeled.startswith("warning: 1 recordings have no label")
    assert unlabeled.endswith("19-198-0007.flac")
    assert [name for (name,) in rows(found, "train")] == ["19-198-0001.flac"]


def test_keywords_are_twelve_classes_and_noises_are_divided_by_time(tmp_path: Path) -> None:
    folder = LAYOUTS["speech_commands"](tmp_path)
    found = read_corpus("speech_commands", folder, "ks")
    words = [(f"0{speaker}_nohash_0.wav", label) for label in ("_unknown_", "no", "yes") for speaker in "ab"]
    assert rows(found, "train", "label") == [*words, *[("hum.wav", "_silence_")] * 8]
    silences = {part: [e.segment for e in each if e.segment is not None] for part, each in found.sets.items()}
    assert [silences[part][0].start for part in ("train", "dev", "test")] == [0, 8, 9]
    noise(folder / "speech_commands_test_set_v0.01" / "_silence_" / "x.wav")
    apart = read_corpus("speech_commands", folder, "ks")
    assert rows(apart, "test", "label") == [("x.wav", "_silence_")]
    assert len(rows(apart, "train")) == 6 + 9  # the testing list is left out
    noise(folder / "speech_commands_test_set_v0.01" / "bed" / "x.wav")
    with pytest.raises(ManifestError, match="other classes: bed"):
        read_corpus("speech_commands", folder, "ks")


def test_a_damaged_noise_is_named_and_left_out(tmp_path: Path) -> None:
    folder = LAYOUTS["speech_commands"](tmp_path)
    damaged = folder / "speech_commands_v0.01" / "_background_noise_" / "damaged.wav"
    damaged.write_bytes(b"no audio")
    found = read_corpus("speech_commands", folder, "ks")
    assert messages(found) == [f"error: 1 noises cannot be read: {damaged.relative_to(folder)}"]
    assert {name for name, label in rows(found, "train", "label") if label == "_silence_"} == {"hum.wav"}


def test_slots_of_fluent_speech_commands(tmp_path: Path) -> None:
    folder = LAYOUTS["fluent_speech_commands"](tmp_path)
    train = folder / "data" / "train_data.csv"
    write_lines(train, *train.read_text().splitlines(), "2,wavs/speakers/a/1.wav,a,Stop,,volume,none")
    found = read_corpus("fluent_speech_commands", folder, "ic")
    assert rows(found, "test", "intent", "text", "speaker") == [
        ("0.wav", "increase|volume|none", "Turn it, please", "c"),
        ("1.wav", "decrease|volume|none", "Turn it, please", "c"),
    ]
    assert messages(found) == ["error: 1 rows have no action, object or location: train_data.csv:4"]


def test_slots_of_snips_are_in_the_order_of_the_text(tmp_path: Path) -> None:
    folder = LAYOUTS["snips"](tmp_path)
    write_lines(
        folder / "all.iob.snips.txt", *(folder / "all.iob.snips.txt").read_text().splitlines(), "Ivy-x BOS EOS\tO Stop"
    )
    found = read_corpus("snips", folder, "sf")
    about = ("text", "slots", "intent", "speaker")
    slots = [["album", "new york times"]]
    assert rows(found, "train", *about) == [("Ivy-snips-train-0.wav", "play new york times", slots, "PlayMusic", "Ivy")]
    assert {name: len(rows(found, name)) for name in found.sets} == {"train": 1, "dev": 1, "test": 2}  # Brian tests
    assert messages(found) == ["error: 1 labels of all.iob.snips.txt have no recording: Ivy-x"]


def test_each_session_of_iemocap_is_tested_once(tmp_path: Path) -> None:
    folder = LAYOUTS["iemocap"](tmp_path)
    found = read_corpus("iemocap", folder, "er", fold=2)
    assert {entry.fields["speaker"] for entry in found.sets["test"]} == {"Ses02F", "Ses02M"}
    assert {entry.fields["label"] for entry in found.sets["test"]} == {"neutral", "happy", "sad", "angry"}
    assert sum(entry.fields["label"] == "happy" for entry in found.sets["test"]) == 2  # hap and exc
    assert sum(map(len, found.sets.values())) == 5 * 5  # fru is left out
    assert 0 < len(found.sets["dev"]) < len(found.sets["train"]) / 2


def test_speakers_of_voxceleb(tmp_path: Path) -> None:
    folder = LAYOUTS["voxceleb1"](tmp_path)
    known = read_corpus("voxceleb1", folder, "sid")
    assert [label for _, label in rows(known, "test", "label")] == ["id10001", "id10002", "id10270", "id10271"]
    found = read_corpus("voxceleb1", folder, "asv")
    assert {entry.fields["speaker"] for entry in found.sets["train"]} == {"id10001", "id10002"}
    assert [trial.is_target for trial in (found.trials or {})["test"]] == [True, False]
    (folder / "test" / "wav" / "id10271" / "vid1" / "00001.wav").unlink()
    fewer = read_corpus("voxceleb1", folder, "asv")
    assert [trial.is_target for trial in (fewer.trials or {})["test"]] == [True]
    assert "missing" in messages(fewer)[0]


def test_mixtures_have_their_sources_or_turns(tmp_path: Path) -> None:
    folder = LAYOUTS["libri2mix"](tmp_path)
    (folder / "Libri2Mix" / "wav16k" / "min" / "dev" / "s2" / "0.wav").unlink()
    found = read_corpus("libri2mix", folder, "ss")
    ((_, *sources),) = rows(found, "dev", "source_1", "source_2")
    assert [Path(each).parent.name for each in sources] == ["s1", "s2"]
    assert "error: 1 sources of mixtures are missing" in messages(found)[0]
    turns = read_corpus("libri2mix_diarization", LAYOUTS["libri2mix_diarization"](tmp_path / "sd"), "sd")
    assert rows(turns, "dev", "id", "segments") == [("dev.wav", "mix-dev", [(0.0, 0.1, "a"), (0.05, 0.15, "b")])]


def test_paths_of_mixtures_may_have_blanks_and_are_no_commands(tmp_path: Path) -> None:
    folder = LAYOUTS["libri2mix_diarization"](tmp_path / "my corpora")
    write_lines(folder / "dev" / "wav.scp", f"mix-dev {folder / 'audio' / 'dev.wav'}")
    write_lines(folder / "dev" / "segments", "a_0 mix-dev 0 0.1")  # of speakers, which rttm has
    found = read_corpus("libri2mix_diarization", folder, "sd")
    assert rows(found, "dev", "id") == [("dev.wav", "mix-dev")]
    write_lines(folder / "dev" / "wav.scp", "mix-dev sox audio/dev.wav |")
    with pytest.raises(ManifestError, match="command"):
        read_corpus("libri2mix_diarization", folder, "sd")


def test_english_queries_and_the_documents_that_have_them(tmp_path: Path) -> None:
    found = read_corpus("quesst14", LAYOUTS["quesst14"](tmp_path), "qbe")
    assert [name for (name,) in rows(found, "documents")] == ["quesst14_00000.wav", "quesst14_00001.wav"]
    (trial,) = (found.trials or {})["test"]
    assert (trial.first.stem, trial.second.stem) == ("quesst14_eval_0001", "quesst14_00001")


def test_noisy_speech_and_translations(tmp_path: Path) -> None:
    noisy = read_corpus("voicebank_demand", LAYOUTS["voicebank_demand"](tmp_path / "se"), "se")
    assert [speaker for _, speaker in rows(noisy, "dev", "speaker")] == ["p226"]
    assert Path(noisy.sets["test"][0].fields["clean"]).parent.name == "clean_testset_wav"
    texts = read_corpus("covost2", LAYOUTS["covost2"](tmp_path / "st"), "st")
    assert rows(texts, "dev", "translation", "text") == [("common_voice_en_dev.mp3", 'Er sagte "nein.', 'He said "no.')]


def test_a_sentence_with_a_line_separator_is_one_row(tmp_path: Path) -> None:
    folder = LAYOUTS["covost2"](tmp_path / "st")
    path = folder / "en" / "covost_v2.en_de.train.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("Er sagte", "Er\u2028sagte\x85"), encoding="utf-8")
    (row,) = read_corpus("covost2", folder, "st").sets["train"]
    assert row.fields["translation"] == 'Er\u2028sagte\x85 "nein.'
    assert row.fields["speaker"] == "client-train"


@pytest.mark.parametrize(("name", "use"), USES)
def test_files_of_a_relative_folder_are_found_from_a_manifest_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, use: str
) -> None:
    LAYOUTS[name](tmp_path / "a corpus" / name)
    monkeypatch.chdir(tmp_path)
    found = read_corpus(name, f"a corpus/{name}", use)
    write_manifest(tmp_path / "elsewhere" / "train.jsonl", found.sets[next(iter(found.sets))])
    monkeypatch.chdir("/")
    for entry in read_manifest(tmp_path / "elsewhere" / "train.jsonl"):
        others = [str(entry.fields[field]) for field in ("clean", "source_1", "source_2") if field in entry.fields]
        assert all((tmp_path / "elsewhere" / path).is_file() for path in [entry.path, *others])
    assert all(path.is_file() for path in (found.files or {}).values())
    assert all(trial.first.is_file() for trials in (found.trials or {}).values() for trial in trials)


def test_a_problem_names_some_files_and_counts_the_others() -> None:
    problem = CorpusProblem("recordings are missing", tuple("abcdefgh"))
    assert str(problem) == "error: 8 recordings are missing: a, b, c, d, e and 3 more"
