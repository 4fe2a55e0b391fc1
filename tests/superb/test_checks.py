"""Problems of the data: all of them are listed by name, before anything is trained."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sonant
from sonant.errors import ConfigurationError, ManifestError, SonantWarning, UnknownName
from sonant.superb import SuperbRun
from sonant.superb.run import checked_trials
from tests.superb.miniature import write_task, write_tiny
from tests.training.tasks.voices import write_voices


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_tiny(tmp_path_factory.mktemp("model"))


def changed(manifest: Path, change: Callable[[int, dict[str, Any]], None]) -> None:
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for number, row in enumerate(rows):
        change(number, row)
    manifest.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def missing(number: int, row: dict[str, Any]) -> None:
    if number == 1:
        row["path"] = "gone.wav"


def unknown(number: int, row: dict[str, Any]) -> None:
    if number == 2:
        row["label"] = "purple"


def one_speaker(_: int, row: dict[str, Any]) -> None:
    row["speaker"] = "anna"


def test_problems_of_all_tasks_are_listed_and_nothing_is_trained(tmp_path: Path, model: str) -> None:
    data = {task: write_task(tmp_path / task) for task in ("ks", "er")}
    changed(data["ks"] / "train" / "manifest.jsonl", missing)
    changed(data["er"] / "test" / "manifest.jsonl", unknown)
    with pytest.raises(ManifestError, match="Nothing was trained") as refused:
        sonant.evaluate_superb(model, data, output=tmp_path / "out", steps=1)
    said = str(refused.value)
    assert "ks: error: 1 of 12 rows of train have no audio that can be read" in said
    assert "gone.wav" in said
    assert "er: error: 1 of 12 rows of test have 'label' outside of the vocabulary, 'purple' in 1" in said
    assert not (tmp_path / "out").exists()


def test_a_test_set_by_which_rates_are_chosen_is_warned_of(tmp_path: Path, model: str) -> None:
    data = write_task(tmp_path / "ks")
    manifest = data / "test" / "manifest.jsonl"
    changed(manifest, lambda number, row: row.update(path=str(data / "dev" / row["path"])) if number < 2 else None)
    run = SuperbRun(models=(model,), data={"ks": str(data)}, output=str(tmp_path / "out"))
    with pytest.warns(SonantWarning, match="ks: warning: 2 of 12 rows of test are recordings of dev too"):
        checked_trials(run)


def test_shared_recordings_and_speakers_and_single_speakers_are_warned_of(tmp_path: Path, model: str) -> None:
    data = write_task(tmp_path / "ks")
    for part in ("train", "dev", "test"):
        changed(data / part / "manifest.jsonl", one_speaker)
    (data / "test" / "manifest.jsonl").write_text(
        (data / "train" / "manifest.jsonl").read_text().replace('"path": "', f'"path": "{data}/train/')
    )
    changed(data / "dev" / "manifest.jsonl", missing)
    with pytest.raises(ManifestError, match="gone.wav"), pytest.warns(SonantWarning) as warned:
        sonant.evaluate_superb(model, {"ks": data}, output=tmp_path / "out", steps=1)
    said = "\n".join(str(each.message) for each in warned)
    assert "ks: warning: 12 of 12 rows of test are recordings of train too" in said
    assert "ks: warning: 12 of 12 rows of test are of 1 speaker of train too"[:50] in said
    assert "ks: warning: all 12 rows of train are of one speaker, anna" in said


@pytest.mark.parametrize(("field", "warns"), [("speaker", False), ("who", False), ("word", True)])
def test_speakers_are_in_all_sets_where_they_are_what_is_identified(
    field: str, warns: bool, tmp_path: Path, model: str
) -> None:
    def repeated(number: int, row: dict[str, Any]) -> None:
        speaker = row["speaker"].split("-")[1]
        row.update(speaker=speaker, who=speaker, word=f"word {number % 2}")

    for seed, part in enumerate(("train", "dev", "test")):
        changed(write_voices(tmp_path / "sid" / part, 2, 2, seed=seed), repeated)
    run = SuperbRun(models=(model,), data={"sid": str(tmp_path / "sid")}, changes={"sid": [f"label={field}"]})
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        checked_trials(run)
    told = [str(each.message) for each in warned]
    assert len(told) == 2 * warns, told
    assert all("2 speakers of train: new voices" in each for each in told)


def test_settings_that_cannot_be_are_refused(tmp_path: Path, model: str) -> None:
    def refused(**changes: Any) -> None:
        settings: dict[str, Any] = {"models": model, "data": {"ks": tmp_path}, "output": tmp_path / "out"}
        sonant.evaluate_superb(**settings | changes)

    with pytest.raises(UnknownName, match="asv"):
        refused(tasks=["vox"])
    with pytest.raises(UnknownName, match="best_layer"):
        refused(ways=["best"])
    with pytest.raises(ConfigurationError, match="rates above 0"):
        refused(lr=[0.0])
    with pytest.raises(ConfigurationError, match="each of them once"):
        refused(models=[model, model])
    with pytest.raises(ConfigurationError, match="trainings of a_b/c and a/b_c would have one name, a_b_c"):
        refused(models=["a_b/c", "a/b_c"])
    with pytest.raises(ManifestError, match="no train"):
        refused()
