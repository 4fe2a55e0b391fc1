"""Options of pretraining beside the plain recipe, at equal processor time, by probes of what was learned.

    python benchmarks/pretraining_options.py --data DATA --out results/options --minutes 8
    python benchmarks/pretraining_options.py --data DATA --out results/options --minutes 8 --only plain utterances

DATA holds pretrain/, noise/ and rir/ with their manifests, and keywords/ and speaker/ as in probe_model.py. Every run
starts from the shipped model, with one seed, and predicts clusters of its layer 5 where nothing else is said. A step of
each is timed beside one of the plain recipe, and each gets as many steps as take the time of the process that the
plain recipe has; the schedule ends with them. OUT receives a folder a run, and options.md. Started again, the script
goes on where it was: steps, runs and probes that are there are kept.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from probe_model import TITLES, Corpus, Features, encoder_system, measure, summary

from sonant.api import load
from sonant.audio.augment import Mixing
from sonant.checkpoints import save_pretrained
from sonant.data import WaveformStore, read_manifest
from sonant.data.files import atomic
from sonant.loss import Objective
from sonant.models import Backbone, build
from sonant.pretraining import (
    Batching,
    LayerTargets,
    MaskedPredictionConfig,
    ResidualLayerTargets,
    SelfDistillationConfig,
    UtteranceContrastConfig,
)
from sonant.pretraining.setups import ObjectiveConfig, StageInputs, setup_of
from sonant.training import Linear, PartSettings, Training, train

TEACHER = "sonant/wavlm-tiny"
LAYER = 4  # of 8, for the losses of inner layers
PLAIN = MaskedPredictionConfig(
    targets=LayerTargets(layer=5, num_clusters=500), feature_penalty=0.1, extractor_gradient=1.0
)
EXTRACTOR = "backbone.extractor"
TIMED = 8  # steps of each run


@dataclass(frozen=True)
class Option:
    """A run.

    Attributes:
        frozen_share: share of the steps, the last ones, in which the extractor is not trained.
    """

    objective: ObjectiveConfig
    frozen_share: float = 0.0


OPTIONS = {
    "plain": Option(PLAIN),
    "masked only": Option(replace(PLAIN, score_unmasked=False)),
    "utterances": Option(replace(PLAIN, utterance_contrast=UtteranceContrastConfig(weight=1.0, layer=LAYER))),
    "supervised": Option(replace(PLAIN, supervised_layers=(LAYER,))),
    "frozen half": Option(PLAIN, frozen_share=0.5),
    "codebooks": Option(replace(PLAIN, targets=ResidualLayerTargets(layer=5, num_clusters=256, num_codebooks=4))),
    "self-distillation": Option(
        SelfDistillationConfig(
            top_layers=4,
            teacher_decay=(0.99, 0.999),  # for hundreds of steps, not hundreds of thousands
            decay_steps=200,
            feature_penalty=0.1,
            extractor_gradient=1.0,
        )
    ),
}


@dataclass(frozen=True)
class Bench:
    """The corpus, prepared once, and the sizes of the runs."""

    data: Path
    out: Path
    minutes: float
    teacher: Backbone
    inputs: StageInputs

    def made(self, option: Option) -> tuple[Objective, Any]:
        """Return the objective of a run with its initial weights, and its batches."""
        torch.manual_seed(0)
        backbone = build(self.teacher.config)
        backbone.load_state_dict(self.teacher.state_dict())
        setup = setup_of(option.objective)
        folder = self.out / "targets" / type(getattr(option.objective, "targets", None)).__name__
        batches = setup.batches(option.objective, backbone, replace(self.inputs, folder=folder))
        objective = setup.build(backbone, option.objective)
        objective.start(batches[0])
        return objective, batches


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    bench = prepared(options)
    for name in ["plain", *(name for name in options.only if name != "plain")]:
        folder = options.out / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        steps = once(folder / "steps.json", lambda name=name: steps_of(bench, name))
        if not (folder / "model").is_dir():
            carry_out(bench, OPTIONS[name], steps["steps"], folder)
        once(folder / "probes.json", lambda folder=folder: probes(options, folder / "model"))
        write(options.out)


def prepared(options: argparse.Namespace) -> Bench:
    """Decode the corpus, noises and impulse responses, or open them where they are."""
    stores = {
        name: WaveformStore.build(read_manifest(options.data / path), options.out / "waveforms" / name, **kind)
        for name, path, kind in (
            ("speech", "pretrain/manifest.jsonl", {}),
            ("noise", "noise/train.jsonl", {"sample_type": "float32"}),
            ("rir", "rir/manifest.jsonl", {"sample_type": "float32"}),
        )
    }
    teacher = load(TEACHER).model.eval()
    inputs = StageInputs(
        waveforms=stores["speech"],
        noises=stores["noise"],
        impulse_responses=stores["rir"],
        batching=Batching(batch_seconds=16.0, max_seconds=4.0, min_seconds=1.0, reverb_probability=0.2),
        mixing=Mixing(probability=0.4, noise_probability=0.4),
        folder=options.out / "targets",
        previous=teacher,
    )
    return Bench(options.data, options.out, options.minutes, teacher, inputs)


def steps_of(bench: Bench, name: str) -> dict[str, float]:
    """Time steps of a run beside those of the plain recipe; return its number of steps, and the ratio of the times."""
    option = OPTIONS[name]
    if name == "plain":
        seconds = step_seconds(bench, {"plain": option})["plain"]
        return {"steps": round(60 * bench.minutes / seconds), "ratio": 1.0, "seconds_a_step": seconds}
    runs = {"plain": OPTIONS["plain"], "option": option}
    if option.frozen_share:
        runs["frozen"] = option
    seconds = step_seconds(bench, runs)
    share = option.frozen_share
    ratio = ((1 - share) * seconds["option"] + share * seconds.get("frozen", 0.0)) / seconds["plain"]
    plain = json.loads((bench.out / "plain" / "steps.json").read_text())["steps"]
    return {"steps": round(plain / ratio), "ratio": ratio}


def step_seconds(bench: Bench, runs: dict[str, Option]) -> dict[str, float]:
    """Return the median time of the process for forward and backward pass and update, interleaved."""
    made = {name: bench.made(option) for name, option in runs.items()}
    for name, (objective, _) in made.items():
        objective.train()
        if name == "frozen":
            objective.get_submodule(EXTRACTOR).requires_grad_(False)
    optimizers = {name: torch.optim.AdamW(objective.parameters()) for name, (objective, _) in made.items()}
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


def carry_out(bench: Bench, option: Option, steps: int, folder: Path) -> None:
    """Train a run, or go on with it, and save its model."""
    objective, batches = bench.made(option)
    parts = ()
    if option.frozen_share:
        parts = (PartSettings(name=EXTRACTOR, frozen_from=round((1 - option.frozen_share) * steps)),)
    training = Training(
        steps=steps, lr=5e-4, schedule=Linear(warmup=0.08), clip_norm=1.0, log_every=20, save_every=50, parts=parts
    )
    with counted(folder / "process_seconds.json"):
        train(objective, batches, training, folder)
    backbone: Any = objective.get_submodule("backbone")
    save_pretrained(backbone.eval(), folder / "model.part")
    (folder / "model.part").rename(folder / "model")


@contextmanager
def counted(path: Path) -> Iterator[None]:
    """Add the time of the process to the number of seconds in a file."""
    before = json.loads(path.read_text()) if path.exists() else 0.0
    began = time.process_time()
    yield
    path.write_text(json.dumps(before + time.process_time() - began))


def probes(options: argparse.Namespace, model: Path) -> dict[str, Any]:
    """Measure the tasks for every layer of a model."""
    corpus = Corpus(options.data, options.sid_speakers)
    encoder = load(str(model))
    features = Features(encoder_system(model.parent.name, encoder), None)
    result: dict[str, Any] = {}
    for task in options.tasks:
        for pool in options.pools:
            points = measure(corpus, features, task, pool)
            result[f"{task}, {pool}"] = {
                "chosen": summary([points]),
                "layers": [point.estimate.value for point in points],
            }
    return result


def once(path: Path, make: Any) -> Any:
    """Read a JSON file, or make and write it."""
    if not path.exists():
        with atomic(path) as draft:
            draft.write_text(json.dumps(make(), indent=1) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def write(out: Path) -> None:
    """Write the table of the runs that are done."""
    rows = {}
    for name in OPTIONS:
        folder = out / name.replace(" ", "_")
        if (folder / "probes.json").exists():
            read = {each: json.loads((folder / f"{each}.json").read_text()) for each in ("steps", "probes")}
            seconds = json.loads((folder / "process_seconds.json").read_text())
            rows[name] = (read["steps"], seconds, read["probes"])
    measures = list(next(iter(rows.values()))[2])
    titles = [f"{TITLES[task]}, {pool}" for task, pool in (each.split(", ") for each in measures)]
    lines = ["| run | steps | process time (s) | step / plain | " + " | ".join(titles) + " |"]
    lines.append("| --- |" + " ---: |" * (3 + len(titles)))
    for name, (steps, seconds, probed) in rows.items():
        cells = " | ".join(probed[each]["chosen"] for each in measures)
        lines.append(f"| {name} | {steps['steps']} | {seconds:.0f} | {steps['ratio']:.2f} | {cells} |")
    (out / "options.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines), flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of pretrain/, noise/, rir/, keywords/, speaker/"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--minutes", type=float, default=8.0, help="processor time of the plain run")
    parser.add_argument("--only", nargs="+", choices=OPTIONS, default=list(OPTIONS), help="runs beside the plain one")
    parser.add_argument("--tasks", nargs="+", choices=TITLES, default=["keywords", "digits", "asv"])
    parser.add_argument("--pools", nargs="+", default=["mean"])
    parser.add_argument("--sid-speakers", type=int, default=60, help="identification speakers that standardize vectors")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
