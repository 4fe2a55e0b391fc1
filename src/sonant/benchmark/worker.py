"""The process of one system, with its own peak memory, threads and packages.

    python -m sonant.benchmark.worker '{"do": "serve", "system": "sonant", ...}'

It reads commands from standard input, a JSON object a line, and answers each by one on standard output.
"""

import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO, TypeVar

import torch
from torch import Tensor

from sonant.benchmark import process_memory
from sonant.benchmark.cases import CASES
from sonant.benchmark.corpus import measure_corpus
from sonant.benchmark.deviation import deviation, keep
from sonant.benchmark.machine import describe, measure_limits
from sonant.benchmark.profile import profile
from sonant.benchmark.systems import SYSTEMS, Circumstances, EncodeClips, States
from sonant.checkpoints import load_backbone
from sonant.errors import SonantWarning

T = TypeVar("T")
Order = dict[str, Any]
OUT_OF_MEMORY = "out of memory"


def main(arguments: list[str]) -> None:
    """Run the job given as a JSON object."""
    # Output of packages must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    process_memory.go_first()
    job = json.loads(arguments[0])
    torch.set_num_threads(job["threads"])
    if job.get("memory_cap"):
        process_memory.limit(job["memory_cap"])
    try:
        with torch.inference_mode():
            _do(job, answers)
    except Exception as error:  # noqa: BLE001 - whatever stops one system is a line of the report
        if not _is_out_of_memory(error):
            traceback.print_exc()
        _answer(answers, {"stopped": _reason(error)})


def _do(job: Order, answers: TextIO) -> None:
    match job["do"]:
        case "serve":
            _serve(job, answers)
        case "limits":
            limits = measure_limits(seconds=job["seconds"])
            _answer(answers, {"machine": asdict(describe(job["threads"])), "limits": asdict(limits)})
        case "peak":
            _peaks(job, answers)
        case "profile":
            run, clips = _runner(job), _clips(job, job["case"])
            _answer(answers, {"profile": asdict(profile(lambda: run(clips, every=False)))})
        case "corpus":
            rows = measure_corpus(
                load_backbone(job["source"]), job["precision"], Path(job["folder"]), seconds=job["seconds"]
            )
            _answer(answers, {"rows": [asdict(row) for row in rows]})


def _serve(job: Order, answers: TextIO) -> None:
    """Answer commands for one system: compare states, settle memory, or run one pass over the clips of a case."""
    run, note = said_of(lambda: _runner(job))
    case, clips, idle = "", list[Tensor](), 0
    outputs: States = {}
    for order in _orders():
        if order["case"] != case:
            case, outputs = order["case"], {}
            clips = _clips(job, case)
        match order["do"]:
            case "check":  # all states of some clips; also warms up
                _answer(answers, _checked(run(clips[: order["num"]], every=True), order))
            case "check outputs":  # of the last pass
                _answer(answers, _checked(outputs, order))
            case "settle":  # return free memory; what a system keeps after large inputs counts for them
                run([clips[0][: job["sampling_rate"]]], every=False)
                process_memory.forget_peak()
                idle = idle or process_memory.held()
                _answer(answers, {"idle": idle, "note": note})
            case "pass":
                outputs = {}
                wall, cpu = time.perf_counter(), time.process_time()
                outputs = run(clips, every=False)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                _answer(answers, {"wall": wall, "cpu": cpu, "peak": process_memory.peak()})


def said_of(make: Callable[[], T]) -> tuple[T, str]:
    """Call `make`, and return its result and the text of warnings of sonant, regardless of warning filters."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SonantWarning)
        made = make()
    return made, " ".join(dict.fromkeys(str(warning.message) for warning in said))


def _checked(states: States, order: Order) -> dict[str, Any]:
    folder = Path(order["folder"])
    if order["keep"]:
        keep(states, folder)
        return {"deviation": None}
    return {"deviation": asdict(deviation(states, folder))}


def _peaks(job: Order, answers: TextIO) -> None:
    """Answer each command with the peak memory of a pass over one clip, and the memory before the first."""
    run, rate = _runner(job), job["sampling_rate"]
    generator = torch.Generator().manual_seed(0)
    run([torch.randn(rate, generator=generator)], every=False)
    process_memory.forget_peak()
    idle = process_memory.held()
    for order in _orders():
        clip = torch.randn(round(order["seconds"] * rate), generator=generator)
        process_memory.forget_peak()
        start = time.perf_counter()
        run([clip], every=False)
        wall = time.perf_counter() - start
        _answer(answers, {"idle": idle, "peak": process_memory.peak(), "wall": wall})


def _runner(job: Order) -> EncodeClips:
    backbone = load_backbone(job["source"])
    unilm = Path(job["unilm"]) if job.get("unilm") else None
    return SYSTEMS[job["system"]].make(backbone, Circumstances(job["threads"], unilm))


def _clips(job: Order, case: str) -> list[Tensor]:
    return CASES[case].clips(job["sampling_rate"])


def _orders() -> Iterator[Order]:
    for line in sys.stdin:
        yield json.loads(line)


def _answer(answers: TextIO, values: dict[str, Any]) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


def _is_out_of_memory(error: Exception) -> bool:
    words = ("out of memory", "can't allocate memory", "bad_alloc", "not enough memory", "could not create a memory")
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in words)


def _reason(error: Exception) -> str:
    if _is_out_of_memory(error):
        return OUT_OF_MEMORY
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


if __name__ == "__main__":
    main(sys.argv[1:])
