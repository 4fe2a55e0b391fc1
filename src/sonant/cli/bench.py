"""`sonant bench`: the speed of the models on this machine, beside other implementations."""

import sys
from pathlib import Path
from typing import Literal

from sonant.errors import ConfigurationError


def bench(
    *,
    models: list[str] | None = None,
    cases: list[str] | None = None,
    systems: list[str] | None = None,
    precision: list[str] | None = None,
    plan: Literal["quick", "full", "precision"] = "quick",
    minutes: float | None = None,
    threads: int | None = None,
    weights: Literal["random", "published"] = "random",
    unilm: Path | None = None,
    memory_gib: float | None = None,
    out: Path = Path("sonant-bench"),
    resume: bool = False,
    json: bool = False,
) -> int:
    """Measure how fast the models run here, beside other implementations and beside what the machine can do at most.

    Every system has a process of its own, and they take turns, pass by pass. Next to the time stand the peak of memory,
    the share of the machine's measured limit, and how far the states are from the reference's. Implementations that are
    not installed are named, and left out. Nothing is downloaded unless --weights published is given.

    The results go into OUT as bench.json, bench.md and pictures; bench.json is written after every case.

    Args:
        models (NAMES): of the catalog, with commas between, or tiny for a trial, or paths of checkpoints; with
            :outliers behind a name, a few channels of the weights are 10 to 30 times as large as the others. Without
            it: those of the plan.
        cases (NAMES): {cases}. Without it: those of the plan.
        systems (NAMES): {systems}. Without it: all that are installed.
        precision (NAMES): float32, bfloat16, int8, with commas between. Without it: all three.
        plan: quick: WavLM Base and Large; full: every family and case, the memory of clips up to 20 minutes, and a
            corpus; precision: every precision, with plain weights and with outliers, beside the peers that have lower
            ones.
        minutes: for all of it; what does not fit is left out, and named. Without it: 10 of the quick plan, 40 of the
            full one, 25 of the one of precisions.
        threads: for each system. Without it: all cores.
        weights: random ones of the published shapes, or the published ones, from the hub.
        unilm (FOLDER): with WavLM.py and modules.py of microsoft/unilm, to be measured too.
        memory_gib (GIB): that one process may take. Without it: most of what is free.
        out (-o OUT): folder for the results.
        resume: keep what OUT already holds, and measure the rest.
        json: print the results as JSON, not as tables.

    Examples:
        sonant bench
        sonant bench --models wavlm-large --cases 10s,batch --precision bfloat16,int8 --threads 1
        sonant bench --plan full --out results --resume
        sonant bench --plan precision
    """
    from sonant.benchmark import plan as plans
    from sonant.benchmark import results
    from sonant.benchmark.plots import draw
    from sonant.benchmark.report import report
    from sonant.benchmark.run import BenchmarkRequest, default_threads
    from sonant.benchmark.run import bench as measure
    from sonant.benchmark.systems import CODES, chosen
    from sonant.errors import MissingExtra

    for option, value in (("--minutes", minutes), ("--threads", threads), ("--memory-gib", memory_gib)):
        if value is not None and not 0 < value < float("inf"):
            raise ConfigurationError(f"{option} {value:g} was given; it must be more than 0, such as 10.")
    rows = plans.rows(models, cases, name=plan)
    taking = chosen(systems or CODES, plans.precisions(precision or plans.ON_CPU))
    request = BenchmarkRequest(
        rows=rows,
        systems=tuple(taking),
        threads=threads or default_threads(),
        minutes=minutes or plans.MINUTES[plan],
        published=weights == "published",
        unilm=unilm,
        memory_gib=memory_gib,
    )
    found = measure(request, out, resume=resume, say=_say)
    text = report(found)
    (out / "bench.md").write_text(f"# sonant bench\n\n{text}", encoding="utf-8")
    try:
        draw(found, out)
    except MissingExtra as missing:
        print(f"sonant: no pictures: {missing}", file=sys.stderr)
    print((out / results.FILE).read_text(encoding="utf-8") if json else text, end="")
    return 0


bench.__doc__ = (bench.__doc__ or "").replace(
    "{cases}", "1s, 10s, 30s, 60s, 120s (one clip), batch (16 clips of 2 to 15 s), corpus, memory, profile"
).replace("{systems}", "sonant, plain (sonant, not optimized), transformers, padded (transformers), openvino, "
          "ctranslate2, onnxruntime, unilm, torchaudio")  # fmt: skip


def _say(text: str) -> None:
    """Print a line for each step, and messages from inside a step on a terminal only."""
    if not text.startswith(" ") or sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)
