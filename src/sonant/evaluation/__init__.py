"""Numbers that say how good a result is. Arrays in, small named results out; no model is known here."""

from sonant.evaluation.verification import DetectionCurve, detection_curve, eer, min_dcf, speaker_bootstrap

__all__ = ["DetectionCurve", "detection_curve", "eer", "min_dcf", "speaker_bootstrap"]
