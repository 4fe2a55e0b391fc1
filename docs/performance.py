"""Writes performance.md and its pictures from what `sonant bench` measured; a test holds the page current.

    python docs/performance.py [BENCH.JSON [precision]]    # a new measurement becomes docs/performance/cpu.json first

`docs/performance/` holds cpu.json, of `sonant bench --plan full`. It may hold precision.json, of `--plan precision`,
and gpu*.json, of gpu/first_contact.py.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sonant.benchmark import report, results
from sonant.benchmark.cases import CASES
from sonant.benchmark.plan import known_title
from sonant.benchmark.plots import draw
from sonant.benchmark.results import Results, Speed
from sonant.benchmark.systems import SYSTEMS

PAGE = Path(__file__).parent / "performance.md"
FOLDER = Path(__file__).parent / "performance"
CPU, PRECISION = FOLDER / "cpu.json", FOLDER / "precision.json"

INTRODUCTION = """\
# Performance

How fast the models run, measured by `sonant bench`, which repeats all of it on your machine. Numbers of one machine say little about another: look at the ratios, and at the share of the machine's own limit.

What makes the difference:

- **No padding.** A batch is the clips one behind another, so no frame is computed that is not speech, and a clip's result does not depend on the other clips of its batch. A padded batch gives other results besides, as the errors below show: the group norm of the base models takes its statistics over the zeros too.
- **No square of the length in memory.** WavLM's position bias is looked up from its table inside the attention, clip by clip and block by block; nothing of (frames × frames) is ever kept.
- **Matrix products in the layout that the machine likes.** `sonant.inference.optimize` reorders the weights once, folds what can be folded, and fuses what stands between the products. The results are those of the plain modules, to rounding. Only unmodified modules of this package are replaced; the rest of [a model that you changed](embedding.md#a-model-that-you-changed) runs as it is.
- **Few sizes.** oneDNN compiles each product for its number of rows and keeps the code, half a megabyte a time. Rows are therefore computed in pieces of few sizes, so that recordings of ever new lengths neither wait for the compiler nor fill the memory; a padded remainder costs 1.5 % of the products on average. Over 2,000 clips of random length the process of the small WavLM grows from 328 to 562 MiB, and one of transformers from 437 to 1,604 ([the curve](memory.md)).
- **Lower precision where it is safe.** `precision="bfloat16"` multiplies in bfloat16 and adds up, normalizes and takes softmax in float32; `"int8"` takes integers for the feed-forward layers besides.
- **Integers that stay near float32.** A few channels of a trained Transformer are many times as large as the others, and would make every step of eight bits coarse: their range is shared out between inputs and weights first (SmoothQuant), by what a run on a fixed trial recording shows. On the same recording all states are compared with those in float32, frame by frame, as they are and with all channels equally large: the promise is a cosine of 0.995, half of that distance is allowed on the trial recording, and blocks that take more stay in floats and are named by a `ModelWarning`. This takes a few runs on 3 s of audio when a model is first used in int8.
- **Arithmetic chosen by trial.** What a processor says of itself is not believed: each kind of product (linear layers, the extractor's convolutions, the positional one, the conformer's) is tried once a process, in 0.1 to 0.3 s, for a short clip and a longer one, and is computed in bfloat16 only where that takes 10 % less time than float32. So a lesser precision is never the slower one; where most of the work stays in a higher precision, a `ModelWarning` says so. On a Xeon with AVX512-BF16 and without AMX (339 GFLOP/s in float32, 179 in bfloat16, 1,474 in int8) `"bfloat16"` is float32, and `"int8"` takes integers beside float32: by the operations of WavLM Large that is 1.7 times as fast as float32.

A lone clip of a second stays farther from the limit than a longer one. Its 49 frames use each weight 49 times only: on a core of an AMD EPYC with AVX2 a product of 50 rows (1024 to 4096) runs at 69 GFLOP/s and one of 512 rows at 82. The many small operations of 12 layers and their calls take 12 of WavLM Base's 250 to 300 ms, and the search of `encode` for changed weights 7 more. [A server](serving.md) and models from `sonant.inference.optimize` do without that search.

How to read the tables: times are medians over passes in which the systems took turns, each in a process of its own. *× reference* is how many times as fast as transformers in float32, one clip after another (or as sonant's plain modules, for models that transformers lacks). *Of the limit* is the time that the arithmetic would take at the machine's measured limit, over the time that it took; in int8 the limit is that of the mix, feed-forward layers in int8 and the rest in the faster of bfloat16 and float32. *Memory* is the peak above the process that has loaded the model. *Worst error* and *lowest cosine* are of all frames of all hidden states against the reference, the worst state each. Random weights of the true shapes, exaggerated so that attention and positions matter, stand for the published ones where it says so: time and memory do not depend on the values; errors do.
"""  # noqa: E501

INTEGERS = """\
## Values in int8

<!-- figures of sonant/wavlm-tiny sha256:f18226506f8b57c3 -->
What smoothing does, whether a machine multiplies integers fast or not: the lowest cosine of any frame of any state with its own in float32, of recordings of speech; as it is, with every channel over its root mean square (which models are judged by), and with channels standardized. Outliers are channels 10 to 30 times as large, in turn layer by layer, as in trained Transformers. Random weights are harsher than trained ones: their frames hardly differ from their mean, which standardizing takes away.

| model | in integers | as it is | equalized | standardized |
|---|---|---|---|---|
| sonant/wavlm-tiny | plain | 0.9999 | 0.9999 | 0.9999 |
| | smoothed | 0.9999 | 0.9999 | 0.9999 |
| sonant/wavlm-tiny, outliers | plain | 0.9987 | 0.9988 | 0.9985 |
| | smoothed | 0.9999 | 0.9998 | 0.9998 |
| WavLM Base, 4 layers, random weights | plain | 0.9997 | 0.9993 | 0.9980 |
| | smoothed | 0.9998 | 0.9995 | 0.9986 |
| WavLM Base, 4 layers, random weights, outliers | plain | 0.9717 | 0.9665 | 0.9286 |
| | smoothed | 0.9945 | 0.9947 | 0.9866 |

```console
$ python -m benchmarks.int8_values --model sonant/wavlm-tiny sonant/wavlm-tiny:outliers --seconds 4
$ python -m benchmarks.int8_values --model wavlm-base wavlm-base:outliers --layers 4
```

The command has one row more, the model optimized for inference: where the trial recording shows too much of a loss, blocks are in floats there.
"""  # noqa: E501

TRAINING = """\
## Training on a CPU

```console
$ python -m benchmarks.training_step              # a step of WavLM Base and HuBERT Base on 3 x 10 s beside transformers
$ python -m benchmarks.training_step --clips 1 --seconds 30 --dropout
```

Forward and backward, the same weights and input, in turn; the command prints how far the gradients are apart, too.

| 3 × 10 s, float32, two cores | time | × transformers | memory | gradients differ by |
| --- | --: | --: | --: | --: |
| WavLM Base, sonant | 12.6 s | 1.32 | 2,273 MiB | 3e-05 |
| WavLM Base, transformers | 16.3 s | 1.00 | 3,217 MiB | |
| HuBERT Base, sonant | 12.0 s | 1.21 | 2,474 MiB | 7e-06 |
| HuBERT Base, transformers | 13.8 s | 1.00 | 2,888 MiB | |

Medians of three passes on a quiet AMD EPYC with AVX2; the ratio is the median of those of the passes. Another day gave 1.44 and 1.11. WavLM takes 1.03 times the processor time of HuBERT. Four fifths of a step are matrix products, which both systems leave to the same library. At first, one pass on a busy machine gave 0.94 and 0.95 times transformers' speed, and WavLM took 1.18 times as long as HuBERT.

What makes the difference, of which the first needs a C++ compiler:

- Attention keeps nothing of (frames × frames) for the way back: the weights are computed again, block by block, with the gated bias and with dropout. One clip of 10 s and 12 heads take 49 ms forward and backward instead of 117 by torch's operations, without a bias 51 instead of 71, with gate and dropout 49 instead of 116 (one core of an AMD EPYC with AVX2).
- The extractor computes each clip from rows of channels, by matrix products without copies, and its group norm is part of the first convolution.
- The positional convolution of Base passes through Fourier transforms: 0.48 s instead of 1.25 s for 3 × 499 frames.
- A training run, though not the steps of the table, keeps the memory that a step frees, where the C library is glibc: the system would clear 1 GB and more in each step. HuBERT Base on one clip of 8 s took 6.2 s of one core's time instead of 6.6 (medians of two steps on a busy virtual machine), transforms of the positional convolution for 3 × 499 frames 0.23 s instead of 0.47.

`precision="bfloat16"` of a training run is for processors that multiply in bfloat16; on others the run computes in float32, as a step of `sonant/wavlm-tiny` took ten times as long in emulated bfloat16.
"""  # noqa: E501

REPRODUCE = """\
## How to reproduce

```console
$ pip install '.[bench]'          # transformers, OpenVINO, CTranslate2 and matplotlib, to compare and to draw
$ sonant bench                    # about 10 minutes on two cores: WavLM Base and Large
$ sonant bench --plan full        # about 40: every family, long clips, memory, a corpus
$ sonant bench --plan precision   # about 25: float32, bfloat16 and int8, plain weights and outliers, and the peers' own
$ sonant bench --models wavlm-large --cases 10s,batch --precision bfloat16,int8 --threads 1
```

The machine should have nothing else to do, and the table of limits says whether it had. Results are written after every case: `--resume` goes on where a run was stopped; measurements of another machine, of other versions of the packages, other settings or a checkpoint that has changed since are refused, with what differs. CTranslate2 is measured on wav2vec 2.0 with norms before its layers, the only one of these that it knows, and gives the output alone. `--unilm FOLDER` adds the authors' own WavLM, from a folder with their `WavLM.py` and `modules.py`. This page is written by `python docs/performance.py bench.json`.
"""  # noqa: E501


class Aim(NamedTuple):
    """What was aimed at: a system in a case so many times as fast as the reference."""

    system: str
    case: str
    models: tuple[str, ...]
    times: float
    against: str = "transformers"


BASE_AND_LARGE = (
    "wavlm-base", "wavlm-large", "hubert-base-ls960", "hubert-large-ll60k", "wav2vec2-base", "wav2vec2-large-lv60",
)  # fmt: skip
AIMS = (
    Aim("sonant", "10s", BASE_AND_LARGE, 2.2),
    Aim("sonant", "10s", ("w2v-bert-2.0",), 2.4),
    Aim("sonant", "60s", BASE_AND_LARGE, 4.0),
    Aim("sonant", "batch", BASE_AND_LARGE, 6.0, against="padded"),
    Aim("sonant-bfloat16", "10s", ("wavlm-large",), 4.2),
    Aim("sonant-bfloat16", "batch", ("wavlm-large", "wavlm-base"), 10.0, against="padded"),
    Aim("sonant-int8", "10s", ("wavlm-large",), 5.0),
)


def page(measured: Results, gpu: dict[str, object], precisions: Results | None = None) -> str:
    """The whole page."""
    sections = [
        INTRODUCTION,
        f"## Machine and limits\n\n{report.machine(measured)}\n",
        section("Single clips", speeds(measured, ["1s", "10s"]), picture("ratios", "How many times as fast")),
        section("Long clips", speeds(measured, ["30s", "60s", "120s"])),
        section("Batches", speeds(measured, ["batch"]), corpus(measured)),
        section("Reduced precision", reduced(measured)),
        section("Weights with outliers", *([] if precisions is None else outliers(precisions))),
        INTEGERS,
        section("What was aimed at", aims(measured)),
        section("Memory", memory(measured), picture("memory", "Peak memory against the length of the clip")),
        section("How cost grows", *growth(measured)),
        section("What the time goes into", report.profiles(measured.profiles)),
        TRAINING,
        section("On a GPU", *tables_of(gpu)),
        section("What was not measured", report.not_measured(measured)),
        REPRODUCE,
    ]
    return "\n".join(part for part in sections if part)


def section(title: str, *parts: str) -> str:
    """Nothing where there is nothing to say."""
    texts = [part for part in parts if part]
    return "\n\n".join([f"## {title}", *texts]) + "\n" if any(not text.startswith("![") for text in texts) else ""


def speeds(measured: Results, cases: list[str]) -> str:
    there = report.cases(measured)
    return "\n\n".join(
        f"### {CASES[case].title.capitalize()}\n\n{report.speed(measured, case)}" for case in cases if case in there
    )


def corpus(measured: Results) -> str:
    if not measured.corpus:
        return ""
    files, seconds = measured.corpus[0].rows[0].files, measured.corpus[0].rows[0].audio_seconds
    text = (
        f"A folder of {files} files ({seconds / 60:.1f} min) through the engine, which decodes, sorts by length and "
        "packs by a budget of seconds, beside clips that were decoded and sorted before and packed by so many a batch:"
    )
    return f"### A folder of short files\n\n{text}\n\n{report.corpus(measured.corpus)}"


def reduced(measured: Results) -> str:
    """Speed next to what it costs in accuracy, for every system that does not compute in float32."""
    rows = [
        [
            known_title(row.model),
            CASES[row.case].title,
            SYSTEMS[row.system].title,
            times(report.ratio(measured, row)),
            f"{row.deviation.cosine:.5f} (state {row.deviation.cosine_at})",
            f"{row.deviation.pooled:.6f}",
        ]
        for row in measured.speed
        if row.deviation is not None and SYSTEMS[row.system].precision != "float32"
    ]
    heads = ["model", "clips", "system", "× reference", "lowest cosine of a frame", "of a pooled vector"]
    return report.table(heads, rows) if rows else ""


def outliers(precisions: Results) -> Iterator[str]:
    """Precisions beside each other, of plain weights and of those with outliers, in a run of their own."""
    yield (
        "Trained Transformers have a few channels that are far larger than the others. Here three channels are 10 to "
        "30 times as large: of the gains of both norms, of the first linear layer of the feed-forward, or of the "
        "second, in turn layer by layer. *Standardized* is the lowest cosine of a frame whose channels have mean 0 and "
        "deviation 1 in the reference, as a linear probe sees them; in the plain cosine large channels hide what the "
        "others lost."
    )
    yield report.machine(precisions)
    yield speeds(precisions, ["1s", "10s"])
    yield report.not_measured(precisions)


def aims(measured: Results) -> str:
    """Reached or not, and what the machine would allow at its limit."""
    rows = []
    for aim, model in ((one, name) for one in AIMS for name in one.models):
        ours, theirs = (measured.find(model, aim.case, system) for system in (aim.system, aim.against))
        if ours is None or theirs is None or not ours.seconds or not theirs.seconds:
            continue
        reached = theirs.seconds / ours.seconds
        allowed = theirs.seconds / ours.floor_seconds if ours.floor_seconds else None
        rows.append(
            [
                known_title(model),
                CASES[aim.case].title,
                SYSTEMS[aim.system].title,
                SYSTEMS[aim.against].title,
                f"{aim.times:g}",
                f"{reached:.2f}",
                times(allowed),
                "yes" if reached >= aim.times else "no",
            ]
        )
    heads = ["model", "clips", "system", "times as fast as", "aim", "reached", "at the limit", "met"]
    text = (
        "The aims were set on another machine (Zen 5, where torch's float32 products reach less than half of what the "
        "cores can). *At the limit* is what would be reached if every product ran at the rate that the table of limits "
        "gives: an aim beyond it cannot be met here by anyone."
    )
    return f"{text}\n\n{report.table(heads, rows)}" if rows else ""


def memory(measured: Results) -> str:
    if not measured.memory:
        return ""
    layers = measured.memory[0].layers
    text = (
        "Peak memory beside the weights in one pass over one clip, without windows; a system is stopped where it asks "
        f"for more than the process may take. Measured on {layers} of the model's layers: the states of one layer are "
        "let go before the next."
    )
    return f"{text}\n\n{report.memory(measured.memory)}"


def growth(measured: Results) -> Iterator[str]:
    """With length, batch and model."""
    yield picture("lengths", "Cost of a second of audio against the length of the clip")
    rows = sorted(growing(measured), key=lambda row: (row.model, row.system, row.audio_seconds))
    cells = [
        [
            known_title(row.model),
            SYSTEMS[row.system].title,
            f"{row.audio_seconds:g}",
            f"{1000 * (row.seconds or 0) / row.audio_seconds:.1f}",
            f"{row.gflop / row.audio_seconds:.1f}",
        ]
        for row in rows
    ]
    if cells:
        heads = ["model", "system", "clip, s", "ms a second of audio", "GFLOP a second of audio"]
        yield report.table(heads, cells)
    yield picture("batches", "Cost of a second of audio against the clips in a batch")
    yield picture("sizes", "Cost of a second of audio against the size of the model")


def growing(measured: Results) -> Iterator[Speed]:
    """Ours and the reference's, on single clips of models that were measured at several lengths."""
    for model in report.models(measured):
        rows = [row for row in measured.speed if row.model == model and len(CASES[row.case].seconds) == 1]
        if len({row.case for row in rows}) > 2:
            yield from (row for row in rows if SYSTEMS[row.system].code in ("sonant", "transformers") and row.seconds)


def tables_of(gpu: dict[str, object]) -> Iterator[str]:
    """Every list of rows in the reports of the GPU scripts, as a table."""
    for name, found in gpu.items():
        assert isinstance(found, dict)
        yield f"{found.get('device', name)}, torch {found.get('torch', '')}"
        for title, rows in found.items():
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                heads = list(rows[0])
                yield f"### {title}"
                yield report.table(heads, [[cell(row.get(head)) for head in heads] for row in rows])


def cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def times(value: float | None) -> str:
    return report.NONE if value is None else f"{value:.2f}"


def picture(name: str, what: str) -> str:
    return f"![{what}](performance/{name}.png)" if (FOLDER / f"{name}.png").exists() else ""


def written() -> str:
    """The page as it should be."""
    gpu = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("gpu*.json"))}
    return page(results.read(CPU), gpu, results.read(PRECISION) if PRECISION.exists() else None)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    if sys.argv[1:]:
        shutil.copyfile(sys.argv[1], PRECISION if sys.argv[2:] == ["precision"] else CPU)
    draw(results.read(CPU), FOLDER)
    PAGE.write_text(written(), encoding="utf-8")
