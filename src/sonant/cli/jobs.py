"""The output of bulk commands: an estimate, a summary, and unusable recordings."""

import sys
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonant.cli.json_output import print_json

if TYPE_CHECKING:
    from sonant.extraction.destination import OutputFormats
    from sonant.extraction.summary import Summary, WorkEstimate


def run_job(
    formats: "OutputFormats[Any]",
    load: "Callable[[], Callable[..., Summary]]",
    source: str,
    output: Path | None,
    *,
    json: bool,
    **how: Any,
) -> int:
    """Check the output, run a bulk job, print a summary, and return the exit code.

    Args:
        formats: of the results.
        load: loads a model, and returns its method that writes the results; called once the output was checked.
        source, output: of the job; without an output, or for "-", the results are printed, and no summary.
        json: print the summary as JSON.
        how: further arguments of the method.
    """
    from sonant.errors import ConfigurationError

    path, what = formats.place(output, how.get("format"), source).path, formats.what
    if path is None:
        if json:
            raise ConfigurationError(f"--json prints a summary where the {what} would go: name an output with -o.")
        progress = False if sys.stdout.isatty() else None  # a bar would mix with the results
        return 1 if load()(source, None, on_failure=_complain, progress=progress, **how).failed else 0
    summary = load()(source, path, on_start=partial(_announce, what), **how)
    if json:
        _print_json(summary)
    else:
        _print(summary, what)
    return 1 if summary.failed else 0


def _complain(name: str, error: Exception) -> None:
    from sonant.extraction.names import complaint

    print(complaint(name, error), file=sys.stderr)


def _announce(what: str, estimate: "WorkEstimate") -> None:
    """Print an estimate of the run on stderr."""
    kept = f", {estimate.kept} done before" if estimate.kept else ""
    changed = f", {estimate.changed} changed since" if estimate.changed else ""
    gone = f", {estimate.gone} gone since" if estimate.gone else ""
    unreadable = f", {estimate.unreadable} cannot be read" if estimate.unreadable else ""
    print(
        f"{recordings_text(estimate.recordings)}, {time_text(estimate.seconds)} of audio, about "
        f"{_size(estimate.num_bytes)} of {what}{kept}{changed}{gone}{unreadable}",
        file=sys.stderr,
    )


def _print(summary: "Summary", what: str) -> None:
    speed = f" ({summary.seconds / summary.wall_seconds:.0f} x real time)" if summary.computed else ""
    kept = f", {summary.kept} kept from before" if summary.kept else ""
    changed = f", {summary.changed} had changed" if summary.changed else ""
    gone = f", {summary.gone} gone and dropped" if summary.gone else ""
    print(
        f"{recordings_text(summary.computed)} turned into {what}, {time_text(summary.seconds)} of audio in "
        f"{time_text(summary.wall_seconds)}{speed}{kept}{changed}{gone}"
    )
    print(f"{summary.output}  {_size(summary.num_bytes)}")
    if summary.errors is not None:
        print(f"{summary.failed} could not be used: {summary.errors}", file=sys.stderr)
        _print_failures(summary.errors)


def _print_failures(errors: Path, *, most: int = 3) -> None:
    """Print the errors of the first recordings in a file of errors."""
    from json import loads

    from sonant.extraction.names import complaint

    with errors.open(encoding="utf-8") as lines:
        for line in islice(lines, most):
            failure = loads(line)
            print("  " + complaint(failure["path"], failure["message"]), file=sys.stderr)
        if next(lines, None):
            print("  ...", file=sys.stderr)


def _print_json(summary: "Summary") -> None:
    from dataclasses import asdict

    print_json(asdict(summary), default=str)


def recordings_text(number: int) -> str:
    """Return a number of recordings as text."""
    return "1 recording" if number == 1 else f"{number} recordings"


def time_text(seconds: float) -> str:
    """Return a time in s, min or h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"


def _size(num_bytes: int) -> str:
    size, unit = float(num_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}" if size < 100 else f"{size:.0f} {unit}"
