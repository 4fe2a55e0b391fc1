"""Quality of discrete units against phones, as HuBERT's authors define it.

With p(y, z) the share of frames of phone y and unit z,

    phone purity    sum over z of max over y of p(y, z)      accuracy of the phone that is most frequent in each unit
    cluster purity  sum over y of max over z of p(y, z)      accuracy of the unit that is most frequent in each phone
    PNMI            I(y; z) / H(y)                           share of the uncertainty of the phone that the unit removes

Purity grows with the number of units, so that only equal numbers are compared; cluster purity falls.

Source: Hsu et al., "HuBERT", arXiv 2106.07447, section V.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonant.errors import MeasurementError

Floats = npt.NDArray[np.float64]


class UnitQuality(NamedTuple):
    """Phone purity, cluster purity and PNMI: arrays (...,) of one shape."""

    phone_purity: Floats
    cluster_purity: Floats
    pnmi: Floats


def joint_counts(phones: npt.NDArray[np.integer], units: npt.NDArray[np.integer], shape: tuple[int, int]) -> Floats:
    """Count the frames of each phone and unit, numbered from 0: (phones, units)."""
    if phones.shape != units.shape or not len(phones):
        raise MeasurementError(f"{len(phones)} phones and {len(units)} units were given; expected one each a frame.")
    return np.bincount(phones * shape[1] + units, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def unit_quality(counts: Floats) -> UnitQuality:
    """Compute the measures of counts (..., phones, units)."""
    joint = counts / counts.sum((-2, -1), keepdims=True)
    of_phone, of_unit = joint.sum(-1, keepdims=True), joint.sum(-2, keepdims=True)
    entropy = -_times_log(of_phone, of_phone).sum((-2, -1))
    independent = of_phone * of_unit
    information = _times_log(joint, np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0))
    known = information.sum((-2, -1))
    return UnitQuality(
        joint.max(-2).sum(-1),
        joint.max(-1).sum(-1),
        np.divide(known, entropy, out=np.zeros_like(known), where=entropy > 0),
    )


def _times_log(share: Floats, ratio: Floats) -> Floats:
    """Return share * log(ratio), 0 where the share is 0."""
    return share * np.log(ratio, out=np.zeros_like(ratio), where=share > 0)
