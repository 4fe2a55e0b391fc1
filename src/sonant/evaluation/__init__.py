"""Evaluation metrics: speaker verification and diarization. Functions of arrays, independent of models."""

from sonant.evaluation.diarization import DiarizationError, diarization_error
from sonant.evaluation.verification import DetectionCurve, detection_curve, eer, min_dcf, speaker_bootstrap

__all__ = [
    "DetectionCurve",
    "DiarizationError",
    "detection_curve",
    "diarization_error",
    "eer",
    "min_dcf",
    "speaker_bootstrap",
]
