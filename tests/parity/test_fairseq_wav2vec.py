"""wav2vec and vq-wav2vec equal fairseq's, by recorded numbers: every state, codes, losses and gradients.

Weights go through a file as fairseq writes it, so that the names of tensors and settings are tried too.
"""

from pathlib import Path

import pytest
import torch

from sonant.checkpoints import Checkpoint, load_checkpoint
from sonant.errors import CheckpointMismatch, UnsupportedCheckpoint
from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.packed import Packed
from sonant.models import VQWav2Vec, build
from sonant.pretraining import CPC, CPCConfig, SpeechBatch
from sonant.pretraining.step_heads import future_logits
from tests.parity.recorded import Case, assert_gradients, assert_near, recording, sampled, save_argparse, save_hydra

CASES = {f"{family}: {name}": case for family in ("wav2vec", "vq_wav2vec") for name, case in recording(family).items()}
REFUSED = ("wav2vec: skips in the extractor", "wav2vec: other widths", "wav2vec: no bias")
LARGE = [name for name in CASES if "true size" in name]
OTHERS = [name for name in CASES if name not in (*REFUSED, *LARGE, "wav2vec: padded")]


def read(case: Case, folder: Path) -> Checkpoint:
    return load_checkpoint(save_argparse(case, folder / "fairseq.pt", arch="wav2vec", task="audio_pretraining"))


def make(case: Case, folder: Path) -> CPC:
    """Our objective with the weights and settings of the original."""
    checkpoint, settings = read(case, folder), case.settings
    backbone = build(checkpoint.config)
    backbone.load_state_dict(checkpoint.backbone_state)
    start, end, decay = settings.get("vq_temp", (2, 0.5, 0.999995))
    config = CPCConfig(
        steps=settings["prediction_steps"],
        offset=None if settings["offset"] == "auto" else int(settings["offset"]),
        num_negatives=settings["num_negatives"],
        contrast="infonce" if settings["infonce"] else "binary",
        balanced=settings["balanced_classes"],
        temperature=Temperature(start=start, end=end, decay=decay),
        diversity_weight=settings["loss_weights"][0] if settings["loss_weights"] else 0.0,
        commitment=settings.get("vq_gamma", 0.25),
    )
    objective = CPC(backbone, config)
    head = checkpoint.heads["pretraining"].tensors
    with torch.no_grad():
        for name, tensor in objective.head_tensors().items():
            tensor.copy_(head[name])
    objective.anneal(settings.get("num_updates", 0))
    return objective


@pytest.mark.parametrize("name", OTHERS)
def test_every_state(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    backbone = make(case, tmp_path).backbone.eval()
    with torch.no_grad():
        encoded = backbone(Packed.pack(case.clips))
    for number in range(backbone.num_layers + 1):
        assert_near(encoded.hidden_states[number], case.arrays[f"state {number}"])
    assert_near(encoded.last, case.arrays[f"state {backbone.num_layers}"])
    if isinstance(backbone, VQWav2Vec):
        assert torch.equal(backbone.codes(Packed.pack(case.clips)).values, case.arrays["codes"].long())


@pytest.mark.parametrize("name", OTHERS)
def test_loss(name: str, tmp_path: Path) -> None:
    """With the original's negatives, and its noise where it draws codes."""
    case = CASES[name]
    objective, numbers = make(case, tmp_path).train(), case.numbers
    assert objective.offset == numbers["offset"]
    loss = objective(
        SpeechBatch(Packed.pack(case.clips), torch.zeros(len(case.arrays["state 0"]), dtype=torch.bool)),
        noise=case.arrays.get("noise"),
        negatives=case.arrays["negatives"].long(),
    )
    assert loss.count == numbers["sample_size"]
    assert loss.sum.item() == pytest.approx(numbers["loss"], rel=1e-5)
    metrics = {key: total / count for key, (total, count) in loss.metrics.items()}
    assert metrics["contrast_loss"] * loss.count == pytest.approx(numbers.get("loss_0", numbers["loss"]), rel=1e-5)
    if "correct" in numbers:
        assert metrics["accuracy"] * loss.count == numbers["correct"]
    if "code_perplexity" in numbers:
        assert metrics["code_perplexity"] == pytest.approx(numbers["code_perplexity"], rel=1e-5)
    if "prob_perplexity" in numbers:
        assert metrics["probability_perplexity"] == pytest.approx(numbers["prob_perplexity"], rel=1e-5)
        assert metrics["temperature"] == pytest.approx(numbers["temperature"])
    loss.sum.backward()
    assert_gradients(objective, case)


@pytest.mark.parametrize("name", [name for name in OTHERS if len(CASES[name].sizes) == 1])
def test_logits(name: str, tmp_path: Path) -> None:
    """Each of them, in the original's order: step by step, and within a step by negative or by time."""
    case = CASES[name]
    objective, settings, negatives = make(case, tmp_path).train(), case.settings, case.arrays["negatives"].long()
    backbone = objective.backbone
    with torch.no_grad():
        features = backbone.extractor(Packed.pack(case.clips))
        if isinstance(backbone, VQWav2Vec):
            features = features.with_values(backbone.quantize(features, noise=case.arrays.get("noise")).values)
        context = backbone.encode(features, layers=["last"]).last
        assert context is not None
        logits = future_logits(objective.heads(context), features.values, negatives, offset=objective.offset)
    steps = min(settings["prediction_steps"], len(context) - objective.offset)
    by_step = [logits[objective.offset + step :, step] for step in range(steps)]  # each (times, 1 + negatives)
    flat = torch.cat([(part if settings["infonce"] else part.T).flatten() for part in by_step])
    assert len(flat) == case.numbers["logit_count"]
    assert flat.double().square().sum().item() == pytest.approx(case.numbers["logit_square"], rel=1e-5)
    assert_near(sampled(flat, 64), case.arrays["logits"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_shape_that_ours_has_not_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises((UnsupportedCheckpoint, CheckpointMismatch)):
        read(CASES[name], tmp_path)


def test_a_batch_does_not_move_a_clip(tmp_path: Path) -> None:
    """The original is moved by a third by what it is padded with; ours is the clip alone."""
    case = CASES["wav2vec: padded"]
    backbone = make(case, tmp_path).backbone.eval()
    with torch.no_grad():
        last = backbone(Packed.pack(case.clips)).last
    assert last is not None
    alone = case.arrays["state 4"]
    assert_near(last[-len(alone) :], alone)
    assert (case.arrays["padded state 4"] - alone).norm() > 0.3 * alone.norm()


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_true_size(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objective = make(case, tmp_path)
    assert sum(parameter.numel() for parameter in objective.parameters()) == case.numbers["parameters"]
    backbone = objective.backbone.eval()
    with torch.no_grad():
        encoded = backbone(Packed.pack(case.clips))
    for number, state in encoded.hidden_states.items():
        assert state.double().norm().item() == pytest.approx(case.numbers["norms"][f"state {number}"], rel=1e-5)
        assert_near(sampled(state), case.arrays[f"state {number}"], tolerance=2e-5)
    if isinstance(backbone, VQWav2Vec):
        assert torch.equal(backbone.codes(Packed.pack(case.clips)).values, case.arrays["codes"].long())


@pytest.mark.parametrize("name", ["wav2vec: large", "vq_wav2vec: gumbel", "vq_wav2vec: kmeans"])
def test_both_kinds_of_files_are_the_same(name: str, tmp_path: Path) -> None:
    """A namespace of settings, or a tree of them."""
    older = read(CASES[name], tmp_path)
    newer = load_checkpoint(save_hydra(CASES[name], tmp_path / "hydra.pt", "wav2vec", "audio_pretraining"))
    assert older.config == newer.config
    assert older.backbone_state.keys() == newer.backbone_state.keys()
