"""What a model is called."""

from pathlib import Path

import pytest

from sonant.errors import UnknownName
from sonant.server.hosting.sources import ModelSource, model_source


@pytest.mark.parametrize("given", ["sonant/wavlm-tiny", "wavlm-tiny", "WavLM-Tiny"])
def test_models_of_the_catalog_go_by_their_full_id(given: str) -> None:
    assert model_source(given) == ModelSource("sonant/wavlm-tiny", "sonant/wavlm-tiny")


def test_folders_and_files_go_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, file = tmp_path / "our-recognizer", tmp_path / "checkpoint_best.pt"
    folder.mkdir()
    file.touch()
    assert model_source(str(folder)) == ModelSource("our-recognizer", str(folder))
    assert model_source(f"{folder}/") == ModelSource("our-recognizer", str(folder))
    assert model_source(str(file)) == ModelSource("checkpoint_best", str(file))
    monkeypatch.chdir(folder)
    assert model_source(".").id == "our-recognizer"


def test_a_trained_model_is_named_after_its_run(tmp_path: Path) -> None:
    labeled, pretrained = tmp_path / "runs/recognizer/model", tmp_path / "runs/ours/layer9/model"
    for folder, run in ((labeled, labeled.parent), (pretrained, pretrained.parent.parent)):
        folder.mkdir(parents=True)
        assert model_source(str(folder)).id == "model"
        (run / "run.json").write_text("{}")
    assert model_source(str(labeled)) == ModelSource("recognizer", str(labeled))
    assert model_source(str(pretrained)) == ModelSource("ours-layer9", str(pretrained))


def test_a_folder_wins_over_a_short_name_but_not_over_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wavlm-tiny").mkdir()
    (tmp_path / "sonant" / "wavlm-tiny").mkdir(parents=True)
    assert model_source("wavlm-tiny").origin == "wavlm-tiny"
    assert model_source("sonant/wavlm-tiny").id == "sonant/wavlm-tiny"


def test_what_only_the_hub_can_know_keeps_its_id() -> None:
    assert model_source("somebody/some-wavlm") == ModelSource("somebody/some-wavlm", "somebody/some-wavlm")


@pytest.mark.parametrize("given", ["wavlm-tinny", "./nowhere/at-all", "/nowhere", "~/nowhere", "a/b/c", "somebody/"])
def test_anything_else_is_unknown(given: str) -> None:
    with pytest.raises(UnknownName, match="There is no model"):
        model_source(given)
