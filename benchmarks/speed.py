"""Speed and peak memory of embedding, beside transformers on the same weights and the same clips.

    python -m benchmarks.speed                                     # Base and Large, every case: about 8 minutes
    python -m benchmarks.speed --shapes base --cases 10s batch --seconds 60
    python -m benchmarks.speed --shapes tiny --cases 10s            # a trial

For every case each system gets a process of its own, so that the peak of its memory is its own. The two take turns,
pass by pass, so that whatever else the machine does falls on both; times are medians. A padded batch is how
transformers takes many clips; as padding costs it dearly on a CPU, it may also take them one by one.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sonant.layers.packed import Packed
from sonant.models import WaveformTransformer, WavLMConfig, build, wavlm

RATE = 16_000
SHAPES = {
    "base": WavLMConfig(),
    "large": wavlm.LARGE,
    "tiny": WavLMConfig(conv_channels=(32,) * 7, dim=64, num_layers=2, num_heads=4, feed_forward_dim=128),
}
CASES = {
    "10s": (10.0,),
    "60s": (60.0,),
    "batch": (15.0, 2.0, 8.5, 11.2, 3.1, 6.4, 13.7, 4.9, 9.3, 2.6, 12.1, 7.2, 5.5, 14.3, 10.6, 3.8),
}
TITLES = {"10s": "one clip of 10 s", "60s": "one clip of 60 s", "batch": "16 clips of 2 to 15 s"}
SYSTEMS = {"sonant": "sonant", "padded": "transformers", "one by one": "transformers, one by one"}
MEBI = 2**20


# In the process of one system


def clips_of(case: str) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(round(seconds * RATE), generator=generator) for seconds in CASES[case]]


def runner(system: str, shape: str) -> Callable[[list[Tensor]], list[Tensor]]:
    """A function that embeds clips: the output of the model for each, (frames, dim)."""
    torch.manual_seed(0)
    backbone = build(SHAPES[shape]).eval()
    if system == "sonant":
        return lambda clips: embed(backbone, clips)

    from benchmarks.peers import twin  # here, so that only the peer's process pays for transformers

    peer = twin(backbone)

    def one_by_one(clips: list[Tensor]) -> list[Tensor]:
        return [peer(clip[None]).last_hidden_state[0] for clip in clips]

    def padded(clips: list[Tensor]) -> list[Tensor]:
        values, lengths = Packed.pack(clips).to_padded()
        # The group norm models are run without a mask, as their authors ask; the result is cut to length in any case.
        needs_mask = SHAPES[shape].extractor_norm == "layer"
        mask = (torch.arange(values.shape[1]) < lengths[:, None]).long() if needs_mask else None
        output = peer(values, attention_mask=mask).last_hidden_state
        return [row[: (int(length) - 80) // 320] for row, length in zip(output, lengths, strict=True)]

    return one_by_one if system == "one by one" else padded


def embed(backbone: WaveformTransformer, clips: list[Tensor]) -> list[Tensor]:
    """The last layer of each clip, (frames, dim)."""
    encoded = backbone(Packed.pack(clips), layers=["last"])
    return Packed(encoded.last, encoded.lengths).unpack()


def memory() -> dict[str, int]:
    """Bytes that this process holds now and held at most."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return {
        name: int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) * 1024
        for name, field in (("now", "VmRSS"), ("peak", "VmHWM"))
    }


@torch.inference_mode()
def serve(system: str, shape: str, case: str, result: Path) -> None:
    """Run a pass for every line on the standard input, and answer with its seconds; the first line only warms up."""
    run, clips = runner(system, shape), clips_of(case)
    run([clip[:RATE] for clip in clips[:1]])
    answer({"idle": memory()["now"]})
    for _ in sys.stdin:
        start = time.perf_counter()
        outputs = run(clips)
        answer({"seconds": time.perf_counter() - start, "peak": memory()["peak"]})
        if not result.exists():
            np.savez(result, *(output.numpy() for output in outputs))


def answer(values: dict[str, float]) -> None:
    print(json.dumps(values), flush=True)


# In the process that compares


@dataclass
class Measured:
    """What one system did in one case; bytes and seconds."""

    shape: str
    case: str
    system: str
    seconds: list[float] = field(default_factory=list)
    idle_memory: int = 0
    peak_memory: int = 0
    error: float = 0.0  # the largest relative error of a clip against transformers, one clip at a time

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def real_time_factor(self) -> float:
        return self.median / sum(CASES[self.case])


class Worker:
    """A process that runs one system in one case."""

    def __init__(self, stack: ExitStack, measured: Measured, folder: Path, threads: int) -> None:
        self.measured = measured
        self.result = folder / f"{measured.shape}-{measured.case}-{measured.system.replace(' ', '-')}.npz"
        self.result.unlink(missing_ok=True)
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed", "--worker"]
        command += [measured.system, measured.shape, measured.case, str(self.result)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error"}
        self.process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
                cwd=Path(__file__).parent.parent,
            )
        )
        stack.callback(self.process.stdin.close)

    def wait_until_ready(self) -> None:
        self.measured.idle_memory = int(self._read()["idle"])

    def run_once(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        values = self._read()
        self.measured.seconds.append(values["seconds"])
        self.measured.peak_memory = int(values["peak"])
        return values["seconds"]

    def outputs(self) -> list[np.ndarray]:
        with np.load(self.result) as arrays:
            return list(arrays.values())

    def _read(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.measured} ended; see its message above")
        return json.loads(line)


def compare(shape: str, case: str, folder: Path, *, threads: int, seconds: float, passes: int) -> list[Measured]:
    """All systems in one case, taking turns: up to `passes` times, as many as fit into `seconds`, at least once."""
    systems = [system for system in SYSTEMS if system != "one by one" or len(CASES[case]) > 1]
    with ExitStack() as stack:
        workers = []
        for system in systems:  # one after another: the making of one must not slow the making of the next
            workers.append(Worker(stack, Measured(shape, case, system), folder, threads))
            workers[-1].wait_until_ready()
        start, longest = time.perf_counter(), 0.0
        for turn in range(passes):
            longest = max(longest, sum(worker.run_once() for worker in workers[:: 1 if turn % 2 == 0 else -1]))
            if time.perf_counter() - start + longest > seconds:
                break
        for worker in workers:
            worker.process.stdin.close()
            worker.process.wait()
    expected = workers[-1].outputs()
    for worker in workers:
        worker.measured.error = max(
            float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
            for ours, theirs in zip(worker.outputs(), expected, strict=True)
        )
    return [worker.measured for worker in workers]


def table(measured: Sequence[Measured]) -> str:
    lines = [
        "| shape | input | system | time | passes | × real time | to sonant's | peak memory | above idle | differs |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    medians = {(one.shape, one.case, one.system): one.median for one in measured}
    for one in measured:
        ratio = one.median / medians[one.shape, one.case, "sonant"]
        cells = (
            f"WavLM {one.shape.title()}",
            TITLES[one.case],
            SYSTEMS[one.system],
            f"{one.median:.2f} s",
            len(one.seconds),
            f"{1 / one.real_time_factor:.1f}",
            f"{ratio:.2f}",
            f"{one.peak_memory / MEBI:,.0f} MiB",
            f"{(one.peak_memory - one.idle_memory) / MEBI:,.0f} MiB",
            f"{one.error:.0e}" if one.error < 1e-3 else f"{100 * one.error:.0f} %",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def machine(threads: int) -> dict[str, Any]:
    import transformers  # here, as the process that measures sonant must not load it

    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "processor": model[1] if model else platform.processor(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["base", "large"])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=30, help="for the passes of one case, all systems together")
    parser.add_argument("--passes", type=int, default=7, help="of each system in one case, at most")
    parser.add_argument("--out", type=Path, default=Path("runs/speed.json"))
    parser.add_argument("--worker", nargs=4, metavar=("SYSTEM", "SHAPE", "CASE", "RESULT"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        system, shape, case, result = given.worker
        serve(system, shape, case, Path(result))
        return

    measured: list[Measured] = []
    about = machine(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes:
            for case in given.cases:
                measured += compare(
                    shape, case, Path(folder), threads=given.threads, seconds=given.seconds, passes=given.passes
                )
                print(f"{shape}, {TITLES[case]}: done", file=sys.stderr, flush=True)
    print(", ".join(f"{name} {value}" for name, value in about.items()) + "\n\n" + table(measured))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(one), "real_time_factor": one.real_time_factor} for one in measured]
    given.out.write_text(json.dumps({"machine": about, "measured": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
