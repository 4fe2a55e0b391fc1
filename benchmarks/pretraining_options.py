"""Options of pretraining beside the plain recipe, at equal processor time, by probes of what was learned.

    python -m benchmarks.pretraining_options --data DATA --out results/options --minutes 8
    python -m benchmarks.pretraining_options --data DATA --out results/options --minutes 8 --only utterances codebooks

DATA holds pretrain/manifest.jsonl, of which `--hours` are drawn, keywords/commands_train.jsonl with a `label` and
a `speaker` a recording, and speaker/asv.jsonl with a `speaker`. Every run starts from new weights, the same in all that
have them, and hears the same batches; where nothing else is said it predicts clusters of layer 5 of the shipped model.
A step of each is timed beside one of the plain recipe, and each gets as many steps as take the time of the process that
the plain recipe has; the learning rate falls to 0 with them. After equal parts of a run the layers at a third, at two
thirds and at the top are probed, by the mean of their frames: keywords by logistic regression on other speakers, voices
by the equal error rate of all pairs. OUT receives a folder a run, options.md and options.png. Started again, the
script goes on where it was.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from sonant.api import load
from sonant.audio.augment import Mixing
from sonant.data import ManifestEntry, WaveformStore, read_manifest
from sonant.data.files import atomic
from sonant.evaluation import Standardizer, cross_validate, folds_of, speaker_eer
from sonant.extraction.engine import Engine, collect
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.loss import Objective
from sonant.models import Backbone, BackboneConfig, W2vBERT2Config, build
from sonant.models.wavlm import TINY, WavLMConfig
from sonant.pretraining import (
    Batching,
    LayerTargets,
    MaskedPredictionConfig,
    ResidualLayerTargets,
    SelfDistillationConfig,
    UtteranceContrastConfig,
)
from sonant.pretraining.objectives import ObjectiveConfig, setup_of
from sonant.pretraining.stage_inputs import StageInputs
from sonant.training import Linear, PartSettings, Training, train
from sonant.training.log import Monitoring
from sonant.training.probes import ProbeClips

TEACHER = "sonant/wavlm-tiny"
EXTRACTOR = "backbone.extractor"
TIMED = 20  # steps of each run
MODELS = {
    "small": replace(
        TINY, conv_channels=(32,) + (64,) * 6, position_kernel=32, dim=128, num_layers=6, feed_forward_dim=512
    ),
    "tiny": TINY,
}


@dataclass(frozen=True)
class Option:
    """A run.

    Attributes:
        frozen_share: share of the steps, the last ones, in which the extractor is not trained.
        seed: of the weights.
    """

    objective: ObjectiveConfig
    model: BackboneConfig
    frozen_share: float = 0.0
    seed: int = 0


def options_for(model: WavLMConfig) -> dict[str, Option]:
    """Return the runs by name, the plain recipe first."""
    plain = MaskedPredictionConfig(
        targets=LayerTargets(layer=5, num_clusters=100), feature_penalty=0.1, extractor_gradient=1.0
    )
    middle = model.num_layers // 2
    contrast = UtteranceContrastConfig(weight=1.0, layer=middle)
    codebooks = ResidualLayerTargets(layer=5, num_clusters=100, num_codebooks=4)
    distillation = SelfDistillationConfig(
        top_layers=middle,
        teacher_decay=(0.99, 0.999),  # for hundreds of steps, not hundreds of thousands
        decay_steps=200,
        feature_penalty=0.1,
        extractor_gradient=1.0,
    )
    conformer = W2vBERT2Config(
        dim=model.dim,
        num_layers=middle,  # blocks twice as large as a Transformer's
        num_heads=model.num_heads,
        feed_forward_dim=model.feed_forward_dim,
        conv_dropout=0.0,
        layerdrop=0.0,
    )
    return {
        "plain": Option(plain, model),
        "other weights": Option(plain, model, seed=1),
        "mel energies": Option(replace(plain, feature_penalty=0.0), conformer),
        "masked only": Option(replace(plain, score_unmasked=False), model),
        "unmasked too": Option(replace(plain, unmasked_weight=0.5), model),
        "frozen half": Option(plain, model, frozen_share=0.5),
        "supervised": Option(replace(plain, supervised_layers=(middle,)), model),
        "codebooks": Option(replace(plain, targets=codebooks), model),
        "utterances": Option(replace(plain, utterance_contrast=contrast), model),
        "self-distillation": Option(distillation, model),
    }


@dataclass(frozen=True)
class Bench:
    """The corpus, prepared once, and the runs."""

    out: Path
    minutes: float
    probes: int  # in a run
    runs: Mapping[str, Option]
    inputs: StageInputs
    probe: "LayerProbes"

    def made(self, option: Option) -> tuple[Objective, Any]:
        """Return the objective of a run with its initial weights, and its batches."""
        torch.manual_seed(option.seed)
        backbone = build(option.model)
        setup = setup_of(option.objective)
        folder = self.out / "targets" / type(getattr(option.objective, "targets", None)).__name__
        batches = setup.batches(option.objective, backbone, replace(self.inputs, folder=folder))
        objective = setup.build(backbone, option.objective)
        objective.start(batches[0])
        return objective, batches


class LayerProbes:
    """Probes of all layers.

    Args:
        words: recordings with a label and a speaker each.
        voices: recordings with a speaker each.
    """

    def __init__(self, words: ProbeClips, voices: ProbeClips) -> None:
        assert words.labels is not None
        self.words, self.voices = words, voices
        self.folds = folds_of(words.labels, words.speakers)

    def __call__(self, backbone: Backbone) -> dict[str, float]:
        """Return accuracies of keywords, and equal error rates of voices, by layer."""
        assert self.words.labels is not None
        assert self.voices.speakers is not None
        backbone.eval()
        layers, measures = probed(backbone), {}
        for layer, vectors in zip(layers, pooled(backbone, self.words).swapaxes(0, 1), strict=True):
            measures[f"probe_keywords_{layer}"] = cross_validate(vectors, self.words.labels, self.folds)
        for layer, vectors in zip(layers, pooled(backbone, self.voices).swapaxes(0, 1), strict=True):
            centered = Standardizer.fit(vectors, scale=False)
            measures[f"probe_voices_{layer}"] = speaker_eer(vectors, self.voices.speakers, standardizer=centered)
        backbone.train()
        return measures


def probed(backbone: Backbone) -> tuple[int, ...]:
    """Return the numbers of the layers that are probed."""
    return tuple(sorted({round(backbone.num_layers * third / 3) for third in (1, 2, 3)}))


def pooled(backbone: Backbone, clips: ProbeClips) -> np.ndarray:
    """Return the means over the frames (clips, layers, dim)."""
    sources = [
        AudioSource(waveform, backbone.sampling_rate, min_samples=backbone.receptive_field)
        for waveform in clips.waveforms
    ]
    request = EncodeRequest(layers=probed(backbone), pool="mean")
    vectors, _ = collect(Engine([backbone]), sources, request)
    return torch.stack(vectors).numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    bench = prepared(options)
    names = ["plain", *(name for name in options.only if name != "plain")]
    steps = {}
    for name in names:  # the costs first: they are known in minutes
        folder_of(options.out, name).mkdir(parents=True, exist_ok=True)
        steps[name] = once(folder_of(options.out, name) / "steps.json", lambda name=name: steps_of(bench, name))
    for name in names:
        if not is_done(folder := folder_of(options.out, name), steps[name]):
            carry_out(bench, bench.runs[name], steps[name]["steps"], folder)
        write(options.out, bench.runs)
        plot(options.out, bench.runs)


def prepared(options: argparse.Namespace) -> Bench:
    """Decode the corpus, or open it where it is, and read the recordings of the probes."""
    data = options.data
    recordings = drawn(read_manifest(data / "pretrain/manifest.jsonl"), options.hours)
    teacher = load(TEACHER).model.eval()
    inputs = StageInputs(
        waveforms=WaveformStore.build(recordings, options.out / "waveforms"),
        noises=(),
        impulse_responses=(),
        batching=Batching(batch_seconds=5.0, max_seconds=2.5, min_seconds=1.0),
        mixing=Mixing(probability=0.2),
        folder=options.out / "targets",
        previous=teacher,
    )
    words = clips(data / "keywords/commands_train.jsonl", "label")
    probe = LayerProbes(words, clips(data / "speaker/asv.jsonl", "speaker"))
    return Bench(options.out, options.minutes, options.probes, options_for(MODELS[options.model]), inputs, probe)


def drawn(recordings: Sequence[ManifestEntry], hours: float) -> list[ManifestEntry]:
    """Draw recordings of so many hours in all."""
    mixed = random.Random(0).sample(list(recordings), len(recordings))
    ends = accumulate(recording.duration or 0.0 for recording in mixed)
    return [recording for recording, end in zip(mixed, ends, strict=True) if end <= 3600 * hours]


def clips(manifest: Path, field: str) -> ProbeClips:
    return ProbeClips.read(str(manifest), field=field, sampling_rate=16_000, max_seconds=2.0)


def steps_of(bench: Bench, name: str) -> dict[str, float]:
    """Time steps of a run beside those of the plain recipe; return its number of steps, and the ratio of the times."""
    option = bench.runs[name]
    if name == "plain":
        seconds = step_seconds(bench, {"plain": option})["plain"]
        return {
            "steps": whole(60 * bench.minutes / seconds, bench.probes),
            "ratio": 1.0,
            "seconds_a_step": seconds,
            "extractor_share": extractor_seconds(bench, option) / seconds,
        }
    plain = json.loads((bench.out / "plain" / "steps.json").read_text())["steps"]
    if replace(option, seed=0) == bench.runs["plain"]:
        return {"steps": plain, "ratio": 1.0}
    runs = {"plain": bench.runs["plain"], "option": option}
    if option.frozen_share:
        runs["frozen"] = option
    seconds = step_seconds(bench, runs)
    share = option.frozen_share
    ratio = ((1 - share) * seconds["option"] + share * seconds.get("frozen", 0.0)) / seconds["plain"]
    return {"steps": whole(plain / ratio, bench.probes), "ratio": ratio}


def whole(steps: float, parts: int) -> int:
    """Round a number of steps to a multiple of the number of parts."""
    return parts * max(1, round(steps / parts))


def step_seconds(bench: Bench, runs: Mapping[str, Option]) -> dict[str, float]:
    """Return the median time of the process for forward and backward pass and update, interleaved."""
    made = {name: bench.made(option) for name, option in runs.items()}
    for name, (objective, _) in made.items():
        objective.train()
        if name == "frozen":
            objective.get_submodule(EXTRACTOR).requires_grad_(False)
    optimizers = {name: torch.optim.AdamW(objective.parameters(), fused=True) for name, (objective, _) in made.items()}
    taken: dict[str, list[float]] = {name: [] for name in made}
    for step in range(TIMED + 1):
        for name, (objective, batches) in made.items():
            began = time.process_time()
            objective.anneal(step)
            objective(batches[step]).sum.backward()
            optimizers[name].step()
            optimizers[name].zero_grad()
            taken[name].append(time.process_time() - began)
    return {name: median(seconds[1:]) for name, seconds in taken.items()}


def extractor_seconds(bench: Bench, option: Option) -> float:
    """Return the median time of the process for the extractor's part of a step, forward and backward."""
    objective, batches = bench.made(option)
    backbone: Any = objective.get_submodule("backbone").train()
    taken = []
    for step in range(TIMED + 1):
        speech = batches[step].speech
        began = time.process_time()
        values = backbone.features(speech).values
        values.backward(torch.ones_like(values))
        taken.append(time.process_time() - began)
    return median(taken[1:])


def carry_out(bench: Bench, option: Option, steps: int, folder: Path) -> None:
    """Train a run, or go on with it, and add the time of the process, without probes, to `process_seconds.json`."""
    objective, batches = bench.made(option)
    backbone: Any = objective.get_submodule("backbone")
    parts = ()
    if option.frozen_share:
        parts = (PartSettings(name=EXTRACTOR, frozen_from=round((1 - option.frozen_share) * steps)),)
    every = steps // bench.probes
    training = Training(
        steps=steps,
        lr=1e-3,
        schedule=Linear(warmup=0.08),
        clip_norm=1.0,
        log_every=max(1, every // 5),
        save_every=max(1, every // 5),
        parts=parts,
    )
    file = folder / "process_seconds.json"
    spent = json.loads(file.read_text()) if file.exists() else 0.0
    probing, began = 0.0, time.process_time()

    def probe() -> dict[str, float]:
        nonlocal probing
        before = time.process_time()
        measures = bench.probe(backbone)
        probing += time.process_time() - before
        return measures

    try:
        train(objective, batches, training, folder, monitoring=Monitoring(probe=probe, probe_every=every))
    finally:
        file.write_text(json.dumps(spent + time.process_time() - began - probing))


def once(path: Path, make: Any) -> Any:
    """Read a JSON file, or make and write it."""
    if not path.exists():
        with atomic(path) as draft:
            draft.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def folder_of(out: Path, name: str) -> Path:
    return out / name.replace(" ", "_")


def write(out: Path, names: Sequence[str] | Mapping[str, Any]) -> None:
    """Write the table of the runs that are done."""
    lines = ["| run | steps | process time (s) | step / plain | keywords | voices, EER |", "| --- |" + " ---: |" * 5]
    share = 0.0
    for name in names:
        folder = folder_of(out, name)
        if not (folder / "steps.json").exists():
            continue
        steps, reports = json.loads((folder / "steps.json").read_text()), probes_of(folder)
        if is_done(folder, steps):
            seconds = f"{json.loads((folder / 'process_seconds.json').read_text()):.0f}"
            cells = [cell(reports, measure, best) for measure, best in (("keywords", max), ("voices", min))]
        else:
            seconds, cells = "", ["", ""]
        share = steps.get("extractor_share", share)
        lines.append(f"| {name} | {steps['steps']} | {seconds} | {steps['ratio']:.2f} | {' | '.join(cells)} |")
    lines.append(f"\nThe extractor takes {share:.0%} of a step of the plain recipe.")
    (out / "options.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines), flush=True)


def plot(out: Path, names: Sequence[str] | Mapping[str, Any]) -> None:
    """Plot masked accuracy and probes of the runs that are done, by the share of the processor's time spent."""
    from matplotlib import pyplot as plt

    panels = {"masked accuracy": "masked_accuracy", "keywords": "probe_keywords_", "voices, EER": "probe_voices_"}
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for number, name in enumerate(names):
        folder = folder_of(out, name)
        steps = json.loads(file.read_text())["steps"] if (file := folder / "steps.json").exists() else 0
        if not steps or not is_done(folder, {"steps": steps}):
            continue
        reports = reports_of(folder)
        for axis, (title, prefix) in zip(axes, panels.items(), strict=True):
            best = min if title == "voices, EER" else max
            # The last report holds the probes of the end, and the mean of few steps.
            points = [
                (report["step"] / steps, best(values))
                for report in (reports[:-1] if title == "masked accuracy" else reports)
                if (values := [value for key, value in report.items() if key.startswith(prefix)])
            ]
            axis.plot(
                *zip(*points, strict=True), "-" if title == "masked accuracy" else "o-", color=f"C{number}", label=name
            )
            axis.set(title=title, xlabel="share of the processor's time", ylabel="share")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(out / "options.png", dpi=110)
    plt.close(figure)


def reports_of(folder: Path) -> list[dict[str, float]]:
    """Return the reports of a run."""
    file = folder / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def probes_of(folder: Path) -> list[dict[str, float]]:
    """Return the reports of a run that hold probes."""
    return [report for report in reports_of(folder) if any(key.startswith("probe_") for key in report)]


def is_done(folder: Path, steps: Mapping[str, float]) -> bool:
    """Return True if the last step of a run was probed."""
    return any(report["step"] == steps["steps"] for report in probes_of(folder))


def cell(reports: Sequence[Mapping[str, float]], measure: str, best: Any) -> str:
    """Return the best layer's value at each probe, and the number of the layer at the end."""
    values, layer = [], ""
    for report in reports:
        by_layer = {key.rpartition("_")[2]: report[key] for key in report if key.startswith(f"probe_{measure}_")}
        layer = best(by_layer, key=by_layer.__getitem__)
        values.append(f"{100 * by_layer[layer]:.1f}")
    return f"{', '.join(values)} (layer {layer})"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = list(options_for(TINY))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of pretrain/, keywords/, speaker/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--minutes", type=float, default=8.0, help="processor time of each run, without its probes")
    parser.add_argument("--probes", type=int, default=4, help="in a run; the last one at its end")
    parser.add_argument("--hours", type=float, default=2.0, help="speech that is drawn")
    parser.add_argument("--model", choices=MODELS, default="small", help="1.3 or 7 million parameters")
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="runs beside the plain one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
