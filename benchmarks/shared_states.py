"""Time of several tasks of SUPERB on the same recordings: states computed once for all, or once for each task.

    python -m benchmarks.shared_states --data DATA/keywords/commands --out OUT [--tasks ks er ic] [--steps 100]

The manifests have a `label` each, which all tasks learn. Printed are seconds
of the processor and of the clock; OUT is made anew.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import sonant


def main() -> None:
    """Carry out both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--tasks", nargs="+", default=["ks", "er", "ic"])
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    batching = {"batch_seconds": 32.0, "max_seconds": 32.0}
    short = {"label": "label", "batching": batching, "training": {"grad_accumulation": 1}}

    def evaluate(tasks: list[str], output: Path) -> None:
        data, changes = dict.fromkeys(tasks, given.data), dict.fromkeys(tasks, short)
        sonant.evaluate_superb(given.model, data, output=output, steps=given.steps, on_error="skip", changes=changes)

    def each() -> None:
        for task in given.tasks:
            evaluate([task], given.out / "each" / task)

    print("| states computed | seconds of one core | seconds |\n|---|---|---|")
    print(timed("once for all tasks", lambda: evaluate(given.tasks, given.out / "once")))
    print(timed("once for each task", each))


def timed(name: str, work: Callable[[], None]) -> str:
    """Return the line of the table of some work."""
    began, of_processor = time.monotonic(), time.process_time()
    work()
    return f"| {name} | {time.process_time() - of_processor:.0f} | {time.monotonic() - began:.0f} |"


if __name__ == "__main__":
    main()
