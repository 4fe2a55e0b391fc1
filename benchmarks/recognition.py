"""Recognition from little labeled speech: pretrained weights beside random ones, on speakers never heard.

    python -m benchmarks.recognition --data DATA/asr --out OUT [--model sonant/wavlm-tiny] [--sets 10min 1h all]
                                     [--ways whole lora frozen random mel] [--steps 1000] [--batch-seconds 16]

DATA/asr holds train_10min.jsonl, train_1h.jsonl, train_all.jsonl, dev.jsonl and test.jsonl, whose rows have a text and
a speaker. Each way trains a CTC head by `sonant.train("ctc", ...)` for the same number of steps of the same batches:
`whole` trains the model but its extractor, `lora` adapters of rank 8 in its attention, `frozen` the head alone,
`random` the whole of the same shape with fresh weights, and `mel` the whole of a Conformer of as many blocks of the
same width on log-mel energies, with fresh weights, of which a step costs about as much. The best weights on dev are
measured on test by greedy transcripts, with the intervals of `sonant evaluate asr`. At the end it prints the error
rates of one text for all recordings, up to four of the most frequent words, or letters, again and again: what is not
below them may have learned no more than how often units occur. OUT receives a folder a run, recognition.json,
recognition.md, and error rates over steps as recognition.png. Started again, the script goes on where it was.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from rapidfuzz.distance.Levenshtein import distance

import sonant
from sonant.checkpoints import save_pretrained
from sonant.data.files import atomic
from sonant.models import W2vBERT2Config, build

SETS = ("10min", "1h", "all")


@dataclass(frozen=True)
class Way:
    """Settings of one way of training; `lr_factor` is that of the model beside its head."""

    title: str
    settings: dict[str, Any]
    lr_factor: float = 1.0


WAYS = {
    "whole": Way("all but the extractor trained", {"frozen": "extractor"}, lr_factor=0.5),
    "lora": Way("LoRA, rank 8", {"lora": {"rank": 8}}),
    "frozen": Way("head alone trained", {"frozen": "backbone"}),
    "random": Way("random weights, all trained", {"frozen": "nothing"}),
    "mel": Way("random weights on log-mel energies, all trained", {"frozen": "nothing"}),
}


def fresh_model(way: str, model: str, out: Path) -> str:
    """Write a model with fresh weights for a way that starts from them, and return its folder; else the model."""
    if way not in ("random", "mel"):
        return model
    folder = out / f"{way}_weights"
    if not folder.is_dir():
        config = sonant.load(model).model.config
        torch.manual_seed(0)
        save_pretrained(build(mel_config(config) if way == "mel" else config), folder)
    return str(folder)


def mel_config(config: Any) -> W2vBERT2Config:
    """Return the Conformer on log-mel energies of as many blocks of the width of a Transformer.

    A block has two feed-forward parts, each of half the width. For `sonant/wavlm-tiny` it has 1.17 times as many
    parameters, and a step took 1.15 times the processor time of one of that model, extractor included, on one core.
    """
    return W2vBERT2Config(
        dim=config.dim,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        feed_forward_dim=config.feed_forward_dim // 2,
        dropout=config.dropout,
        attention_dropout=config.attention_dropout,
        conv_dropout=config.dropout,
        layerdrop=config.layerdrop,
    )


def trained(options: argparse.Namespace, way: str, amount: str) -> tuple[Path, float | None]:
    """Train one way on one set, and return the model and the seconds that it took, None if it was there already."""
    name = f"{way}-{amount}"
    folder = options.out / name / "model"
    finished = folder.is_dir()
    started = time.perf_counter()
    sonant.train(
        "ctc",
        name=name,
        model=fresh_model(way, options.model, options.out),
        data=options.data / f"train_{amount}.jsonl",
        dev=options.data / "dev.jsonl",
        output=options.out,
        on_error="skip",
        batching={"batch_seconds": options.batch_seconds, "max_seconds": min(16.0, options.batch_seconds)},
        training={
            "steps": options.steps,
            "lr": options.lr,
            "validate_every": max(1, options.steps // 10),
            "save_every": max(1, options.steps // 10),
            "parts": [{"name": "backbone", "lr_factor": WAYS[way].lr_factor, "frozen_steps": 0}],
        },
        cache=str(options.out / "states") if way == "frozen" else "",
        **WAYS[way].settings,
    )
    return folder, None if finished else time.perf_counter() - started


def measured(model: Path, test: Path) -> dict[str, list[float]]:
    """Measure a model on a manifest: error rates in per cent with their 95 % intervals; the page lies beside it."""
    done = sonant.evaluate_asr(test, str(model), output=model.parent / "evaluation")
    totals = done.report.systems[0].totals
    return {
        name: [100 * value for value in (score.rate, score.low, score.high) if value is not None]
        for name, score in totals.items()
    }


def on_dev(out: Path, row: dict[str, Any]) -> list[dict[str, float]]:
    """Return what a training measured on dev, in the order of its steps."""
    lines = (out / f"{row['way']}-{row['set']}" / "metrics.jsonl").read_text().splitlines()
    return [point for line in lines if "held_out_cer" in (point := json.loads(line))]


def table(out: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table of the results."""
    lines = ["| labels | trained | WER % | CER % | loss on dev after all steps |", "|---|---|---|---|---|"]
    for row in rows:
        rates = " | ".join("{:.1f} [{:.1f}, {:.1f}]".format(*row[name]) for name in ("wer", "cer"))
        loss = on_dev(out, row)[-1]["held_out_loss"]
        lines.append(f"| {row['set']} | {WAYS[row['way']].title} | {rates} | {loss:.2f} |")
    return "\n".join(lines) + "\n"


def texts_of(manifest: Path) -> list[str]:
    """Return the transcripts of a manifest."""
    return [json.loads(line)["text"] for line in manifest.read_text(encoding="utf-8").splitlines()]


def one_text(data: Path, split: Callable[[str], list[str]], *, most: int = 4) -> tuple[list[str], float]:
    """Return the best pattern of frequent units, repeated for every recording alike, and its error rate on test in %.

    Pattern and length, a share of the transcript's, which no recognizer is told so exactly, are chosen on dev.
    """
    counts = Counter(unit for text in texts_of(data / "train_1h.jsonl") for unit in split(text))
    units = [unit for unit, _ in counts.most_common(most)]
    dev, test = ([split(text) for text in texts_of(data / f"{part}.jsonl")] for part in ("dev", "test"))

    def rate(texts: list[list[str]], pattern: Sequence[str], share: float) -> float:
        wrong = sum(distance((list(pattern) * len(text))[: round(share * len(text))], text) for text in texts)
        return 100 * wrong / sum(map(len, texts))

    patterns = [pattern for length in range(1, most + 1) for pattern in product(units, repeat=length)]
    shares = [tenths / 10 for tenths in range(3, 11)]
    pattern, share = min(product(patterns, shares), key=lambda choice: rate(dev, *choice))
    return list(pattern), rate(test, pattern, share)


def draw(out: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw character error rates on dev over steps, a panel for each set."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    sets = [amount for amount in SETS if any(row["set"] == amount for row in rows)]
    figure, panels = plt.subplots(1, len(sets), figsize=(4 * len(sets), 3.2), sharey=True, squeeze=False)
    for panel, amount in zip(panels[0], sets, strict=True):
        for row in rows:
            if row["set"] == amount:
                steps, rates = ([point[key] for point in on_dev(out, row)] for key in ("step", "held_out_cer"))
                panel.plot(steps, [100 * value for value in rates], label=WAYS[row["way"]].title)
        panel.set(title=f"labels of {amount}", xlabel="step", ylim=(0, 105))
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("character error rate on dev (%)")
    panels[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(out / "recognition.png", dpi=150)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--lr", type=float, default=1e-3, help="peak rate of the head")
    parser.add_argument("--batch-seconds", type=float, default=16.0)
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for amount in options.sets:
        for way in options.ways:
            folder, seconds = trained(options, way, amount)
            result = folder.parent / "test.json"
            if not result.exists():
                row = {"set": amount, "way": way, "steps": options.steps, "seconds": seconds}
                with atomic(result) as draft:
                    draft.write_text(json.dumps(row | measured(folder, options.data / "test.jsonl"), indent=1))
            rows.append(json.loads(result.read_text()))
            print(table(options.out, rows[-1:]).splitlines()[-1], flush=True)
            (options.out / "recognition.json").write_text(json.dumps(rows, indent=1))
            (options.out / "recognition.md").write_text(table(options.out, rows))
    for name, split in (("WER", str.split), ("CER", list)):
        pattern, rate = one_text(options.data, split)
        print(f"{name} of one text for all recordings, {'|'.join(pattern)} again and again: {rate:.1f} %", flush=True)
    draw(options.out, rows)


if __name__ == "__main__":
    main()
