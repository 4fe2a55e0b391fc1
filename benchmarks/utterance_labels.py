"""Labels of whole recordings: ways to train a head beside linear probes and random weights, on one split.

    python -m benchmarks.utterance_labels --data DATA --out OUT [--tasks keywords digits intents emotion]
                                          [--model sonant/wavlm-tiny] [--ways ...] [--steps 300] [--frozen-steps 1000]

DATA holds keywords/commands_{train,dev,test}.jsonl, keywords/digits_*, emotion/* with a `label` and a `speaker` of each
recording, and intents/* with `slots`, of which the drink that is asked for is the label. No speaker of test is in train
or dev, but for intents, whose speakers are not known; digits are divided anew for this. The ways `probe` fit logistic
regressions on the mean states of each layer, and take the layer and the penalty that are best on dev; the others train
by `sonant.train("utterance", ...)` on the same batches, and take the weights that are best on dev. OUT receives a
folder a run, labels.json, labels.md with the difference of each way from `mean` on the same recordings (paired, by
speaker where there are several), and labels.png. Started again, the script goes on where it was.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import sonant
from benchmarks.recognition import fresh_model
from sonant.data.files import atomic
from sonant.evaluation import Split, compare_paired, fit_probe
from sonant.evaluation.label_scores import score_labels

PARTS = ("train", "dev", "test")
TASKS = {"keywords": "keywords/commands", "digits": "keywords/digits", "intents": "intents/", "emotion": "emotion/"}
REFERENCE = "mean"
Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way to learn labels; without `settings` linear probes, else a training with these."""

    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    lr_factor: float = 1.0
    random: bool = False

    @property
    def is_frozen(self) -> bool:
        """True if states are read from the cache."""
        return self.settings.get("frozen") == "backbone"


FROZEN = {"frozen": "backbone", "layer": "weighted"}
WAYS = {
    "probe": Way("linear probe of the best layer"),
    "mean": Way("frozen, layers weighted, mean", FROZEN),
    "attention": Way("frozen, layers weighted, attention", FROZEN | {"task": {"pooling": "attention"}}),
    "last": Way("frozen, last layer, mean", FROZEN | {"layer": "last"}),
    "whole": Way("all but the extractor trained", {"frozen": "extractor"}, lr_factor=0.25),
    "random-probe": Way("random weights, linear probe of the best layer", random=True),
    "random-mean": Way("random weights, frozen, layers weighted, mean", FROZEN, random=True),
    "random": Way("random weights, all trained", {"frozen": "nothing"}, random=True),
}


def divided(data: Path, task: str) -> dict[str, list[Row]]:
    """Return the rows of each part with absolute paths, `label`, and `speaker` where it is known."""
    parts = {part: read(data, f"{TASKS[task]}_{part}.jsonl".replace("/_", "/")) for part in PARTS}
    if task != "digits":
        return parts
    rows = [row for part in PARTS for row in parts[part]]
    *_, dev, test = sorted({row["speaker"] for row in rows})
    part_of = {dev: "dev", test: "test"}
    return {part: [row for row in rows if part_of.get(row["speaker"], "train") == part] for part in PARTS}


def read(data: Path, name: str) -> list[Row]:
    """Read a manifest."""
    rows = [json.loads(line) for line in (data / name).read_text(encoding="utf-8").splitlines()]
    return [
        {
            "path": str((data / name).parent.resolve() / row["path"]),
            "label": row["label"] if "label" in row else row["slots"]["coffeeDrink"],
            **{key: row[key] for key in ("speaker",) if key in row},
        }
        for row in rows
        if "label" in row or "coffeeDrink" in row["slots"]
    ]


def trained(options: argparse.Namespace, name: str, task: str, model: str) -> Path:
    """Train one way on one task, and return the model."""
    way, manifests = WAYS[name], options.out / "manifests"
    steps = options.frozen_steps if way.is_frozen else options.steps
    every = max(1, steps // 10)
    return sonant.train(
        "utterance",
        name=f"{task}-{name}",
        model=model,
        data=manifests / f"{task}_train.jsonl",
        dev=manifests / f"{task}_dev.jsonl",
        output=options.out,
        batching={"batch_seconds": options.batch_seconds, "max_seconds": options.batch_seconds},
        training={
            "steps": steps,
            "lr": options.lr,
            "validate_every": every,
            "save_every": every,
            "parts": [{"name": "backbone", "lr_factor": way.lr_factor, "frozen_steps": 0}],
        },
        cache=str(options.out / "states") if way.is_frozen else "",
        **way.settings,
    )


def probed(model: str, parts: dict[str, list[Row]]) -> tuple[list[str], str]:
    """Return the predictions of the best probe for test, and the layer that it reads."""
    encoder = sonant.load(model)
    features = {
        part: np.stack(encoder.encode([row["path"] for row in rows], layer="all", pool="mean"))
        for part, rows in parts.items()
    }  # (recordings, layers, dim)
    train, dev = (Split(features[part], [row["label"] for row in parts[part]]) for part in ("train", "dev"))
    probes = [fit_probe(train.layer(layer), dev.layer(layer)) for layer in range(features["train"].shape[1])]
    best = max(range(len(probes)), key=lambda layer: (probes[layer].dev_accuracy, -probes[layer].dev_loss))
    return probes[best].predict(features["test"][:, best]), f"layer {best}"


def predicted(options: argparse.Namespace, name: str, task: str, parts: dict[str, list[Row]]) -> Row:
    """Return the predictions for test of one way, which are kept in the folder of its run."""
    kept = options.out / f"{task}-{name}" / "test.json"
    if not kept.exists():
        way, detail = WAYS[name], ""
        model = fresh_model("random", options.model, options.out) if way.random else options.model
        if way.settings:
            labels = [
                max(each, key=each.__getitem__)
                for each in sonant.load(trained(options, name, task, model)).classify(
                    [row["path"] for row in parts["test"]]
                )
            ]
        else:
            labels, detail = probed(model, parts)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic(kept) as draft:
            draft.write_text(json.dumps({"predicted": labels, "detail": detail}, indent=1), encoding="utf-8")
    found: Row = json.loads(kept.read_text(encoding="utf-8"))
    return found


def measured(test: Sequence[Row], found: dict[str, Row]) -> list[Row]:
    """Return a row for each way: accuracy and macro F1 in per cent with intervals, and the difference from `mean`."""
    actual, speakers = [row["label"] for row in test], {row.get("speaker") for row in test}
    groups = [row["speaker"] for row in test] if len(speakers) > 1 else None
    classes = sorted({*actual, *(label for each in found.values() for label in each["predicted"])})
    numbers = {label: number for number, label in enumerate(classes)}
    wrong = {
        name: np.array([label != right for label, right in zip(each["predicted"], actual, strict=True)], float)
        for name, each in found.items()
    }
    rows = []
    for name, each in found.items():
        scores = score_labels(
            *([numbers[label] for label in labels] for labels in (each["predicted"], actual)), classes, groups
        )
        row: Row = {"way": name, "detail": each["detail"], "recordings": len(test), "speakers": len(speakers)}
        row |= {key: [100 * scores[key][part] for part in ("value", "low", "high")] for key in ("accuracy", "macro_f1")}
        if name != REFERENCE and REFERENCE in found:
            less = compare_paired(wrong[name], wrong[REFERENCE], groups)  # of the errors, so more right is above 0
            row |= {"more": [100 * value for value in (less.difference, less.low, less.high)], "p": less.p_value}
        rows.append(row)
    return rows


def table(results: dict[str, list[Row]]) -> str:
    """Return a Markdown table; a difference with p below 0.05 is bold."""
    lines = [
        f"| labels | learned by | accuracy % | macro F1 % | accuracy less that of `{REFERENCE}` | p |",
        "|---" * 6 + "|",
    ]
    for task, rows in results.items():
        for row in rows:
            scores = " | ".join("{:.1f} [{:.1f}, {:.1f}]".format(*row[name]) for name in ("accuracy", "macro_f1"))
            more = "{:+.1f} [{:+.1f}, {:+.1f}]".format(*row["more"]) if "more" in row else ""
            if row.get("p", 1.0) < 0.05:
                more = f"**{more}**"
            p = "" if "p" not in row else f"{row['p']:.3f}" if row["p"] >= 0.001 else "< 0.001"
            title = WAYS[row["way"]].title + (f" ({row['detail']})" if row["detail"] else "")
            lines.append(f"| {task} | {title} | {scores} | {more} | {p} |")
    return "\n".join(lines) + "\n"


def draw(out: Path, results: dict[str, list[Row]]) -> None:
    """Draw accuracies with their intervals, a panel for each task."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(results), figsize=(2.6 * len(results) + 3, 3.2), sharey=True, squeeze=False)
    for panel, (task, rows) in zip(panels[0], results.items(), strict=True):
        for place, row in enumerate(reversed(rows)):
            value, low, high = row["accuracy"]
            color = "tab:gray" if WAYS[row["way"]].random else "tab:blue"
            panel.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=color, capsize=3)
        panel.set(title=task, xlabel="accuracy (%)", xlim=(0, 102))
        panel.set_yticks(range(len(rows)), [WAYS[row["way"]].title for row in reversed(rows)])
        panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(out / "labels.png", dpi=150)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=300, help="of the ways that train the model")
    parser.add_argument("--frozen-steps", type=int, default=1000, help="of those that train a head on cached states")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak rate of the head")
    parser.add_argument("--batch-seconds", type=float, default=16.0)
    options = parser.parse_args(arguments)
    (options.out / "manifests").mkdir(parents=True, exist_ok=True)
    results: dict[str, list[Row]] = {}
    for task in options.tasks:
        parts = divided(options.data, task)
        for part, rows in parts.items():
            with atomic(options.out / "manifests" / f"{task}_{part}.jsonl") as draft:
                draft.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        found: dict[str, Row] = {}
        for name in options.ways:
            found[name] = predicted(options, name, task, parts)
            results[task] = measured(parts["test"], found)
            print(table({task: results[task][-1:]}).splitlines()[-1], flush=True)
            (options.out / "labels.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
            (options.out / "labels.md").write_text(table(results), encoding="utf-8")
    draw(options.out, results)


if __name__ == "__main__":
    main()
