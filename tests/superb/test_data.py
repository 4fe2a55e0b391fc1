"""Data of an evaluation: how tasks and corpora are named, and what is said where they are not found."""

from pathlib import Path

import pytest

from sonant.data import read_manifest
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from sonant.superb.data import data_of, known_data, tasks_with
from tests.data.corpora.layouts import LAYOUTS, write_lines

ROW = '{"path": "a.wav", "label": "x"}'


def test_manifests_are_found_by_folder_and_by_the_beginning_of_their_names(tmp_path: Path) -> None:
    for name in (
        "words/train.jsonl",
        "words/dev.jsonl",
        "words/test.csv",
        *(f"all_{p}.jsonl" for p in ("train", "dev", "test")),
    ):
        write_lines(tmp_path / name, ROW)
    (data,) = data_of("ks", known_data({"ks": str(tmp_path / "words")}), tmp_path / "written")
    assert {part: path.name for part, path in data.manifests.items()} == {
        "train": "train.jsonl", "dev": "dev.jsonl", "test": "test.csv"
    }  # fmt: skip
    write_lines(tmp_path / "words_dev.jsonl", ROW)  # beside a folder that has one: it is of something else
    (data,) = data_of("ks", known_data({"ks": str(tmp_path / "words")}), tmp_path / "written")
    assert data.manifests["dev"] == tmp_path / "words" / "dev.jsonl"
    (beside,) = data_of("ks", known_data({"ks": str(tmp_path / "all")}), tmp_path / "written")
    assert beside.manifests["test"] == tmp_path / "all_test.jsonl"
    before = beside.digest("test")
    write_lines(tmp_path / "all_test.jsonl", ROW.replace("x", "y"))
    assert beside.digest("test") != before
    (tmp_path / "words" / "train").mkdir()
    assert data_of("ks", {"ks": tmp_path / "words"}, tmp_path)[0].manifests == data.manifests
    write_lines(tmp_path / "words" / "dev.csv", ROW)
    with pytest.raises(ManifestError, match="several manifests of dev"):
        data_of("ks", {"ks": tmp_path / "words"}, tmp_path)
    with pytest.raises(ManifestError, match=r"no train\. .*speech_commands="):
        data_of("ks", {"ks": tmp_path / "none"}, tmp_path)


def test_the_folder_in_which_one_works_is_a_folder_of_manifests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("train", "dev", "test"):
        write_lines(tmp_path / f"{part}.jsonl", ROW)
    monkeypatch.chdir(tmp_path)
    (data,) = data_of("ks", known_data({"ks": "."}), tmp_path / "written")
    assert data.manifests["test"].resolve() == tmp_path / "test.jsonl"
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(ManifestError, match="no test"):
        data_of("ks", known_data({"ks": "."}), tmp_path / "written")


def test_corpora_are_written_as_manifests_of_each_fold(tmp_path: Path) -> None:
    LAYOUTS["iemocap"](tmp_path / "data" / "iemocap")
    LAYOUTS["voxceleb1"](tmp_path / "data" / "voxceleb1")
    found = known_data({"": str(tmp_path / "data")})
    assert {"er", "sid"} <= set(tasks_with(found))
    folds = data_of("er", found, tmp_path / "written")
    assert [each.name for each in folds] == [f"er-fold{number}" for number in range(1, 6)]
    tested = [entry.path for each in folds for entry in read_manifest(each.manifests["test"])]
    assert len(tested) == len(set(tested)) == 25
    (sid,) = data_of("sid", found, tmp_path / "written")
    assert {entry.fields["label"] for entry in read_manifest(sid.manifests["dev"])} >= {"id10001", "id10270"}


def test_a_task_has_its_own_folder_before_that_of_a_corpus(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        write_lines(tmp_path / "ks" / f"{part}.jsonl", ROW)
    found = known_data({"": str(tmp_path), "speech_commands": str(tmp_path / "corpus")})
    (data,) = data_of("ks", found, tmp_path / "written")
    assert data.manifests["train"].parent == tmp_path / "ks"


def test_the_lexicon_of_a_corpus_is_that_of_the_task(tmp_path: Path) -> None:
    LAYOUTS["librispeech"](tmp_path / "librispeech")
    (data,) = data_of("pr", {"librispeech": tmp_path / "librispeech"}, tmp_path / "written")
    assert data.files["lexicon"].name == "librispeech-lexicon.txt"


def test_names_and_folders_that_are_unknown_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="librispeech"):
        known_data({"librispeach": str(tmp_path)})
    with pytest.raises(ConfigurationError, match="no folder that is called as a task or a corpus"):
        known_data({"": str(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"no data for ks .*speech_commands=FOLDER"):
        data_of("ks", {"sid": tmp_path}, tmp_path)
