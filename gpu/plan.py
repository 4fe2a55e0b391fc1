"""The rows in the order in which they are measured: required tests first, dispensable rows last."""

from collections.abc import Iterator

import breakdown
import compiling
import encoding
import kernels
import machine
import states
import tilings
from row import Row

import training

TRIAL_SECONDS = 240.0  # of a row; Triton's interpreter takes its time


def rows_for(*, trial: bool) -> list[Row]:
    """Return all rows; in a trial each may take long."""
    rows = [row._replace(seconds=max(row.seconds, TRIAL_SECONDS)) if trial else row for row in _rows()]
    assert len({row.name for row in rows}) == len(rows)
    return rows


def _rows() -> Iterator[Row]:
    yield Row("machine", "Machine", 15, machine.versions)
    yield Row("compile", "Compilation", 60, compiling.compile_all)
    yield Row("serves", "What serves", 40, machine.what_serves)
    yield Row("limits", "Limits of the machine", 15, machine.limits)
    yield from kernels.rows()
    yield from states.rows()
    yield from encoding.rows()
    yield from training.rows()
    yield from breakdown.rows()
    yield from encoding.single_rows()
    yield from encoding.long_rows()
    yield from training.shipped_rows()
    yield from tilings.rows()
    yield from states.deviation_rows()
    yield from states.family_rows()
    yield from (kernels.attention_row(*kind) for kind in kernels.WIDE_HEADS)
    yield from breakdown.last_rows()
    yield from training.last_rows()
    yield from encoding.family_rows()
