"""Models in integers of eight bits, as far as their states stay near those in float32."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sonant.errors import ModelWarning, warn
from sonant.inference.cpu.arithmetic import Arithmetic, as_asked
from sonant.inference.cpu.optimization import optimize_for_cpu
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.int8.calibration import Calibration, calibrate, harm
from sonant.inference.int8.check import FRAME_COSINE, near
from sonant.models import Backbone

PROBE_SHARE = 0.5  # of the allowed distance: a user's recordings may come out worse than the probe


class IntegerForm(NamedTuple):
    """A model with blocks in integers, the names of those blocks, and of those that had to stay in floats."""

    optimized: Backbone
    integers: list[str]
    floats: list[str]


def optimize_in_int8(backbone: Backbone, arithmetic: Arithmetic | None = None) -> Backbone:
    """`optimize`, for a CPU, in integers of eight bits where they serve; a `ModelWarning` names where they do not.

    Args:
        arithmetic: of what is not in integers; None takes what is fast on this machine.
    """
    arithmetic = as_asked("int8") if arithmetic is None else arithmetic
    form = integer_form(backbone, arithmetic)
    if form.floats:
        more = f" and {len(form.floats) - 3} more" if len(form.floats) > 3 else ""
        warn(
            f"precision='int8': {len(form.floats)} of {len(form.floats) + len(form.integers)} blocks run in "
            f"{arithmetic.linear!r}: {', '.join(form.floats[:3])}{more}. With them in integers of eight bits too, "
            f"frames of a recording may fall below a cosine of {FRAME_COSINE} with their own in float32, as a trial "
            "showed. The states are right, the model is a little slower.",
            ModelWarning,
        )
    return form.optimized


def integer_form(backbone: Backbone, arithmetic: Arithmetic) -> IntegerForm:
    """Put as many blocks of a model's `int8_groups` in integers as leave its states near float32.

    Inputs are smoothed by the ranges that a run on a fixed probe shows. On the same probe the states are compared with
    those in float32; blocks stay in floats, the one that integers change most first, until all states are near.
    """
    calibration = calibrate(backbone)
    peaks = calibration.peaks
    optimized = optimize_for_cpu(backbone, arithmetic, peaks)
    if not peaks or _serves(optimized, calibration):
        return IntegerForm(optimized, list(peaks), [])
    harms = harm(calibration, arithmetic)
    names = sorted(harms, key=harms.__getitem__, reverse=True)
    few, enough = 0, len(names)  # blocks in floats
    while enough - few > 1:
        number = (few + enough) // 2
        if _serves(optimize_for_cpu(backbone, arithmetic, _only(names[number:], peaks)), calibration):
            enough = number
        else:
            few = number
    kept = _only(names[enough:], peaks)
    return IntegerForm(
        optimize_for_cpu(backbone, arithmetic, kept), list(kept), [name for name in peaks if name not in kept]
    )


def _serves(optimized: Backbone, calibration: Calibration) -> bool:
    return near(optimized(calibration.speech), calibration.states, share=PROBE_SHARE)


def _only(names: Collection[str], peaks: Mapping[str, Peaks]) -> dict[str, Peaks]:
    return {name: found for name, found in peaks.items() if name in names}
