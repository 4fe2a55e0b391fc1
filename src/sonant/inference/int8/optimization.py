"""Int8 models, as far as their hidden states stay near those in float32."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sonant.errors import ModelWarning, some_of, warn
from sonant.inference.cpu.arithmetic import Arithmetic, int8_arithmetic
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.cpu_copy import optimize_for_cpu
from sonant.inference.int8.calibration import Calibration, calibrate, harm
from sonant.inference.int8.check import FRAME_COSINE, near
from sonant.models import Backbone

PROBE_SHARE = 0.5  # of the allowed distance: other recordings may be less accurate than the probe


class IntegerForm(NamedTuple):
    """A model with blocks in integers, the names of those blocks, and of those that had to stay in floats."""

    optimized: Backbone
    integers: list[str]
    floats: list[str]


def optimize_in_int8(backbone: Backbone, arithmetic: Arithmetic | None = None) -> Backbone:
    """`optimize` for a CPU, in int8 where accurate; a `ModelWarning` names the other blocks.

    Args:
        arithmetic: of the products that are not int8; None: the fastest on this machine.
    """
    arithmetic = int8_arithmetic() if arithmetic is None else arithmetic
    form = integer_form(backbone, arithmetic)
    if form.floats:
        warn(
            f"precision='int8': {len(form.floats)} of {len(form.floats) + len(form.integers)} blocks run in "
            f"{arithmetic.linear!r}: {some_of(form.floats, 3)}. With them in integers of eight bits too, "
            f"frames of a recording may fall below a cosine of {FRAME_COSINE} with their own in float32, as a trial "
            "showed. The states are right, the model is a little slower.",
            ModelWarning,
        )
    return form.optimized


def integer_form(backbone: Backbone, arithmetic: Arithmetic) -> IntegerForm:
    """Compute as many blocks of the `int8_groups` of a model in int8 as keep its states near float32.

    Inputs are smoothed by the ranges measured on a fixed probe. On the same probe, states are compared with those in
    float32; blocks go back to floats, the one with the largest error first, until all states are near.
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
