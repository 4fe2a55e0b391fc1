"""The adapter of one language of MMS, trained alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

import sonant
from sonant.checkpoints import differing, load_checkpoint
from sonant.checkpoints.language_adapter import layers_of
from sonant.errors import ConfigurationError, UnknownName
from sonant.models import Wav2Vec2Config, build
from sonant.recipes.tasks import task_run
from sonant.training.tasks import CTCTask, TaskRun, train_task
from sonant.training.tasks.lora import LoRA
from sonant.training.tasks.objective import TaskObjective
from tests.mms import vocabulary, write_mms
from tests.shapes import TINY
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

NOISE = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    write_words(folder / "train", 4)
    write_mms(folder / "mms", in_bin=())
    return folder


def adapter_run(words: Path, output: Path, **changes: object) -> TaskRun:
    settings = {
        "model": str(words / "mms"),
        "data": str(words / "train"),
        "output": str(output),
        "batching": {"batch_seconds": 8, "max_seconds": 4},
        "training": {"steps": 3},
        "trackers": [],
    }
    return task_run("ctc_mms_adapter", [settings, changes])


@pytest.mark.parametrize(
    ("given", "language", "units"), [("en", "eng", "checkpoint"), ("tones", "tones", "characters")]
)
def test_all_but_adapter_and_head_stays_to_the_bit(
    given: str, language: str, units: str, words: Path, tmp_path: Path
) -> None:
    folder = train_task(adapter_run(words, tmp_path, adapter=given, task={"vocabulary": units}))
    before, after = load_checkpoint(words / "mms"), load_checkpoint(folder)
    adapters = layers_of(before.backbone_state).keys()
    assert set(differing(before.backbone_state, after.backbone_state)) == adapters
    for other in (words / "mms").glob("adapter.*"):
        assert bool(differing(load_file(other), load_file(folder / other.name))) == (
            other.name.split(".")[1] == language
        )

    encoder = sonant.load(folder)
    assert encoder.language == language
    assert set(encoder.languages) == {*sonant.load(words / "mms").languages, language}
    tokens = vocabulary("eng") if units == "checkpoint" else ["<pad>", "<unk>", "|", *"abcd"]
    assert load_checkpoint(folder).heads["ctc"].metadata["vocabulary"] == list(tokens)

    theirs = transformers.Wav2Vec2ForCTC.from_pretrained(folder, target_lang="fra", ignore_mismatched_sizes=True)
    theirs.load_adapter(language)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, target_lang=language)
    inputs = transformers.AutoFeatureExtractor.from_pretrained(folder)(NOISE, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        logits = theirs.eval()(**inputs).logits[0]
    states = torch.from_numpy(encoder.encode(NOISE))
    ours = encoder.heads["ctc"].linear(states)
    torch.testing.assert_close(ours, logits, atol=1e-4, rtol=1e-4)
    assert encoder.transcribe(NOISE).text == tokenizer.decode(logits.argmax(-1), skip_special_tokens=True)


def test_what_is_kept_to_resume_is_what_is_trained() -> None:
    backbone = build(Wav2Vec2Config(**TINY | {"pre_norm": True}, attention_adapter_dim=4))
    objective = TaskObjective(
        backbone, CTCTask(), ("<unk>", "a"), weighted=False, frozen="backbone", adapter=True, masks=False, lora=LoRA()
    )
    state = objective.state_dict()
    assert set(state) == {name for name, each in objective.named_parameters() if each.requires_grad}
    assert len(state) == 2 + 6 * backbone.num_layers
    assert not objective.load_state_dict(state).missing_keys
    del state["backbone.encoder.layers.0.adapter.inner.bias"]
    with pytest.raises(RuntimeError, match="adapter.inner.bias"):
        objective.load_state_dict(state)
    assert objective.train().backbone.training


def test_what_has_no_adapters_or_names_none_is_refused(words: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", Wav2Vec2Config(**TINY))
    with pytest.raises(ConfigurationError, match="adapter=eng was given, but .* has no adapters by language"):
        train_task(adapter_run(words, tmp_path, adapter="eng", model=str(model)))
    with pytest.raises(ConfigurationError, match="has no language. Name one"):
        train_task(adapter_run(words, tmp_path))
    with pytest.raises(UnknownName, match="no language of"):
        train_task(adapter_run(words, tmp_path, adapter="it"))
    with pytest.raises(ConfigurationError, match="expected a name such as"):
        train_task(adapter_run(words, tmp_path, adapter="../eng"))
    with pytest.raises(ConfigurationError, match=r"Set layer=last and lora.rank=0"):
        train_task(adapter_run(words, tmp_path, adapter="eng", lora={"rank": 2}))
