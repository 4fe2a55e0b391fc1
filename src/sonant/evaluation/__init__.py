"""Evaluation metrics: speaker verification, calibration of its scores, diarization.

Functions of arrays, independent of models.
"""

from sonant.evaluation.calibration import LikelihoodRatio, calibrate_voices, likelihood_ratio
from sonant.evaluation.diarization import DiarizationError, diarization_error
from sonant.evaluation.verification import DetectionCurve, detection_curve, eer, min_dcf, speaker_bootstrap

__all__ = [
    "DetectionCurve",
    "DiarizationError",
    "LikelihoodRatio",
    "calibrate_voices",
    "detection_curve",
    "diarization_error",
    "eer",
    "likelihood_ratio",
    "min_dcf",
    "speaker_bootstrap",
]
