"""wav2vec 2.0 equals fairseq2's, read from files as fairseq2 names them: every state, logits, quantized targets."""

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from sonant.checkpoints import Checkpoint, load_checkpoint, make_backbone
from sonant.errors import ModelWarning
from sonant.layers.packed import Packed
from sonant.pretraining import MaskedContrast, MaskedContrastConfig
from tests.parity.recorded import Case, assert_near, recording

CASES = recording("fairseq2")


def loaded(case: Case, folder: Path) -> Checkpoint:
    """The weights of the original as fairseq2 publishes them."""
    path = folder / "model.pt"
    torch.save({"model": case.weights}, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # of a decoder that is not loaded
        return load_checkpoint(path, overrides={"num_heads": case.settings["num_heads"]})


@pytest.mark.parametrize("name", CASES)
def test_states(name: str, tmp_path: Path) -> None:
    """In one batch; those recorded of unequal clips are of a padded batch of the original."""
    case = CASES[name]
    checkpoint = loaded(case, tmp_path)
    assert checkpoint.normalize is case.settings["normalize"]
    with torch.no_grad():
        encoded = make_backbone(checkpoint)(Packed.pack(case.clips))
    for number in range(checkpoint.config.num_layers + 1):
        assert_near(encoded.hidden_states[number], case.arrays[f"state {number}"])
    assert_near(encoded.last, case.arrays["last"])
    head = checkpoint.heads.get("ctc")
    assert (head is not None) is ("logits" in case.arrays)
    if head is not None:
        logits = F.linear(encoded.last, head.tensors["weight"], head.tensors["bias"])
        assert_near(logits, case.arrays["logits"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "targets" in case.arrays])
def test_pretraining_head(name: str, tmp_path: Path) -> None:
    """The quantized targets, with the likeliest entry of each codebook, and the projected context."""
    case = CASES[name]
    checkpoint = loaded(case, tmp_path)
    head = checkpoint.heads["pretraining"]
    _, entries, width = head.tensors["quantizer.codebook"].shape
    groups = head.metadata["num_codebooks"]
    config = MaskedContrastConfig(
        num_codebooks=groups,
        codebook_size=entries // groups,
        quantized_dim=groups * width,
        projection_dim=len(head.tensors["projection.bias"]),
    )
    objective = MaskedContrast(make_backbone(checkpoint), config).eval()
    objective.load_head(head.tensors, {})
    contrast, speech = objective.contrast, Packed.pack(case.clips)
    with torch.no_grad():
        frames = objective.backbone.projection.norm(objective.backbone.features(speech).values)
        targets = contrast.target_projection(contrast.quantizer(frames).values)
        context = contrast.projection(objective.backbone(speech).last)
    assert_near(targets, case.arrays["targets"])
    assert_near(context, case.arrays["context"])
