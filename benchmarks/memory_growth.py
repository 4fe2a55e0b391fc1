"""The growth of memory over recordings of ever new lengths, with sonant and with transformers.

    python -m benchmarks.memory_growth [--model FOLDER|ID] [--clips 2000] [--every 50] [--precision float32]
                                       [--systems sonant,transformers] [--write PAGE]

Each system encodes the same clips of noise, of random length from 0.5 to 20 s, one after another in a process of its
own with one thread, and notes its resident memory every so many clips. `--write` puts the table between the marks of a
page, and the picture into the folder of the same name beside it (extra `plot`).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import sonant
from benchmarks.page_blocks import write_block
from sonant.benchmark.process_memory import held

BLOCK = "memory growth"  # of a page
SYSTEMS = ("sonant", "transformers")
SECONDS = (0.5, 20.0)
MIB = 2**20


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--precision", default="float32", help="of sonant's products")
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--write", type=Path, help="a page with marks for the table")
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        child(options.child, options)
        return
    names = options.systems.split(",")
    curves = {name: measure(name, options) for name in names}
    lines = table(curves, options)
    print("\n".join(lines))
    if options.write:
        picture = options.write.with_suffix("") / "memory_growth.png"
        draw(curves, picture, title=options.model)
        write_block(options.write, BLOCK, lines)


def measure(name: str, options: argparse.Namespace) -> dict[int, float]:
    """Return MiB by the number of clips encoded, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        sonant.load(options.model, device="cpu").save_pretrained(model)
        command = [sys.executable, "-m", "benchmarks.memory_growth", "--child", name, "--model", str(model)]
        command += ["--clips", str(options.clips), "--every", str(options.every), "--precision", options.precision]
        root = Path(__file__).parent.parent
        made = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True, text=True, env=environment())
    return {int(count): value for count, value in json.loads(made.stdout.splitlines()[-1]).items()}


def environment() -> dict[str, str]:
    """Return this process's environment, with one thread and without variables that size caches or heaps."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ONEDNN_", "LRU_", "MALLOC_"))}
    return kept | {"OMP_NUM_THREADS": "1"}


def child(name: str, options: argparse.Namespace) -> None:
    """Encode the clips; the last line printed is the curve."""
    torch.set_num_threads(1)
    encode = by_sonant(options) if name == "sonant" else by_transformers(options)
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(round(SECONDS[1] * 16_000)).astype(np.float32) * 0.1
    encode(noise[:16_000])
    curve = {0: held() / MIB}
    for count in range(1, options.clips + 1):
        encode(noise[: round(generator.uniform(*SECONDS) * 16_000)])
        if count % options.every == 0:
            curve[count] = held() / MIB
    print(json.dumps(curve))


def by_sonant(options: argparse.Namespace) -> Callable[[np.ndarray], object]:
    encoder = sonant.load(options.model, device="cpu")
    return lambda samples: encoder.encode(samples, precision=options.precision)


def by_transformers(options: argparse.Namespace) -> Callable[[np.ndarray], object]:
    from transformers import AutoModel

    model = AutoModel.from_pretrained(options.model).eval()

    @torch.inference_mode()
    def encode(samples: np.ndarray) -> Tensor:
        state: Tensor = model(torch.from_numpy(samples)[None]).last_hidden_state
        return state

    return encode


def table(curves: dict[str, dict[int, float]], options: argparse.Namespace) -> list[str]:
    """Return a table of resident memory in MiB, with a row for each of some numbers of clips."""
    last = max(map(max, curves.values()))
    wanted = [0, *(round(last * share / options.every) * options.every for share in (0.05, 0.1, 0.25, 0.5, 1))]
    lines = [
        f"`{options.model}`, {last:,} clips of {SECONDS[0]:g} to {SECONDS[1]:g} s, torch {torch.__version__}, MiB:",
        "",
        "| clips | " + " | ".join(curves) + " |",
        "|---:" * (1 + len(curves)) + "|",
    ]
    return lines + [
        f"| {count:,} | " + " | ".join(f"{curve[count]:.0f}" for curve in curves.values()) + " |"
        for count in dict.fromkeys(wanted)
    ]


def draw(curves: dict[str, dict[int, float]], path: Path, *, title: str) -> None:
    """Draw the curves into a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (name, curve), color in zip(curves.items(), ("#0072b2", "#d55e00", "#999999"), strict=False):
        axes.plot(list(curve), list(curve.values()), label=name, color=color)
    axes.set(xlabel="clips, each of another length", ylabel="resident memory, MiB", title=title)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight")


if __name__ == "__main__":
    main()
