"""The loss of a run's first steps by the audio heard, batches cropped to the shortest clip and filled exactly.

    python -m benchmarks.fill_curves MANIFEST --out FOLDER [--recipe wavlm_tiny] [--steps 300] [--extractor-steps 0]

Trains the first stage twice from the same weights, in float32, and prints a table; the runs stay in the folder, and
are taken up again where they stopped.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from sonant.data import SAMPLERS, WaveformStore
from sonant.recipes import pretraining_recipe
from sonant.training.pretrain import pretrain
from sonant.training.runs import WAVEFORMS, PretrainingRun

REPORTS = 10


def main(arguments: list[str] | None = None) -> None:
    """Train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="wavlm_tiny")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--extractor-steps", type=int, default=0)
    options = parser.parse_args(arguments)
    print("| fill | step | minutes heard | loss | masked accuracy |\n|---|---|---|---|---|")
    for fill in SAMPLERS:
        run = shortened(pretraining_recipe(options.recipe), fill, options.steps, options.extractor_steps)
        run = replace(run, data=str(options.manifest), output=str(options.out / fill))
        pretrain(run)
        print("\n".join(rows(run, fill)))


def shortened(run: PretrainingRun, fill: str, steps: int, extractor_steps: int) -> PretrainingRun:
    """Return the first stage alone, with so many steps."""
    stage = run.stages[0]
    training = replace(stage.training, steps=steps, log_every=max(1, steps // REPORTS), precision="float32")
    stage = replace(
        stage,
        training=training,
        batching=replace(stage.batching, fill=fill),
        extractor_steps=min(extractor_steps, stage.extractor_steps),
    )
    return replace(run, stages=(stage,))


def rows(run: PretrainingRun, fill: str) -> list[str]:
    """A line for each report of a run that is done."""
    folder, (stage,) = Path(run.output) / run.name, run.stages
    config, training = run.model, stage.training
    sampler = stage.batching.sampler(
        WaveformStore(folder / WAVEFORMS).lengths,
        config.sampling_rate,
        stride=config.stride,
        receptive_field=config.receptive_field,
        seed=run.seed,
    )
    heard, lines = 0, []
    reports = {report["step"]: report for report in map(json.loads, (folder / stage.name / "metrics.jsonl").open())}
    for number in range(training.steps * training.grad_accumulation):
        heard += sum(length for _, length in sampler[number])
        report = reports.get((number + 1) // training.grad_accumulation)
        if report and (number + 1) % training.grad_accumulation == 0:
            minutes = heard / config.sampling_rate / 60
            accuracy = report.get("masked_accuracy", float("nan"))
            lines.append(f"| {fill} | {report['step']} | {minutes:.1f} | {report['loss']:.4f} | {accuracy:.4f} |")
    return lines


if __name__ == "__main__":
    main()
