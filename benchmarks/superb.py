"""SUPERB on small shared data: a model beside random weights, MFCC and log-mel energies, on every task of the data.

    python -m benchmarks.superb --data DATA --out OUT [--tasks keywords phones ...] [--model sonant/wavlm-tiny]
                                [--ways weighted best_layer fine_tuned] [--steps N] [--drop-states]

DATA holds keywords/commands_{train,dev,test}.jsonl and keywords/digits_*, emotion/*, intents/* with `slots` (the drink
that is asked for is the label), speaker/sid_* and, for verification, speaker/asv.jsonl and speaker/trials.txt,
phones/*, asr/{train_1h,dev,test}.jsonl, diarization/sim_*, and pretrain/manifest.jsonl with a `speaker` each, of whom
mixtures of two are made for separation. Speakers of the test sets are in no training set, but for intents, whose
speakers are not known, and identification. Each task is an evaluation by `sonant.evaluate_superb` in a folder of OUT,
with the settings in `TASKS`: 400 steps of short batches (200 where the model is trained too), two learning rates for
linear heads and one for the others, and narrower recurrent heads than the published ones (recognition has a linear
layer); large sets are cut to parts of them. OUT gets superb.md, superb.json and superb.html of all. Started again, the
script goes on where it was; --drop-states removes the states of a task when no other way reads them.
"""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import sonant
from benchmarks.separation import write_pairs
from benchmarks.utterance_labels import divided
from sonant.data.files import atomic
from sonant.superb import SuperbRow
from sonant.superb.page import superb_page
from sonant.superb.report import markdown, shown
from sonant.superb.settings import Way
from sonant.superb.tasks import SUPERB_TASKS

T = TypeVar("T")
PARTS = ("train", "dev", "test")
FEATURES = ("mfcc", "log_mel")
RATES = (1e-3, 1e-2)


@dataclass(frozen=True)
class SharedTask:
    """Settings of a task on the shared data.

    Attributes:
        key: of SUPERB.
        batch_seconds: of a batch.
        lr: learning rates to try where the model is frozen.
        task: changes of the head.
        label: field of the manifests; "": that of the recipe.
        max_seconds: of a piece of a recording; 0: as long as a batch.
    """

    key: str
    batch_seconds: float
    lr: tuple[float, ...] = RATES
    task: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    max_seconds: float = 0.0


TASKS: dict[str, SharedTask] = {
    "keywords": SharedTask("ks", 32.0),
    "digits": SharedTask("ks", 32.0),
    "emotion": SharedTask("er", 32.0),
    "intents": SharedTask("ic", 32.0, label="label"),
    "phones": SharedTask("pr", 32.0),
    "identification": SharedTask("sid", 32.0),
    "separation": SharedTask("ss", 32.0, (1e-3,), task={"hidden_dim": 128, "num_layers": 2}),
    "recognition": SharedTask("asr", 32.0, task={"lstm_dim": 0}),
    "verification": SharedTask("asv", 32.0, (1e-3,), task={"channels": 192, "pooled_dim": 512, "embedding_dim": 256}),
    "diarization": SharedTask("sd", 80.0, (1e-3,), task={"num_speakers": 3, "lstm_dim": 128}, max_seconds=10.0),
}
TUNING_RATE = 1e-3  # of the head; that of the model is a tenth
STEPS = {"weighted": 400, "best_layer": 400, "fine_tuned": 200}
MIXTURES = {"train": 200, "dev": 20, "test": 60}
# Parts of sets that would take hours of one core: numbers of recordings, or of speakers.
MOST = {"train": 500, "dev": 60, "test": 150}  # phones
MOST_SPEAKERS = 60  # identification; verification trains on the same
MOST_MEETINGS = {"train": 60, "dev": 10, "test": 30}  # diarization


def manifests(data: Path, out: Path, name: str) -> Path:
    """Return the folder, or the beginning of the names, of the manifests of some data."""
    folder = out / "manifests" / name
    match name:
        case "digits" | "intents":
            return _written(folder, divided(data, name))
        case "recognition":
            parts = {"train": "train_1h", "dev": "dev", "test": "test"}
            return _written(folder, {part: _rows(data / "asr" / f"{file}.jsonl") for part, file in parts.items()})
        case "phones" | "diarization":
            beginning, most = ("phones/", MOST) if name == "phones" else ("diarization/sim_", MOST_MEETINGS)
            return _written(
                folder, {part: _drawn(_rows(data / f"{beginning}{part}.jsonl"), most[part]) for part in PARTS}
            )
        case "identification":
            return _written(folder, _of_few_speakers(data))
        case "verification":
            _written(folder, _of_few_speakers(data) | {"test": _rows(data / "speaker" / "asv.jsonl")})
            shutil.copyfile(data / "speaker" / "trials.txt", folder / "test_trials.txt")
            return folder
        case "separation":
            folder.mkdir(parents=True, exist_ok=True)
            write_pairs(data, folder, MIXTURES)
            return folder
    return data / {"keywords": "keywords/commands"}.get(name, name)


def _of_few_speakers(data: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of some speakers of identification."""
    parts = {part: _rows(data / "speaker" / f"sid_{part}.jsonl") for part in PARTS}
    names = set(_drawn(sorted({str(row["speaker"]) for row in parts["train"]}), MOST_SPEAKERS))
    return {part: [row for row in rows if row["speaker"] in names] for part, rows in parts.items()}


def _drawn(items: list[T], most: int) -> list[T]:
    """Return some of many items, in their order."""
    kept = np.random.default_rng(0).permutation(len(items))[:most]
    return [items[number] for number in sorted(kept)]


def _rows(manifest: Path) -> list[dict[str, Any]]:
    """Read a manifest, with absolute paths."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        for part in (row, *row.get("mix", [])):
            if "path" in part:
                part["path"] = str((manifest.parent / part["path"]).resolve())
    return rows


def _written(folder: Path, parts: dict[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        with atomic(folder / f"{part}.jsonl") as draft:
            draft.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


def evaluated(options: argparse.Namespace, name: str, way: Way) -> Iterator[SuperbRow]:
    """Yield the rows of a task by one way, one for each model."""
    task = TASKS[name]
    batching = {"batch_seconds": task.batch_seconds, "max_seconds": task.max_seconds or task.batch_seconds}
    changes: dict[str, Any] = {"task": task.task, "batching": batching, "training": {"grad_accumulation": 1}}
    if task.label:
        changes["label"] = task.label
    models = [options.model, f"random:{options.model}", *FEATURES]
    for model in models[: {"weighted": 4, "fine_tuned": 2}.get(way, 1)]:
        done = sonant.evaluate_superb(
            model,
            {task.key: manifests(options.data, options.out, name)},
            ways=[way],
            lr=(TUNING_RATE,) if way == "fine_tuned" else task.lr,
            steps=options.steps or STEPS[way],
            output=options.out / f"{name}_{way}" if way == "fine_tuned" else options.out / name,
            on_error="skip",
            cache_dtype="float16",
            changes={task.key: changes},
        )
        yield from done.rows


def table(found: dict[str, list[SuperbRow]]) -> str:
    """Return the results of all tasks as Markdown: a line a task and metric, a column a model and way."""
    columns = list(dict.fromkeys((row.model, row.way) for rows in found.values() for row in rows))
    lines = [["task", *(f"{model}, {way.replace('_', ' ')}" for model, way in columns)], ["---"] * (len(columns) + 1)]
    for name, rows in found.items():
        of_cell = {(row.model, row.way): row for row in rows}
        for metric in SUPERB_TASKS[TASKS[name].key].metrics:
            cells = [of_cell.get(column) for column in columns]
            values = ["" if row is None else shown(metric, row.measures[metric.name]) for row in cells]
            lines.append([f"{name}, {metric.title}", *values])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(out: Path, found: dict[str, list[SuperbRow]]) -> None:
    """Write the table of all tasks, and the tables of SUPERB with what was chosen and the weights of the states."""
    rows = [
        replace(row, model=f"{row.model}, digits") if name == "digits" else row
        for name, of_task in found.items()
        for row in of_task
    ]
    texts = {
        "md": f"{table(found)}\n{markdown(rows)}",
        "html": superb_page(rows),
        "json": json.dumps({name: [row.to_json() for row in of_task] for name, of_task in found.items()}, indent=1),
    }
    for ending, text in texts.items():
        with atomic(out / f"superb.{ending}") as draft:
            draft.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    ways: list[Way] = ["weighted", "best_layer", "fine_tuned"]
    parser.add_argument("--ways", nargs="+", default=ways, choices=ways)
    parser.add_argument("--steps", type=int, default=0, help="of every training, in place of those in `STEPS`")
    parser.add_argument("--drop-states", action="store_true", help="of a task, when no other way reads them")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[SuperbRow]] = {}
    for way in options.ways:
        for name in options.tasks:
            for row in evaluated(options, name, way):
                found.setdefault(name, []).append(row)
                print(f"{name}, {row.model}, {row.way}: {row.measures}", flush=True)
                write(options.out, found)
            if options.drop_states and not (way == "weighted" and "best_layer" in options.ways):
                shutil.rmtree(options.out / name / "states", ignore_errors=True)


if __name__ == "__main__":
    main()
