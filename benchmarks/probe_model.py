"""The information in each layer of a model, by linear probes and cosine scores, beside MFCC and random weights.

    python benchmarks/probe_model.py --data DATA --model sonant/wavlm-tiny --out results/probes --cache results/cache
    python benchmarks/probe_model.py --data DATA --model CHECKPOINT --out results/now --watch      # keywords, quickly
    python benchmarks/probe_model.py --data DATA --out results/mfcc                                # MFCC alone

DATA holds keywords/commands_{train,dev,test}.jsonl and keywords/digits_*.jsonl with a `label` a recording,
speaker/sid_*.jsonl likewise, and speaker/asv.jsonl with speaker/trials.txt (`1|0 ENROL TEST`, paths as in asv.jsonl).
OUT receives probes.json, probes.md and a plot a pooling. Features are computed once a recording for all layers.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from sonant.analysis import Curve, Estimate, Measure, layer_table, plot_layers
from sonant.audio import read
from sonant.audio.mel import mfcc_with_deltas
from sonant.data import ManifestEntry, read_manifest
from sonant.errors import ManifestError
from sonant.evaluation import (
    Split,
    Standardizer,
    bootstrap_interval,
    cosine_scores,
    eer,
    min_dcf,
    probe_layers,
    speaker_bootstrap,
    speaker_eer,
)
from sonant.models import Backbone, build
from sonant.models.discrete_bert import DiscreteBERT, on_tokenizer

if TYPE_CHECKING:
    from sonant.api import SpeechEncoder
    from sonant.inference import Precision

Array = npt.NDArray[np.float32]

TITLES = {
    "keywords": "keyword accuracy",
    "digits": "digit accuracy",
    "sid": "speaker identification accuracy",
    "asv": "speaker verification EER",
}
MANIFESTS = {"keywords": "keywords/commands", "digits": "keywords/digits", "sid": "speaker/sid"}
POOLS = ("mean", "mean+std")
CHUNK_CLIPS = 128
SCORINGS = ("cosine", "centered cosine", "standardized cosine")
METHOD = """\
Percent, [95 % bootstrap interval].

- Accuracy: features standardized on train; multinomial logistic regression, its L2 strength chosen on dev; measured
  once on test. The interval draws speakers for keywords (the splits share none), clips elsewhere. The layer in bold was
  chosen on dev.
- Verification: the cosine of two recordings as they are, after centering, or after standardizing with the
  identification training clips, whose speakers are not in the trials. Which of the three, and which layer, was chosen
  for every system by the EER over all pairs of the identification dev and test clips. The interval draws speakers.
- Layer 0 is the input of the first block, i the raw output of block i.
- MFCC: 13 coefficients with first and second slopes. Random weights: the same architecture as first initialized (a
  BERT on codes keeps the trained quantizer); where several seeds were run, their mean and [lowest, highest].
"""


@dataclass(frozen=True)
class Point:
    """The results of one layer of one system, and the values by which a layer is chosen."""

    estimate: Estimate
    preference: tuple[float, ...]  # higher is better; never from the clips that are reported
    details: dict[str, Any]
    correct: tuple[bool, ...] = ()  # of each test clip, where the measure is an accuracy


Points = tuple[Point, ...]  # one a layer
Measured = dict[tuple[str, str], dict[str, list[Points]]]  # by task and pooling, by system, one entry a seed


@dataclass(frozen=True)
class System:
    """A system that turns recordings into features (clips, layers, 2 * dim): the means, then the deviations."""

    name: str
    identity: str  # of the weights, for the cache
    features: Callable[[Sequence[Path]], Array]


@dataclass(frozen=True)
class Features:
    """Features of the recordings of a manifest, from memory, from the cache folder, or computed."""

    system: System
    cache: Path | None
    memory: dict[str, Array] = field(default_factory=dict)

    def of(self, recordings: Sequence[ManifestEntry], pool: str) -> Array:
        """Return features (clips, layers, dim), or twice the dim for "mean+std"."""
        lines = [f"{recording.path.resolve()} {recording.path.stat().st_size}" for recording in recordings]
        key = hashlib.sha256("\n".join([self.system.identity, *lines]).encode()).hexdigest()[:24]
        if key not in self.memory:
            file = self.cache / f"{key}.npy" if self.cache else None
            if file and file.exists():
                self.memory[key] = np.load(file)
            else:
                self.memory[key] = self.system.features([recording.path for recording in recordings])
                if file:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    np.save(file, self.memory[key])
        both = self.memory[key]
        return both if pool == "mean+std" else both[..., : both.shape[-1] // 2]


@dataclass(frozen=True)
class Trials:
    """Verification trials over the recordings of one manifest."""

    recordings: list[ManifestEntry]
    labels: Array  # (trials,)
    pairs: npt.NDArray[np.int64]  # (trials, 2), numbers of recordings

    @property
    def speakers(self) -> list[tuple[str, str]]:
        names = [recording.fields["speaker"] for recording in self.recordings]
        return [(names[first], names[second]) for first, second in self.pairs]


@dataclass(frozen=True)
class Corpus:
    """The recordings of the tasks, read when asked for."""

    folder: Path
    num_sid_speakers: int | None = None

    def splits(self, task: str) -> tuple[list[ManifestEntry], ...]:
        """Return train, dev and test of a classification task."""
        stem = MANIFESTS[task]
        splits = tuple(read_manifest(self.folder / f"{stem}_{part}.jsonl") for part in ("train", "dev", "test"))
        if task != "sid" or self.num_sid_speakers is None:
            return splits
        kept = set(sorted({recording.fields["label"] for recording in splits[0]})[: self.num_sid_speakers])
        return tuple([recording for recording in split if recording.fields["label"] in kept] for split in splits)

    def trials(self) -> Trials:
        """Return the verification trials of speaker/trials.txt."""
        recordings = read_manifest(self.folder / "speaker/asv.jsonl")
        names = [str(recording.path.relative_to(self.folder / "speaker")) for recording in recordings]
        numbers = {name: number for number, name in enumerate(names)}
        labels, pairs = [], []
        file = self.folder / "speaker/trials.txt"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                label, first, second = line.split()
                pairs.append((numbers[first], numbers[second]))
                labels.append(int(label))
            except (ValueError, KeyError) as error:
                raise ManifestError(
                    f"{file}:{number}: expected `1|0 ENROL TEST`, paths as in asv.jsonl; got {line[:80]!r} ({error!r})."
                ) from error
        return Trials(recordings, np.array(labels), np.array(pairs, dtype=np.int64))


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    started = time.monotonic()
    corpus = Corpus(options.data, options.sid_speakers)
    measured: Measured = {(task, pool): {} for pool in options.pools for task in options.tasks}
    for system, tasks in systems(options):
        features = Features(system, options.cache)
        for (task, pool), by_system in measured.items():
            if task in tasks:
                points = measure(corpus, features, task, pool)
                by_system.setdefault(system.name, []).append(points)
                print(f"{TITLES[task]}, {pool}, {system.name}: {summary([points])}", flush=True)
    write(options, corpus, measured, seconds=time.monotonic() - started)


def systems(options: argparse.Namespace) -> Iterator[tuple[System, list[str]]]:
    """Yield each system with its tasks; random weights after the first seed are measured on keywords only."""
    probe_tone = mfcc_with_deltas(torch.sin(torch.arange(1600) / 3))  # another MFCC, another place in the cache
    yield (
        System("MFCC", "MFCC " + hashlib.sha256(probe_tone.numpy().tobytes()).hexdigest(), mfcc_statistics),
        options.tasks,
    )
    if not options.model:
        return
    from sonant.api import load

    encoder = load(options.model)
    yield encoder_system("model", encoder, options.precision), options.tasks
    for seed in range(options.random_seeds):
        torch.manual_seed(seed)
        encoder.model.load_state_dict(untrained(encoder.model).state_dict())
        yield encoder_system("random weights", encoder, options.precision), options.tasks if seed == 0 else ["keywords"]


def untrained(model: Backbone) -> Backbone:
    """Return the architecture with new random weights; a BERT on codes keeps the quantizer that it was trained on."""
    if isinstance(model, DiscreteBERT):
        return on_tokenizer(model.config, model.tokenizer, model.vocabulary.codes[model.vocabulary.words])
    return build(model.config)


def encoder_system(name: str, encoder: "SpeechEncoder", precision: "Precision | None" = None) -> System:
    """Return the encoder, with its present weights, as a system in some precision."""
    identity = hashlib.sha256(repr(encoder.model.config).encode())
    if precision is not None:
        identity.update(precision.encode())
    for key, value in sorted(encoder.model.state_dict().items()):
        identity.update(key.encode())
        identity.update(value.detach().cpu().float().numpy().tobytes())

    def features(paths: Sequence[Path]) -> Array:
        chunks = []
        with tqdm(total=len(paths), desc=name, unit="clip", leave=False, disable=None) as progress:
            for start in range(0, len(paths), CHUNK_CLIPS):
                chunk = [str(path) for path in paths[start : start + CHUNK_CLIPS]]
                chunks.extend(encoder.encode(chunk, layer="all", pool="mean+std", precision=precision))
                progress.update(len(chunk))
        return np.stack(chunks).astype(np.float32)  # (clips, layers, 2 * dim)

    return System(name, identity.hexdigest(), features)


def mfcc_statistics(paths: Sequence[Path]) -> Array:
    """Return mean and deviation over the frames of 39 MFCC: (clips, 1, 78)."""
    rows = []
    for path in tqdm(paths, desc="MFCC", unit="clip", leave=False, disable=None):
        frames = mfcc_with_deltas(torch.from_numpy(read(path)))  # (frames, 39)
        rows.append(torch.cat([frames.mean(0), frames.std(0, correction=0)]).numpy())
    return np.stack(rows)[:, None]


def measure(corpus: Corpus, features: Features, task: str, pool: str) -> Points:
    """Measure one task for every layer of one system."""
    if task == "asv":
        return verify(corpus, features, pool)
    train, dev, test = (
        Split(
            features.of(recordings, pool),
            [recording.fields["label"] for recording in recordings],
            speakers_drawn(task, recordings),
        )
        for recordings in corpus.splits(task)
    )
    return tuple(
        Point(
            Estimate(result.accuracy, result.low, result.high),
            (result.dev_accuracy, -result.dev_loss),
            {name: value for name, value in asdict(result).items() if name != "correct"},
            result.correct,
        )
        for result in probe_layers(train, dev, test)
    )


def speakers_drawn(task: str, recordings: Sequence[ManifestEntry]) -> list[str] | None:
    """Return the speakers of recordings if the test speakers are not in train, so that intervals resample speakers."""
    return [recording.fields["speaker"] for recording in recordings] if task == "keywords" else None


def verify(corpus: Corpus, features: Features, pool: str) -> Points:
    """Return the EER of the trials for every layer; clips of other speakers standardize vectors and choose scorings."""
    trials = corpus.trials()
    train, dev, test = corpus.splits("sid")
    background = features.of(train, pool)
    tuning = np.concatenate([features.of(dev, pool), features.of(test, pool)])
    vectors = features.of(trials.recordings, pool)
    speakers = [recording.fields["speaker"] for recording in [*dev, *test]]
    points = []
    for layer in range(vectors.shape[1]):
        standardizers = (
            None,
            Standardizer.fit(background[:, layer], scale=False),
            Standardizer.fit(background[:, layer]),
        )
        tuning_eers = [
            speaker_eer(tuning[:, layer], speakers, standardizer=standardizer) for standardizer in standardizers
        ]
        scores = [
            cosine_scores(vectors[:, layer], trials.pairs, standardizer=standardizer) for standardizer in standardizers
        ]
        best = int(np.argmin(tuning_eers))
        value = eer(scores[best], trials.labels)
        interval = speaker_bootstrap(eer, scores[best], trials.labels, trials.speakers)
        details = {
            "scoring": SCORINGS[best],
            "eer": value,
            "interval": interval,
            "min_dcf_0.01": min_dcf(scores[best], trials.labels),
            "eer_by_scoring": {name: eer(s, trials.labels) for name, s in zip(SCORINGS, scores, strict=True)},
            "tuning_eer_by_scoring": dict(zip(SCORINGS, tuning_eers, strict=True)),
        }
        points.append(Point(Estimate(value, *interval), (-tuning_eers[best],), details))
    return tuple(points)


def curve(name: str, runs: Sequence[Points]) -> Curve:
    """Return the curve of one run, or mean and range of several seeds, with the layer of the best mean preference."""
    layers = list(zip(*runs, strict=True))  # (layers, runs)
    preferences = [np.mean([point.preference for point in points], axis=0).tolist() for points in layers]
    if len(runs) == 1:
        values = tuple(point.estimate for (point,) in layers)
    else:
        shares = [[point.estimate.value for point in points] for points in layers]
        values = tuple(Estimate(float(np.mean(share)), min(share), max(share)) for share in shares)
    chosen = max(range(len(layers)), key=preferences.__getitem__) if len(layers) > 1 else None
    return Curve(name, values, chosen)


def difference(runs: Sequence[Points], others: Sequence[Points], groups: Sequence[str] | None) -> str:
    """Return the difference in accuracy of two systems on the same clips, first runs, at their chosen layers."""
    ours, theirs = (np.array(run[0][curve("", run).chosen or 0].correct, dtype=float) for run in (runs, others))
    return str(Estimate(float((ours - theirs).mean()), *bootstrap_interval(ours - theirs, groups)))


def summary(runs: Sequence[Points]) -> str:
    """Return the chosen layer and its value, as text."""
    line = curve("", runs)
    return str(line.values[0]) if line.chosen is None else f"{line.values[line.chosen]} (layer {line.chosen})"


def differences(corpus: Corpus, measured: Measured) -> list[str]:
    """Return the lines of a table of the accuracies' differences."""
    lines = ["| measure | pooling | less | difference |", "| --- | --- | --- | ---: |"]
    for (task, pool), by_system in measured.items():
        if task != "asv":
            groups = speakers_drawn(task, corpus.splits(task)[2])
            lines += [
                f"| {TITLES[task]} | {pool} | {name} | {difference(by_system['model'], runs, groups)} |"
                for name, runs in by_system.items()
                if name != "model"
            ]
    return lines


def write(options: argparse.Namespace, corpus: Corpus, measured: Measured, *, seconds: float) -> None:
    """Write probes.json, probes.md and a plot for each pooling into the output folder."""
    options.out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for by_system in measured.values() for name in by_system))
    lines = [f"# What the layers of {options.name or 'MFCC'} know\n", METHOD, "## At the chosen layer\n"]
    columns = [(name, pool) for name in names for pool in options.pools]
    lines.append("| measure | " + " | ".join(f"{name}, {pool}" for name, pool in columns) + " |")
    lines.append("| --- |" + " ---: |" * len(columns))
    for task in options.tasks:
        cells = [summary(measured[task, pool][name]) for name, pool in columns]
        lines.append(f"| {TITLES[task]} | " + " | ".join(cells) + " |")
    if options.model:
        lines += ["\n## Model less another system, on the same test clips\n", *differences(corpus, measured)]
    for pool in options.pools:
        measures = [
            Measure(TITLES[task], tuple(curve(name, runs) for name, runs in measured[task, pool].items()))
            for task in options.tasks
        ]
        plot = f"probes_{pool.replace('+', '_')}.png"
        plot_layers(measures, options.out / plot, title=f"{options.name or 'MFCC'}, {pool} of the frames")
        if options.model:
            lines += [f"\n## By layer, {pool} of the frames\n", layer_table(measures), f"![{pool}]({plot})"]
    lines.append(f"\nTook {seconds:.0f} s with {torch.get_num_threads()} threads.")
    (options.out / "probes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    document = {
        "model": options.name,
        "random_seeds": options.random_seeds,
        "sid_speakers": options.sid_speakers,
        "seconds": round(seconds, 1),
        "chosen": [
            {"task": task, "pool": pool, "system": name, **asdict(line.values[line.chosen or 0]), "layer": line.chosen}
            for (task, pool), by_system in measured.items()
            for name, runs in by_system.items()
            for line in [curve(name, runs)]
        ],
        "results": [
            {"task": task, "pool": pool, "system": name, "run": run, "layer": layer, **point.details}
            for (task, pool), by_system in measured.items()
            for name, runs in by_system.items()
            for run, points in enumerate(runs)
            for layer, point in enumerate(points)
        ],
    }
    (options.out / "probes.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {options.out / 'probes.md'}, probes.json and the plots in {seconds:.0f} s")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of keywords/ and speaker/")
    parser.add_argument("--model", help="a model name, hub id or folder; without it only MFCC is measured")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--tasks", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--random-seeds", type=int, default=3, help="random initializations; 0 for none")
    parser.add_argument("--sid-speakers", type=int, help="keep only so many identification speakers, by name")
    parser.add_argument("--precision", help="of the arithmetic: bfloat16, int8; left out: that of the weights")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--watch", action="store_true", help="keywords, mean+std, no random weights: a quick look")
    parser.add_argument("--name", help="what the tables call the model; the name of its folder by default")
    options = parser.parse_args(arguments)
    if options.name is None and options.model:
        options.name = Path(options.model).resolve().name if Path(options.model).exists() else options.model
    if options.watch:
        options.tasks, options.pools, options.random_seeds = ["keywords"], ["mean+std"], 0
    return options


if __name__ == "__main__":
    main()
