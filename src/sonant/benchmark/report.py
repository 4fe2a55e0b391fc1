"""Results as Markdown tables: speeds, deviations from the reference, shares of the machine limits."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from sonant.benchmark.cases import CASES
from sonant.benchmark.machine import Machine, MachineLimits
from sonant.benchmark.plan import known_title
from sonant.benchmark.results import CorpusResult, MemoryPoint, Profiled, Results, Speed
from sonant.benchmark.systems import REFERENCES, SYSTEMS

MEBI = 2**20
NONE = "–"
Columns = dict[str, Callable[[Speed], str]]


def report(results: Results) -> str:
    """Return all tables, and a list of what was not measured."""
    sections: list[tuple[str, str]] = [("Machine and limits", machine(results))]
    sections += [(CASES[case].title.capitalize(), speed(results, case)) for case in cases(results)]
    sections += [("A folder of short files", corpus(results.corpus))] if results.corpus else []
    sections += [("Peak memory beside the weights", memory(results.memory))] if results.memory else []
    sections += [("What the time goes into", profiles(results.profiles))] if results.profiles else []
    sections += [("Not measured", not_measured(results))] if not_measured(results) else []
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections) + "\n"


def cases(results: Results) -> list[str]:
    """Return the names of the measured cases, in the order of `CASES`."""
    found = {row.case for row in results.speed}
    return [case for case in CASES if case in found]


def models(results: Results) -> list[str]:
    return list(dict.fromkeys(row.model for row in results.speed))


def machine(results: Results) -> str:
    """Describe the machine and its measured limits."""
    lines = []
    if results.machine is not None:
        lines += _machine(results.machine)
        lines.append(f"- weights: {results.settings.get('weights', '')}, as every system has them")
    if results.limits is not None:
        lines += ["", _limits(results.limits)]
    return "\n".join(lines)


def _machine(machine: Machine) -> list[str]:
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    cores = f"{machine.cores} cores ({machine.extensions}), {machine.threads} threads used"
    return [
        f"- {machine.processor}, {cores}; {machine.caches}; {machine.memory_gib:g} GiB; GPU: {machine.gpu}",
        f"- {machine.system}; Python {machine.python}; {packages}; BLAS: {machine.blas}",
        f"- load before the run: {machine.load:g}",
    ]


def _limits(limits: MachineLimits) -> str:
    rows = [[kind, f"{rate:,.0f} GFLOP/s", limits.paths[kind]] for kind, rate in limits.gflops.items()]
    rows.append(["memory", f"{limits.bandwidth:.0f} GB/s", "adding two arrays into a third"])
    return table(["limit", "measured", "by"], rows)


def speed(results: Results, case: str) -> str:
    """Return the table of one case, model by model."""
    columns: Columns = {
        "system": lambda row: SYSTEMS[row.system].title,
        "time": lambda row: _seconds(row.seconds),
        "passes": lambda row: str(len(row.wall)),
        "× real time": lambda row: f"{row.audio_seconds / row.seconds:.1f}" if row.seconds else NONE,
        "× reference": lambda row: _ratio(ratio(results, row)),
        "core seconds": lambda row: _seconds(row.cpu_seconds),
        "GFLOP/s": lambda row: f"{row.gflop / row.seconds:,.0f}" if row.seconds else NONE,
        "of the limit": lambda row: _percent(row.fraction_of_limit),
        "memory": lambda row: f"{row.memory / MEBI:,.0f} MiB" if row.wall else NONE,
        "worst error": _error,
        "lowest cosine": lambda row: _cosine(None if row.deviation is None else row.deviation.cosine),
    }
    if any(row.deviation and row.deviation.standardized is not None for row in results.speed):
        columns["standardized"] = lambda row: _cosine(None if row.deviation is None else row.deviation.standardized)
    rows = [
        [known_title(row.model), *(cell(row) for cell in columns.values()), row.stopped or row.note]
        for model in models(results)
        for row in results.speed
        if (row.model, row.case) == (model, case)
    ]
    remarks = any(row[-1] for row in rows)
    heads = ["model", *columns, *(["remark"] if remarks else [])]
    return table(heads, rows if remarks else [row[:-1] for row in rows])


def ratio(results: Results, row: Speed) -> float | None:
    """Return the time of the reference over that of this system in the same case and run; None if unknown."""
    reference = next((found for name in REFERENCES if (found := results.find(row.model, row.case, name))), None)
    if reference is None or reference.seconds is None or row.seconds is None:
        return None
    return reference.seconds / row.seconds


def corpus(found: Iterable[CorpusResult]) -> str:
    """Return the table of the engine against batches by hand."""
    rows = []
    for one in found:
        by_hand = [row for row in one.rows if row.clips]
        best = max(by_hand, key=lambda row: row.speed)
        for row in one.rows:
            way = "the engine, with decoding" if not row.clips else f"by hand, {row.clips} a batch"
            share = f"{row.speed / best.speed:.0%}"
            rows.append([known_title(one.model), one.precision, way, f"{row.speed:.1f}", share])
    return table(["model", "precision", "way", "× real time", "of the best by hand"], rows)


def memory(points: Sequence[MemoryPoint]) -> str:
    """Return the table of peak memory: a line for each system, a column for each length."""
    lengths = sorted({point.clip_seconds for point in points})
    rows = []
    for model, system in dict.fromkeys((point.model, point.system) for point in points):
        of = {point.clip_seconds: point for point in points if (point.model, point.system) == (model, system)}
        cells = [_memory_cell(of.get(length)) for length in lengths]
        rows.append([known_title(model), SYSTEMS[system].title, *cells])
    return table(["model", "system", *(_length(length) for length in lengths)], rows)


def _memory_cell(point: MemoryPoint | None) -> str:
    if point is None:
        return NONE
    return point.stopped if point.memory is None and point.stopped else f"{(point.memory or 0) / MEBI:,.0f} MiB"


def profiles(found: Iterable[Profiled]) -> str:
    """Return a table for each profile, with its largest operators."""
    tables = []
    for one in found:
        rows = [[f"`{name}`", str(calls), f"{share:.1%}"] for name, calls, share in one.profile.operators]
        rows.append(["outside of torch's operators: own kernels, Python", "", f"{one.profile.outside:.1%}"])
        title = f"{known_title(one.model)}, {SYSTEMS[one.system].title}: {_seconds(one.profile.seconds)}"
        tables.append(f"{title}\n\n{table(['operator', 'calls', 'share'], rows)}")
    return "\n\n".join(tables)


def not_measured(results: Results) -> str:
    """List unavailable systems, and steps left out for lack of time."""
    lines = [f"- {SYSTEMS[name].title}: {why}" for name, why in results.missing.items()]
    return "\n".join([*lines, *(f"- {line}" for line in results.left_out)])


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; columns of numbers are right-aligned."""
    rows = [list(row) for row in rows]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(heads))]
    lines = [heads, ["--:" if numbers else "---" for numbers in right], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary(results: Results) -> dict[str, dict[str, float]]:
    """Return the median `ratio` over the cases, by model and system."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in results.speed:
        times = ratio(results, row)
        if times is not None:
            found.setdefault(row.model, {}).setdefault(row.system, []).append(times)
    return {model: {name: median(values) for name, values in of.items()} for model, of in found.items()}


def _is_number(cell: str) -> bool:
    return cell in (NONE, "") or cell[0].isdigit() or cell[0] == "<"


def _seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.2f} s" if value < 100 else f"{value:.0f} s"


def _length(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def _error(row: Speed) -> str:
    if row.deviation is None:
        return "reference" if row.system in REFERENCES and row.wall else NONE
    error = row.deviation.error
    return f"{error:.0e}" if error < 1e-3 else f"{100 * error:.1f} %"


def _cosine(value: float | None) -> str:
    """Format a cosine with enough digits to show its distance from 1."""
    if value is None:
        return NONE
    return "> 0.999999" if value > 0.999999 else f"{value:.6f}"
