"""Whole runs of self-training on a miniature: every stage, and a run that is interrupted in each of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import sonant
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, SonantWarning
from sonant.self_training import SelfTrained
from sonant.self_training.stages import WORK
from sonant.training.self_training import STAGES, StageName
from tests.self_training.miniature import settings, write_corpus

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


def run(corpus: Path, output: Path, **changes: Any) -> SelfTrained:
    return sonant.self_train("self_training", **settings(corpus, output) | changes)


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> SelfTrained:
    return run(corpus, tmp_path_factory.mktemp("whole"))


def test_every_stage_says_what_it_did_and_how_good_it_was(whole: SelfTrained) -> None:
    assert list(whole.results) == list(STAGES)
    assert len((whole.folder / "stages.md").read_text().splitlines()) == len(STAGES) + 2
    labeling, chosen = whole.results["labeling"], whole.results["selection"]
    assert labeling["left_out"] == {"data": 8, "dev": 3, "test": 0, "unlabeled": 0}
    assert (labeling["recordings"], labeling["with_transcripts"], labeling["failed"]) == (8, 8, 0)
    assert chosen["kept"] + chosen["empty"] == 8
    rows = [json.loads(line) for line in (whole.folder / "selection" / "train.jsonl").read_text().splitlines()]
    assert [row["pseudo_labeled"] for row in rows] == [False] * 8 + [True] * chosen["kept"]
    first = json.loads((whole.folder / "labeling" / "transcripts.jsonl").read_text().splitlines()[0])
    assert 1 <= len(first["alternatives"]) <= 3
    found = {(row["set"], row["system"], row["decoding"]) for row in whole.results["evaluation"]["results"]}
    ctc = {
        (part, name, how)
        for part in ("dev", "test")
        for name in ("teacher", "ctc")
        for how in ("greedy", "beam", "rescored")
    }
    assert found == ctc | {("dev", "seq2seq", "search"), ("test", "seq2seq", "search")}
    assert "| test | seq2seq | search |" in (whole.folder / "evaluation" / "results.md").read_text()


def test_a_run_that_is_interrupted_in_every_stage_equals_one_that_was_not(
    corpus: Path, whole: SelfTrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []

    def stopping(stage: StageName, work: Any) -> Any:
        def once(files: Any) -> Any:
            result = work(files)
            if stage not in stopped:
                stopped.append(stage)
                raise KeyboardInterrupt  # all is done but the result
            return result

        return once

    for stage, work in list(WORK.items()):
        monkeypatch.setitem(WORK, stage, stopping(stage, work))  # type: ignore[arg-type]
    for _ in STAGES:
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tmp_path)
    parts = run(corpus, tmp_path)
    assert stopped == list(STAGES)
    for stage, result in whole.results.items():
        assert {**parts.results[stage], "seconds": 0} == {**result, "seconds": 0}
    for name, folder in whole.models.items():
        one, two = (load_checkpoint(each).backbone_state for each in (folder, parts.models[name]))
        assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())


def test_a_given_teacher_needs_no_labels_of_its_own_and_stages_can_be_called_one_by_one(
    corpus: Path, whole: SelfTrained, tmp_path: Path
) -> None:
    given = {"teacher": whole.folder / "teacher" / "model", "lm": whole.folder / "ngram" / "lm.arpa.gz"}
    changes = {**given, "train_transformer_lm": False, "test": "", "final": "ctc", "trials": 0}
    with pytest.raises(ConfigurationError, match="needs what the stage 'labeling' makes"):
        run(corpus, tmp_path, **changes, stages=["selection"])
    first = run(corpus, tmp_path, **changes, stages=["labeling"])
    assert list(first.results) == ["labeling"]
    done = run(corpus, tmp_path, **changes)
    assert list(done.results) == ["labeling", "selection", "ctc", "evaluation"]
    with pytest.raises(ConfigurationError, match="other settings"):
        run(corpus, tmp_path, **changes | {"seed": 1})


def test_speakers_of_dev_among_the_unlabeled_are_warned_of(corpus: Path, whole: SelfTrained, tmp_path: Path) -> None:
    for name in ("more", "dev"):
        rows = [json.loads(line) for line in (corpus / name / "manifest.jsonl").read_text().splitlines()]
        named = [row | {"path": str(corpus / name / row["path"]), "speaker": "ada"} for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in named))
    given = {"teacher": whole.folder / "teacher" / "model", "lm": whole.folder / "ngram" / "lm.arpa.gz"}
    files = {"unlabeled": tmp_path / "more.jsonl", "dev": tmp_path / "dev.jsonl"}
    with pytest.warns(SonantWarning, match="3 of 3 rows of dev are of 1 speaker of train"):
        run(corpus, tmp_path / "runs", **given, **files, stages=["labeling"])
