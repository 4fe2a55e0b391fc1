"""SUPERB on small shared data: a model beside random weights, in three ways, on every task that the data carry.

    python -m benchmarks.superb --data DATA --out OUT [--tasks ks sid ...] [--model sonant/wavlm-tiny]
                                [--ways weighted best_layer fine_tuned] [--steps 1000] [--tuning-steps 300]

DATA holds keywords/commands_{train,dev,test}.jsonl and keywords/digits_*, emotion/*, intents/* with `slots` (the drink
that is asked for is the label), speaker/sid_* and, for verification, speaker/asv.jsonl, phones/*, asr/{train_1h,dev,
test}.jsonl and diarization/sim_*. Speakers of the test sets are in no training set, but for intents, whose speakers are
not known, and identification. Each task, and each way, is an evaluation by `sonant.evaluate_superb` in a folder of OUT,
with shorter batches than the published ones and learning rates that are searched; OUT gets superb.md, superb.json and
superb.html of all. Started again, the script goes on where it was.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sonant
from benchmarks.utterance_labels import divided
from sonant.data.files import atomic
from sonant.superb import SuperbRow
from sonant.superb.page import superb_page
from sonant.superb.report import markdown, to_json

PARTS = ("train", "dev", "test")
# By name here: key of the task, seconds of a batch, and the beginning of the names of its manifests.
DATA: dict[str, tuple[str, float, str]] = {
    "keywords": ("ks", 32.0, "keywords/commands"),
    "digits": ("ks", 32.0, "digits"),
    "intents": ("ic", 64.0, "intents"),
    "emotion": ("er", 32.0, "emotion"),
    "identification": ("sid", 64.0, "speaker/sid"),
    "verification": ("asv", 64.0, "speaker/asv"),
    "phones": ("pr", 64.0, "phones"),
    "recognition": ("asr", 64.0, "asr"),
    "diarization": ("sd", 160.0, "diarization/sim"),
}
RATES = {"weighted": (1e-3, 1e-2), "best_layer": (1e-3,), "fine_tuned": (1e-3,)}
FRAMES = ("phones", "recognition", "diarization")  # for which every layer alone would take long


def manifests(data: Path, out: Path, name: str) -> Path:
    """Return the folder, or the beginning of the names, of the manifests of some data."""
    if name in ("digits", "intents"):
        return _written(out / "manifests" / name, divided(data, name))
    if name == "recognition":
        parts = {"train": "train_1h", "dev": "dev", "test": "test"}
        return _written(
            out / "manifests" / name, {part: _rows(data / "asr" / f"{file}.jsonl") for part, file in parts.items()}
        )
    if name == "verification":
        known = {part: _rows(data / "speaker" / f"sid_{part}.jsonl") for part in ("train", "dev")}
        return _written(out / "manifests" / name, known | {"test": _rows(data / "speaker" / "asv.jsonl")})
    return data / DATA[name][2]


def _rows(manifest: Path) -> list[dict[str, Any]]:
    """Read a manifest, with absolute paths."""
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return [row | {"path": str((manifest.parent / row["path"]).resolve())} for row in rows]


def _written(folder: Path, parts: dict[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for part, rows in parts.items():
        with atomic(folder / f"{part}.jsonl") as draft:
            draft.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return folder


def evaluated(options: argparse.Namespace, name: str) -> Iterator[SuperbRow]:
    """Yield the rows of a task, whose name becomes that of the data."""
    task, seconds, _ = DATA[name]
    longest = min(seconds, 20.0 if task == "sd" else seconds)
    changes: dict[str, Any] = {
        "batching": {"batch_seconds": seconds, "max_seconds": longest},
        "training": {"grad_accumulation": 1},
    }
    if task == "ic":
        changes["label"] = "label"
    if task == "sd":
        changes["task"] = {"num_speakers": 3}
    for way in options.ways:
        if way == "best_layer" and name in FRAMES:
            continue
        done = sonant.evaluate_superb(
            [options.model, f"random:{options.model}"],
            {task: manifests(options.data, options.out, name)},
            ways=[way],
            lr=RATES[way],
            steps=options.tuning_steps if way == "fine_tuned" else options.steps,
            output=options.out / f"{name}_{way}" if way == "fine_tuned" else options.out / name,
            on_error="skip",
            cache_dtype="float16",
            changes={task: changes},
        )
        yield from done.rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--tasks", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--ways", nargs="+", default=list(RATES), choices=RATES)
    parser.add_argument("--steps", type=int, default=1000, help="of heads over frozen models")
    parser.add_argument("--tuning-steps", type=int, default=300, help="where the model is trained too")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[SuperbRow] = []
    for name in options.tasks:
        for row in evaluated(options, name):
            shown = replace(row, model=f"{row.model}, digits") if name == "digits" else row
            rows.append(shown)
            print(f"{name}, {row.model}, {row.way}: {row.measures}", flush=True)
        texts = {"md": markdown(rows), "html": superb_page(rows), "json": json.dumps(to_json(rows), indent=1)}
        for ending, text in texts.items():
            with atomic(options.out / f"superb.{ending}") as draft:
                draft.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
