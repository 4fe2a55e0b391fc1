"""The objective of HuBERT and WavLM, against the formula and against its own promises."""

import json
import math
import pickle
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.data import DataLoader

from sonant.audio.augment import Mixing
from sonant.audio.mel import mfcc_with_deltas
from sonant.data import Fill, LabelStore, ManifestEntry, WaveformStore
from sonant.errors import CheckpointMismatch, ConfigurationError, ModelWarning
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.layers.transformer import TransformerEncoder
from sonant.models import WavLMConfig, build
from sonant.pretraining import (
    Batching,
    KMeans,
    LayerTargets,
    MaskedPrediction,
    MaskedPredictionConfig,
    MFCCTargets,
    ResidualLayerTargets,
    SpeechBatch,
    SpeechBatches,
    UtteranceContrastConfig,
    make_targets,
)
from sonant.training import Training, train

UNMIXED = Mixing(probability=0.0)
BATCHING = Batching(batch_seconds=6.0, max_seconds=2.0, min_seconds=0.5)


CONTRAST = UtteranceContrastConfig(weight=0.7, layer=1, projection_dim=6)
OPTIONS: dict[str, Any] = {"supervised_layers": (1,), "supervision_weight": 0.4, "utterance_contrast": CONTRAST}


def objective_for(config: WavLMConfig, **options: Any) -> MaskedPrediction:
    torch.manual_seed(0)
    options = {"targets": MFCCTargets(num_clusters=7), "projection_dim": 12, **options}
    settings = MaskedPredictionConfig(**options)
    return MaskedPrediction(build(config), settings).eval()


def batch_for(objective: MaskedPrediction, samples: list[int]) -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    frames = sum(objective.backbone.num_frames(n) for n in samples)
    speech = Packed.pack([0.1 * torch.randn(n, generator=generator) for n in samples])
    targets = torch.randint(7, (frames,), generator=generator)
    return SpeechBatch(speech, torch.rand(frames, generator=generator) < 0.5, targets)


@pytest.fixture
def labels(tmp_path: Path, waveforms: WaveformStore) -> LabelStore:
    return make_targets(waveforms, MFCCTargets(num_clusters=10), tmp_path / "targets")


@pytest.mark.parametrize("epsilon", [1e-5, 1e-2])
def test_clips_are_normalized_with_the_epsilon_of_the_model(tiny: WavLMConfig, epsilon: float) -> None:
    """And what the run trains with is what is saved."""
    objective = objective_for(replace(tiny, normalize=True, normalize_epsilon=epsilon))
    batch = batch_for(objective, [8_000, 5_000])
    read = []
    objective.backbone.extractor.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    objective(batch)
    for clip, raw in zip(read[0], batch.speech, strict=True):
        variance = raw.var(correction=0).item()
        assert clip.var(correction=0).item() == pytest.approx(variance / (variance + epsilon), rel=1e-4)


def test_the_loss_is_the_formula(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny, unmasked_weight=0.3, feature_penalty=10.0)
    batch = batch_for(objective, [8_000, 5_000])
    with torch.no_grad():
        features = objective.backbone.features(batch.speech)
        output = objective.backbone.encode(features, mask=batch.mask).last
    expected = {True: 0.0, False: 0.0}
    for frame, target, masked in zip(output, batch.targets, batch.mask, strict=True):
        cosines = torch.cosine_similarity(objective.projection(frame)[None], objective.label_embeddings, dim=-1)
        expected[bool(masked)] += -torch.log_softmax(cosines / 0.1, -1)[target].item()
    count = len(batch.mask)  # those in view count too
    penalty = features.values.square().mean().item()
    loss = objective(batch)
    assert loss.count == count
    assert loss.sum.item() == pytest.approx(expected[True] + 0.3 * expected[False] + 10 * count * penalty, rel=1e-4)
    assert loss.metrics["masked_loss"][0] == pytest.approx(expected[True], rel=1e-4)
    assert loss.metrics["unmasked_loss"] == pytest.approx((expected[False], int((~batch.mask).sum())), rel=1e-4)
    assert 0 <= loss.metrics["masked_entropy"][0] / int(batch.mask.sum()) <= math.log(7)


def test_masked_samples_cannot_be_seen_through_the_mask(tiny: WavLMConfig) -> None:
    """What the extractor makes of a masked frame reaches nothing but the feature penalty."""
    objective = objective_for(tiny)
    features = objective.backbone.features(batch_for(objective, [8_000]).speech)
    mask = torch.zeros(len(features.values), dtype=torch.bool)
    mask[5:15] = True
    changed = features.values.clone()
    changed[mask] += 1
    first, second = (
        objective.backbone.encode(features.with_values(values), mask=mask).last for values in (features.values, changed)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_gradients_agree_with_finite_differences(tiny: WavLMConfig, options: dict[str, Any]) -> None:
    objective = objective_for(tiny, unmasked_weight=0.5, extractor_gradient=1.0, **options).double()
    batch = batch_for(objective, [2_000, 1_500])
    batch = SpeechBatch(batch.speech.with_values(batch.speech.values.double()), batch.mask, batch.targets)
    objective(batch).sum.backward()
    generator = torch.Generator().manual_seed(2)
    for name, parameter in objective.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        losses = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                losses.append(objective(batch).sum.item())
                parameter.sub_(direction, alpha=step)
        assert parameter.grad is not None, name
        slope = (losses[0] - losses[1]) / 2e-5
        # The cosines are computed in float32, whatever the weights are.
        assert slope == pytest.approx((parameter.grad * direction).sum().item(), rel=0.05, abs=1.0), name


def gradients(objective: MaskedPrediction, batch: SpeechBatch) -> dict[str, torch.Tensor]:
    objective.zero_grad()
    objective(batch).sum.backward()
    return {name: each.grad.clone() for name, each in objective.named_parameters() if each.grad is not None}


def test_unmasked_frames_of_weight_0_need_not_be_scored(tiny: WavLMConfig) -> None:
    scoring, skipping = objective_for(tiny), objective_for(tiny, score_unmasked=False)
    batch = batch_for(scoring, [8_000, 5_000])
    losses = scoring(batch), skipping(batch)
    assert torch.equal(losses[0].sum, losses[1].sum)
    assert set(losses[0].metrics) - set(losses[1].metrics) == {
        f"unmasked_{each}" for each in ("loss", "accuracy", "entropy")
    }
    expected, got = gradients(scoring, batch), gradients(skipping, batch)
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)


def test_a_supervised_layer_adds_the_loss_of_its_own_head(tiny: WavLMConfig) -> None:
    plain, supervised = objective_for(tiny), objective_for(tiny, supervised_layers=(1,), supervision_weight=0.4)
    batch = batch_for(plain, [8_000, 5_000])
    features = supervised.backbone.features(batch.speech)
    state = supervised.backbone.encode(features, mask=batch.mask, layers=[1]).hidden_states[1]
    head = supervised.inner_heads["1"]
    added = 0.0
    for frame, target in zip(state[batch.masked], batch.targets[batch.masked], strict=True):
        projected = head.projection(torch.layer_norm(frame, frame.shape))
        cosines = torch.cosine_similarity(projected[None], head.label_embeddings, dim=-1)
        added += 0.4 * -torch.log_softmax(cosines / 0.1, -1)[target].item()
    assert supervised(batch).sum.item() == pytest.approx(plain(batch).sum.item() + added, rel=1e-5)


def test_the_loss_of_a_supervised_layer_is_the_sum_over_clips(tiny: WavLMConfig) -> None:
    objective = objective_for(tiny, feature_penalty=0.0, supervised_layers=(1,))
    batch = batch_for(objective, [8_000, 5_000, 6_000])
    frames = [objective.backbone.num_frames(size) for size in batch.speech.sizes]
    parts = zip(batch.speech, batch.mask.split(frames), batch.targets.split(frames), strict=True)
    alone = sum(objective(SpeechBatch(Packed.pack([clip]), mask, targets)).sum for clip, mask, targets in parts)
    torch.testing.assert_close(objective(batch).sum, alone, rtol=1e-5, atol=0)


@pytest.mark.parametrize(("option", "heads"), [("supervised_layers", "inner_heads"), ("utterance_contrast", None)])
def test_inner_losses_reach_the_layers_below_them(tiny: WavLMConfig, option: str, heads: str | None) -> None:
    """And their heads, but neither the layers above nor the head of the output."""
    plain, more = objective_for(tiny), objective_for(tiny, **{option: OPTIONS[option]})
    batch = batch_for(plain, [8_000, 5_000])
    expected, got = gradients(plain, batch), gradients(more, batch)
    heads = heads or option
    assert {name for name in got if name not in expected} == {
        name for name, _ in more.named_parameters() if name.startswith(f"{heads}.")
    }
    changed = {name for name in expected if not torch.equal(expected[name], got[name])}
    assert any("extractor" in name for name in changed)
    assert any("encoder.layers.0" in name for name in changed)
    assert not any(name.startswith(("backbone.encoder.layers.1", "projection", "label")) for name in changed)


def test_heads_of_inner_layers_are_not_saved_with_the_model(tiny: WavLMConfig) -> None:
    assert objective_for(tiny, **OPTIONS).head_tensors().keys() == objective_for(tiny).head_tensors().keys()


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_the_gradient_of_the_extractor_is_scaled(tiny: WavLMConfig, factor: float) -> None:
    grads = []
    for scale in (1.0, factor):
        objective = objective_for(tiny, feature_penalty=0.0, extractor_gradient=scale)
        objective(batch_for(objective, [8_000])).sum.backward()
        grad = objective.backbone.extractor.layers[0].conv.weight.grad
        grads.append(torch.zeros(8, 1, 10) if grad is None else grad)
    torch.testing.assert_close(grads[1], factor * grads[0], rtol=1e-4, atol=1e-6)


def test_mfcc_labels_stand_at_the_frames_of_the_backbone(
    waveforms: WaveformStore, labels: LabelStore, tmp_path: Path
) -> None:
    kmeans = KMeans.load(tmp_path / "targets" / "kmeans.safetensors")
    assert kmeans.centroids.shape == (10, 39)
    for number in range(len(waveforms)):
        assert len(labels[number]) == (len(waveforms[number]) - 80) // 320
        late = mfcc_with_deltas(torch.from_numpy(waveforms[number]))
        assert labels[number][7] == kmeans(late[14:15]).item()


def test_without_their_mean_mfcc_labels_do_not_hear_the_level(waveforms: WaveformStore, tmp_path: Path) -> None:
    class Louder(WaveformStore):
        def __getitem__(self, number: int) -> np.ndarray:
            return 3 * super().__getitem__(number)

    targets = MFCCTargets(num_clusters=10, subtract_mean=True)
    labels = make_targets(waveforms, targets, tmp_path / "plain")
    louder = make_targets(Louder(tmp_path / "waveforms"), targets, tmp_path / "louder")
    same = np.mean([np.mean(labels[number] == louder[number]) for number in range(len(waveforms))])
    assert same > 0.99


def test_layer_labels_are_clusters_of_that_layer(tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path) -> None:
    model = build(tiny).eval()
    labels = make_targets(waveforms, LayerTargets(layer=1, num_clusters=5), tmp_path / "layer", previous=model)
    kmeans = KMeans.load(tmp_path / "layer" / "kmeans.safetensors")
    with torch.no_grad():
        states = model(Packed.pack([torch.from_numpy(waveforms[3])])).hidden_states[1]
    np.testing.assert_array_equal(labels[3], kmeans(states).numpy())


def test_clusters_that_are_given_make_the_labels_of_their_states_only(
    tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path
) -> None:
    model = build(tiny).eval()
    fitted = LayerTargets(layer=1, num_clusters=5)
    labels = make_targets(waveforms, fitted, tmp_path / "fitted", previous=model)
    given = replace(fitted, codebook=str(tmp_path / "fitted" / "kmeans.safetensors"))
    again = make_targets(waveforms, given, tmp_path / "given", previous=model)
    assert all(np.array_equal(one, other) for one, other in zip(labels, again, strict=True))
    assert KMeans.load(tmp_path / "given" / "kmeans.safetensors").made_of["layer"] == "1"
    with pytest.raises(ConfigurationError, match="layer: there '1', here '2'"):
        make_targets(waveforms, replace(given, layer=2), tmp_path / "other", previous=model)
    np.save(tmp_path / "centers.npy", KMeans.load(given.codebook).centroids.numpy())
    with pytest.warns(ModelWarning, match="does not say of which model"):
        bare = make_targets(
            waveforms, replace(given, codebook=str(tmp_path / "centers.npy")), tmp_path / "bare", previous=model
        )
    assert np.array_equal(bare.all(), labels.all())


@pytest.mark.parametrize(
    ("extra", "notes"), [(0, {}), (4, {}), (4, {"dictionaries": [["<s>", "2", "0", "1", "x", "3"]]})]
)
def test_a_label_head_comes_from_the_file_if_it_is_of_the_same_labels(
    tiny: WavLMConfig, extra: int, notes: dict[str, Any]
) -> None:
    settings = MaskedPredictionConfig(targets=MFCCTargets(num_clusters=4), projection_dim=6, label_head="file")
    rows = torch.randn(4 + extra, 6)
    head = {"label_embeddings": rows, "projection.weight": torch.randn(6, tiny.dim), "projection.bias": torch.randn(6)}
    objective = MaskedPrediction(build(tiny), settings)
    objective.load_head(head, notes)
    places = [2, 3, 1, 5] if notes else list(range(extra, 4 + extra))
    assert torch.equal(objective.label_embeddings, rows[places])
    assert torch.equal(objective.projection.weight, head["projection.weight"])
    fresh = MaskedPrediction(build(tiny), replace(settings, label_head="fresh"))
    fresh.load_head(head, notes)
    assert not torch.equal(fresh.projection.weight, head["projection.weight"])
    for wrong in ({}, {**head, "label_embeddings": torch.randn(5, 6)}, {**head, "projection.bias": torch.randn(7)}):
        with pytest.raises(CheckpointMismatch, match="label_head=file"):
            objective.load_head(wrong, {})


def test_codebooks_are_clusters_of_what_is_left_of_a_layer(
    tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path
) -> None:
    previous = build(tiny).eval()
    targets = ResidualLayerTargets(layer=1, num_clusters=5, num_codebooks=3)
    labels = make_targets(waveforms, targets, tmp_path / "targets", previous=previous)
    codebooks = load_file(tmp_path / "targets" / "codebooks.safetensors")["codebooks"]
    with torch.inference_mode():
        rest = previous(Packed.pack([torch.from_numpy(waveforms[2])]), layers=[1]).hidden_states[1]
    energies = [rest.var(0).sum()]
    for book, codebook in enumerate(codebooks):
        nearest = torch.cdist(rest, codebook).argmin(1)
        np.testing.assert_array_equal(labels[2][:, book], nearest.numpy())
        rest = rest - codebook[nearest]
        energies.append(rest.var(0).sum())
    assert energies == sorted(energies, reverse=True)
    kept = LabelStore(tmp_path / "targets")
    assert [len(kept[number]) for number in range(len(waveforms))] == kept.lengths.tolist()


def test_the_loss_of_codebooks_is_the_mean_over_them(
    tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path
) -> None:
    targets = ResidualLayerTargets(layer=1, num_clusters=5, num_codebooks=3)
    labels = make_targets(waveforms, targets, tmp_path, previous=build(tiny))
    objective = objective_for(tiny, targets=targets, feature_penalty=0.0)
    batch = batches_for(waveforms, labels, tiny)[0]
    with torch.no_grad():
        output = objective.backbone.encode(objective.backbone.features(batch.speech), mask=batch.mask).last
        logits = objective.logits(output[batch.masked]).unflatten(1, (3, 5))
    expected = sum(
        torch.nn.functional.cross_entropy(logits[:, book], batch.targets[batch.masked, book], reduction="sum")
        for book in range(3)
    )
    loss = objective(batch)
    torch.testing.assert_close(loss.sum, expected / 3)
    assert loss.class_counts["target_clusters_in_use"].sum() == 3 * len(batch.masked)


def test_layer_targets_need_a_model(waveforms: WaveformStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="previous model"):
        make_targets(waveforms, LayerTargets(), tmp_path / "layer")


def batches_for(
    waveforms: WaveformStore, labels: LabelStore, config: WavLMConfig, mixing: Mixing = UNMIXED, **more: int
) -> SpeechBatches:
    return SpeechBatches(
        waveforms, build(config), batching=BATCHING, masking=SpanMasking(), mixing=mixing, labels=labels, seed=3, **more
    )


@pytest.mark.parametrize("fill", ["exact", "shortest"])
def test_batches_are_made_of_the_recordings_that_are_named(
    tiny: WavLMConfig, waveforms: WaveformStore, fill: Fill
) -> None:
    batching = replace(BATCHING, fill=fill)
    batches = SpeechBatches(waveforms, build(tiny), batching=batching, recordings=range(len(waveforms) // 2))
    drawn = {member for number in range(2 * len(batches)) for member, _ in batches.sampler[number]}
    assert len(drawn) > 1
    assert drawn <= set(range(len(waveforms) // 2))


def same(one: SpeechBatch, other: SpeechBatch) -> bool:
    values = (one.speech.values, one.speech.lengths, one.mask, one.targets, one.masked, one.unmasked)
    others = (other.speech.values, other.speech.lengths, other.mask, other.targets, other.masked, other.unmasked)
    return all(map(torch.equal, values, others))


@pytest.mark.parametrize("fill", ["exact", "shortest"])
def test_targets_of_a_crop_are_a_slice_of_the_clip(
    tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore, fill: Fill
) -> None:
    batching = replace(BATCHING, fill=fill)
    batches = SpeechBatches(waveforms, build(tiny), batching=batching, masking=SpanMasking(), labels=labels, seed=3)
    for step in range(6):
        batch = batches[step]
        frames = [(length - 400) // 320 + 1 for length in batch.speech.sizes]
        assert fill == "exact" or len(set(frames)) == 1
        assert fill == "shortest" or sum(frames) == 300
        assert len(batch.mask) == sum(frames)
        for crop, targets in zip(batch.speech, batch.targets.split(frames), strict=True):
            matches = [
                (number, start)
                for number in range(len(waveforms))
                for start in range(0, len(waveforms[number]) - len(crop) + 1, 320)
                if np.array_equal(waveforms[number][start : start + len(crop)], crop.numpy())
            ]
            (number, start), *_ = matches
            np.testing.assert_array_equal(labels[number][start // 320 :][: len(targets)], targets.numpy())


def test_mixing_changes_speech_but_neither_targets_nor_masks(
    tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore
) -> None:
    clean, mixed = (
        batches_for(waveforms, labels, tiny, mixing)[0] for mixing in (Mixing(probability=0.0), Mixing(probability=1.0))
    )
    assert torch.equal(clean.targets, mixed.targets)
    assert not torch.equal(clean.speech.values, mixed.speech.values)


def test_starting_late_gives_the_same_batches(tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore) -> None:
    whole, late = (batches_for(waveforms, labels, tiny, Mixing(probability=0.5)) for _ in range(2))
    expected = [whole[step] for step in range(8)]
    assert all(same(late[step], expected[step]) for step in (7, 5, 6))


def test_workers_make_the_same_batches(tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore) -> None:
    batches = batches_for(waveforms, labels, tiny, Mixing(probability=0.5))
    assert len(pickle.dumps(batches)) < 10_000, "neither the corpus nor the model goes along"
    sent = pickle.loads(pickle.dumps(batches))  # as a worker that is spawned gets them
    loader = DataLoader(batches, batch_size=None, sampler=range(3, 9), num_workers=2)
    for step, batch in enumerate(loader, start=3):
        assert same(batch, batches[step])
        assert same(sent[step], batches[step])


def test_noises_and_impulse_responses_may_lie_on_disk(
    tiny: WavLMConfig, waveforms: WaveformStore, recordings: list[ManifestEntry], tmp_path: Path
) -> None:
    store = WaveformStore.build(recordings[:3], tmp_path / "noise", sample_type="float32")
    held = [store[number] for number in range(3)]
    on_disk, in_memory = (
        SpeechBatches(
            waveforms,
            build(tiny),
            batching=replace(BATCHING, reverb_probability=0.5),
            mixing=Mixing(probability=1.0, noise_probability=0.5),
            noises=noises,
            impulse_responses=noises,
        )
        for noises in (store, held)
    )
    assert len(pickle.dumps(on_disk)) < 10_000
    for step in range(3):
        assert torch.equal(on_disk[step].speech.values, in_memory[step].speech.values)


def test_ranks_share_the_batches_out(tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore) -> None:
    alone = batches_for(waveforms, labels, tiny, Mixing(probability=0.5))
    ranks = [batches_for(waveforms, labels, tiny, Mixing(probability=0.5), rank=rank, world=3) for rank in range(3)]
    assert all(same(ranks[rank][step], alone[3 * step + rank]) for step in range(3) for rank in range(3))
    with pytest.raises(ConfigurationError, match="rank"):
        batches_for(waveforms, labels, tiny, rank=3, world=3)


def test_frames_by_number(tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore) -> None:
    batch = batches_for(waveforms, labels, tiny)[0].to("cpu")
    assert torch.equal(batch.targets[batch.masked], batch.targets[batch.mask])
    assert torch.equal(batch.targets[batch.unmasked], batch.targets[~batch.mask])


def test_with_all_options_resumed_equals_uninterrupted(
    tiny: WavLMConfig, waveforms: WaveformStore, labels: LabelStore, tmp_path: Path
) -> None:
    def trained(folder: Path, *stops: int) -> list[torch.Tensor]:
        for stop in (*stops, None):
            objective = objective_for(tiny, targets=MFCCTargets(num_clusters=10), **OPTIONS)
            batches = batches_for(waveforms, labels, tiny)
            train(objective, batches, Training(steps=4, lr=1e-3, save_every=2), folder, stop_at=stop)
        return list(objective.state_dict().values())

    whole, parts = trained(tmp_path / "whole"), trained(tmp_path / "parts", 1, 3)
    assert all(torch.equal(one, other) for one, other in zip(whole, parts, strict=True))


def test_labels_of_another_corpus_are_refused(tiny: WavLMConfig, waveforms: WaveformStore, tmp_path: Path) -> None:
    LabelStore.write(tmp_path / "few", [np.arange(3)])
    with pytest.raises(ConfigurationError, match="labels for 1"):
        batches_for(waveforms, LabelStore(tmp_path / "few"), tiny)


@pytest.mark.slow
def test_compiled_training_has_the_same_losses(
    tmp_path: Path, tiny: WavLMConfig, waveforms: WaveformStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One graph for all layers, whatever the lengths of the clips."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(TransformerEncoder, "compiled", partialmethod(TransformerEncoder.compiled, counter))

    config = replace(tiny, dropout=0.0, attention_dropout=0.0, input_dropout=0.0, layerdrop=0.0)
    labels = make_targets(waveforms, MFCCTargets(num_clusters=7), tmp_path / "targets")

    def losses(*, compiled: bool) -> list[float]:
        objective = objective_for(config)
        batches = SpeechBatches(
            waveforms, objective.backbone, batching=BATCHING, masking=SpanMasking(), labels=labels, mixing=UNMIXED
        )
        assert len({tuple(batches[step].speech.sizes) for step in range(6)}) > 3
        folder = tmp_path / str(compiled)
        train(objective, batches, Training(steps=6, lr=1e-3, log_every=1, compile=compiled), folder)
        return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]

    expected = losses(compiled=False)
    assert counter.frame_count == 0
    assert losses(compiled=True) == pytest.approx(expected, rel=1e-5)
    assert 0 < counter.frame_count < 9
    torch._dynamo.reset()
