"""Utterance mixing, WavLM's denoising: a model trained with it beside one without, on clean, noisy and mixed speech.

    python -m benchmarks.mixing --data DATA --out OUT [--model sonant/wavlm-tiny] [--steps 1000] [--layer 5]

Both runs start from the model, take equally many steps of the same batches, and predict the same 500 clusters of its
layer; one mixes half of the clips with another clip or, every second time, with a noise. The model itself is measured
too. DATA holds pretrain/, noise/, keywords/ and speaker/ with their manifests.

Keywords: a logistic regression over means of the frames, trained and tuned on clean recordings, is tested on others,
clean, with noises that are in no training set, and with the voice of another speaker, at several energy ratios.
Verification: the cosine of a clean recording and one of the same conditions, after centering. The layer is chosen on
clean speech. OUT receives the runs, mixing.json and mixing.md. Started again, the script goes on where it was.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.probe_model import Corpus, Trials
from sonant.api import SpeechEncoder, load
from sonant.audio import read
from sonant.audio.augment import Mixing, gain_for_snr
from sonant.data import ManifestEntry, read_manifest
from sonant.evaluation import (
    Split,
    Standardizer,
    bootstrap_interval,
    cosine_scores,
    eer,
    probe_layers,
    speaker_bootstrap,
)
from sonant.evaluation.probes import chosen_layer
from sonant.models.identity import fingerprint
from sonant.pretraining import Batching, LayerTargets, MaskedPredictionConfig
from sonant.training import Linear, Training
from sonant.training.pretrain import pretrain
from sonant.training.runs import PretrainingRun, Stage

Waveform = NDArray[np.float32]
MIXINGS = {
    "without mixing": Mixing(probability=0.0),
    "with mixing": Mixing(probability=0.5, noise_probability=0.5),
}
SECONDS = 4.0  # of each recording at most
RATE = 16_000


@dataclass(frozen=True)
class Condition:
    """What is added to a recording, and the energy ratio in dB; "" adds nothing."""

    added: str = ""
    snr_db: float = 0.0

    def __str__(self) -> str:
        return f"{self.added}, {self.snr_db:g} dB" if self.added else "clean"


CONDITIONS = (Condition(), *(Condition(added, snr) for added in ("noise", "voice") for snr in (10.0, 5.0, 0.0)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--layer", type=int, default=5, help="whose clusters are predicted")
    parser.add_argument("--clusters", type=int, default=500)
    options = parser.parse_args(arguments)
    models = {"before": options.model}
    for name, mixing in MIXINGS.items():
        models[name] = str(trained(options, name.replace(" ", "_"), mixing))
    results = {}
    for name, model in models.items():
        encoder = load(model)
        file = options.out / f"{name.replace(' ', '_')}-{fingerprint(encoder.model)[7:15]}.json"
        if not file.exists():
            file.write_text(json.dumps(measured(encoder, options.data), indent=1))
        results[name] = json.loads(file.read_text())
    (options.out / "mixing.json").write_text(json.dumps(results, indent=1))
    text = "\n".join(table(results))
    (options.out / "mixing.md").write_text(text + "\n")
    print(text)


def trained(options: argparse.Namespace, name: str, mixing: Mixing) -> Path:
    """Train the model on with a kind of mixing, and return its folder."""
    objective = MaskedPredictionConfig(
        targets=LayerTargets(layer=options.layer, num_clusters=options.clusters), score_unmasked=False
    )
    stage = Stage(
        name="again",
        objective=objective,
        start="previous",
        batching=Batching(batch_seconds=16.0, max_seconds=4.0, min_seconds=1.0, fill="shortest"),
        mixing=mixing,
        training=Training(steps=options.steps, lr=5e-4, schedule=Linear(warmup=0.08), clip_norm=1.0, save_every=200),
    )
    pretrain(
        PretrainingRun(
            name=name,
            model=load(options.model).model.config,
            data=str(options.data / "pretrain/manifest.jsonl"),
            noise=str(options.data / "noise/train.jsonl"),
            teacher=options.model,
            output=str(options.out),
            stages=(stage,),
        )
    )
    return Path(options.out) / name / "again" / "model"


def measured(encoder: SpeechEncoder, data: Path) -> dict[str, dict[str, list[float]]]:
    """Measure keyword accuracy and EER in per cent, with 95 % intervals, under each condition."""
    corpus, noises = Corpus(data), read_manifest(data / "noise/dev.jsonl")
    results: dict[str, dict[str, list[float]]] = {"keywords": {}, "verification": {}}
    train, dev, test = corpus.splits("keywords")
    parts = [split_of(means(encoder, train, Condition(), noises), train) for train in (train, dev)]
    layer = None
    for condition in CONDITIONS:
        probes = probe_layers(*parts, split_of(means(encoder, test, condition, noises), test))
        layer = chosen_layer(probes) if layer is None else layer  # by dev, which is clean
        hits = probes[layer].correct
        interval = bootstrap_interval(hits, [entry.fields["speaker"] for entry in test])
        results["keywords"][str(condition)] = [100 * value for value in (float(np.mean(hits)), *interval)]
    trials = corpus.trials()
    clean = means(encoder, trials.recordings, Condition(), noises)
    layer = int(np.argmin([verified(clean[:, i], clean[:, i], trials)[0] for i in range(clean.shape[1])]))
    for condition in CONDITIONS:
        other = means(encoder, trials.recordings, condition, noises) if condition.added else clean
        values = verified(clean[:, layer], other[:, layer], trials)
        results["verification"][str(condition)] = [100 * value for value in values]
    return results


def split_of(vectors: Waveform, recordings: Sequence[ManifestEntry]) -> Split:
    return Split(vectors, [entry.fields["label"] for entry in recordings])


def verified(enrolled: Waveform, tested: Waveform, trials: Trials) -> tuple[float, float, float]:
    """Return the EER of trials with its interval; the second recording of each is that of `tested` (clips, dim)."""
    standardizer = Standardizer.fit(np.concatenate([enrolled, tested]), scale=False)
    vectors = np.concatenate([enrolled, tested])
    pairs = trials.pairs + np.array([0, len(enrolled)])
    scores = cosine_scores(vectors, pairs, standardizer=standardizer)
    return eer(scores, trials.labels), *speaker_bootstrap(eer, scores, trials.labels, trials.speakers)


def means(
    encoder: SpeechEncoder, recordings: Sequence[ManifestEntry], condition: Condition, noises: Sequence[ManifestEntry]
) -> Waveform:
    """Return the means over the frames of all layers under a condition: (clips, layers, dim)."""
    vectors = encoder.encode(list(under(condition, recordings, noises)), layer="all", pool="mean")
    return np.stack(vectors)


def under(
    condition: Condition, recordings: Sequence[ManifestEntry], noises: Sequence[ManifestEntry]
) -> Iterator[Waveform]:
    """Yield waveforms with a noise, or the voice of another speaker, drawn for each recording by its number."""
    for number, entry in enumerate(recordings):
        waveform = start_of(entry)
        if condition.added:
            rng = np.random.default_rng(number)
            others = recordings if condition.added == "voice" else noises
            allowed = [other for other in others if other.fields.get("speaker") != entry.fields["speaker"]]
            added = np.resize(start_of(allowed[int(rng.integers(len(allowed)))]), len(waveform))  # repeated to the end
            waveform = waveform + gain_for_snr(waveform, added, condition.snr_db) * added
        yield waveform


def start_of(entry: ManifestEntry) -> Waveform:
    return read(entry.path)[: round(SECONDS * RATE)]


def table(results: dict[str, dict[str, dict[str, list[float]]]]) -> Iterator[str]:
    """Yield the lines of a Markdown table: a row a condition, a column a task and model."""
    names = list(results)
    yield (
        "| added | "
        + " | ".join(f"keywords %, {name}" for name in names)
        + " | "
        + " | ".join(f"EER %, {name}" for name in names)
        + " |"
    )
    yield "|---" * (1 + 2 * len(names)) + "|"
    for condition in map(str, CONDITIONS):
        cells = [results[name][task][condition] for task in ("keywords", "verification") for name in names]
        yield f"| {condition} | " + " | ".join(f"{v:.1f} [{low:.1f}, {high:.1f}]" for v, low, high in cells) + " |"


if __name__ == "__main__":
    main()
