"""Evaluation metrics: linear probes, speaker verification, calibration of its scores, diarization, edit distance.

Functions of arrays, independent of models.
"""

from sonant.evaluation.calibration import LikelihoodRatio, calibrate_voices, likelihood_ratio
from sonant.evaluation.diarization import DiarizationError, diarization_error
from sonant.evaluation.edits import edit_distance
from sonant.evaluation.probes import (
    LinearProbe,
    ProbeResult,
    Split,
    bootstrap_interval,
    chosen_layer,
    cross_validate,
    fit_probe,
    folds_of,
    linear_probe,
    probe_layers,
)
from sonant.evaluation.vectors import Standardizer, cosine_scores, speaker_eer, speaker_pairs
from sonant.evaluation.verification import DetectionCurve, detection_curve, eer, min_dcf, speaker_bootstrap

__all__ = [
    "DetectionCurve",
    "DiarizationError",
    "LikelihoodRatio",
    "LinearProbe",
    "ProbeResult",
    "Split",
    "Standardizer",
    "bootstrap_interval",
    "calibrate_voices",
    "chosen_layer",
    "cosine_scores",
    "cross_validate",
    "detection_curve",
    "diarization_error",
    "edit_distance",
    "eer",
    "fit_probe",
    "folds_of",
    "likelihood_ratio",
    "linear_probe",
    "min_dcf",
    "probe_layers",
    "speaker_bootstrap",
    "speaker_eer",
    "speaker_pairs",
]
