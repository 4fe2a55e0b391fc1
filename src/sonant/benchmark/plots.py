"""Plots of results: speed ratios, memory and cost; needs matplotlib, from the extra `plot`."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sonant.benchmark import report
from sonant.benchmark.cases import CASES
from sonant.benchmark.plan import known_title
from sonant.benchmark.results import Results, Speed
from sonant.benchmark.systems import SYSTEMS
from sonant.errors import MissingExtra

COLORS = {
    "sonant": "#0072b2",
    "plain": "#56b4e9",
    "transformers": "#d55e00",
    "padded": "#e69f00",
    "openvino": "#009e73",
    "onnxruntime": "#000000",
    "unilm": "#cc79a7",
    "torchaudio": "#999999",
}  # Okabe and Ito, safe for color blindness
MARKS = {"float32": "o", "bfloat16": "s", "int8": "D", "float16": "^"}
TIMES = (0.5, 1, 2, 3, 4, 6, 8, 10, 15, 20, 30)
LINES = {"float32": "-", "bfloat16": "--", "int8": ":", "float16": "-."}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw all plots for which there are results."""
    pictures: dict[str, tuple[bool, Callable[[Results, Any], None]]] = {
        "ratios": (bool(results.speed), _ratios),
        "lengths": (len(_lengths(results.speed)) > 1, _cost_of_length),
        "memory": (bool(results.memory), _memory),
        "batches": (bool(results.corpus), _cost_of_batches),
        "sizes": (len({row.model for row in results.speed}) > 1, _cost_of_size),
    }
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, (wanted, picture) in pictures.items():
        if wanted:
            figure, axes = _figure()
            picture(results, axes)
            axes.grid(visible=True, alpha=0.25)
            axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
            drawn.append(folder / f"{name}.png")
            figure.savefig(drawn[-1], dpi=130, bbox_inches="tight")
    return drawn


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", extra="plot", purpose="Drawing the results") from None
    figure = Figure(figsize=(7, 4))
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _ratios(results: Results, axes: Any) -> None:
    """Draw speed ratios: a row for each case and model, a marker for each system."""
    groups = [(model, case) for case in report.cases(results) for model in report.models(results)]
    groups = [group for group in groups if results.measured(*group)][::-1]
    for name in SYSTEMS:
        rows = [(place, results.find(*group, name)) for place, group in enumerate(groups)]
        points = [(times, place) for place, row in rows if row and (times := report.ratio(results, row))]
        if points:
            mark = MARKS[SYSTEMS[name].precision]
            axes.plot(*zip(*points, strict=True), mark, color=_color(name), label=SYSTEMS[name].title)
    labels = [f"{known_title(model)}, {CASES[case].title}" for model, case in groups]
    axes.set_yticks(range(len(groups)), labels, fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(TIMES, [f"{times:g}" for times in TIMES])
    axes.set_xlabel("times as fast as the reference")
    axes.figure.set_figheight(max(3.0, 1.0 + 0.28 * len(groups)))


def _cost_of_length(results: Results, axes: Any) -> None:
    """Draw seconds of computing per second of audio against the length of one clip."""
    model = max(report.models(results), key=lambda name: len(_lengths(_of(results, name))))
    for name, rows in _by_system(_of(results, model)).items():
        points = sorted((row.audio_seconds, (row.seconds or 0) / row.audio_seconds) for row in rows)
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, **_line(name))
    _logarithmic(axes, "length of the clip, seconds", "seconds of computing a second of audio")
    axes.set_title(known_title(model), fontsize=9)


def _memory(results: Results, axes: Any) -> None:
    for model, system in dict.fromkeys((point.model, point.system) for point in results.memory):
        points = [
            (point.clip_seconds, point.memory / 2**30)
            for point in results.memory
            if (point.model, point.system) == (model, system) and point.memory
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, **_line(system))
    _logarithmic(axes, "length of the clip, seconds", "peak memory beside the weights, GiB")


def _cost_of_batches(results: Results, axes: Any) -> None:
    for one in results.corpus:
        by_hand = [(row.clips, 1 / row.speed) for row in one.rows if row.clips]
        label = f"{known_title(one.model)}, {one.precision}"
        (line,) = axes.plot(*zip(*by_hand, strict=True), marker="o", markersize=3, label=f"{label}, by hand")
        for row in one.rows:
            if not row.clips:
                axes.axhline(1 / row.speed, color=line.get_color(), linestyle="--", label=f"{label}, the engine")
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("clips a batch")
    axes.set_ylabel("seconds of computing a second of audio")


def _cost_of_size(results: Results, axes: Any) -> None:
    """Draw every model on one clip of 10 s, or on the shortest common case."""
    case = "10s" if "10s" in report.cases(results) else report.cases(results)[0]
    rows = [row for row in results.speed if row.case == case and row.seconds]
    for name, found in _by_system(rows).items():
        if SYSTEMS[name].code in ("sonant", "transformers", "openvino"):
            points = sorted((row.gflop / row.audio_seconds, (row.seconds or 0) / row.audio_seconds) for row in found)
            mark = MARKS[SYSTEMS[name].precision]
            axes.plot(*zip(*points, strict=True), mark, color=_color(name), label=SYSTEMS[name].title)
    sizes: dict[float, list[str]] = {}
    for row in rows:
        titles = sizes.setdefault(round(row.gflop / row.audio_seconds, 1), [])
        titles += [known_title(row.model)] if known_title(row.model) not in titles else []
    for size, titles in sizes.items():
        axes.axvline(size, color="black", linewidth=0.4, alpha=0.4)
        axes.annotate(
            ", ".join(titles),
            (size, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-5, 0),
            textcoords="offset points",
            rotation=90,
            fontsize=6,
            ha="right",
        )
    _logarithmic(axes, f"GFLOP a second of audio ({CASES[case].title})", "seconds of computing a second of audio")


def _lengths(rows: Iterable[Speed]) -> set[str]:
    return {row.case for row in rows if len(CASES[row.case].seconds) == 1 and row.seconds}


def _of(results: Results, model: str) -> list[Speed]:
    """Return the measurements of one model on single clips."""
    return [row for row in results.speed if row.model == model and len(CASES[row.case].seconds) == 1 and row.seconds]


def _by_system(rows: Iterable[Speed]) -> dict[str, list[Speed]]:
    found: dict[str, list[Speed]] = {}
    for row in rows:
        found.setdefault(row.system, []).append(row)
    return found


def _color(name: str) -> str:
    return COLORS.get(SYSTEMS[name].code, "black")


def _line(name: str) -> dict[str, Any]:
    return {"color": _color(name), "linestyle": LINES[SYSTEMS[name].precision], "label": SYSTEMS[name].title}


def _logarithmic(axes: Any, x: str, y: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
