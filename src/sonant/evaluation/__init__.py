"""Evaluation metrics of recognition, probes, speakers, diarization, separation, and detection of spoken terms.

Functions of arrays, independent of models.
"""

from sonant.evaluation.bleu import bleu
from sonant.evaluation.bootstrap import PairedComparison, bootstrap_interval, compare_paired
from sonant.evaluation.calibration import LikelihoodRatio, calibrate_voices, likelihood_ratio
from sonant.evaluation.chrf import chrf
from sonant.evaluation.diarization import DiarizationError, diarization_error, jaccard_errors
from sonant.evaluation.diarization_scores import score_diarization
from sonant.evaluation.edits import AlignedPair, align, edit_distance
from sonant.evaluation.error_rates import ErrorCounts, align_texts, error_counts, error_rate
from sonant.evaluation.label_scores import average_precision, score_labels
from sonant.evaluation.phone_features import FeatureErrors, phone_feature_errors
from sonant.evaluation.probes import (
    LinearProbe,
    ProbeResult,
    Split,
    chosen_layer,
    cross_validate,
    fit_probe,
    folds_of,
    linear_probe,
    probe_layers,
)
from sonant.evaluation.regression import score_numbers
from sonant.evaluation.score_normalization import as_norm, speaker_means
from sonant.evaluation.separation import SourceScores, sdr, separation_scores, si_sdr, si_sdr_improvement
from sonant.evaluation.slots import SlotCounts, slot_counts, slot_type_f1, slot_value_cer
from sonant.evaluation.speech_quality import pesq, stoi
from sonant.evaluation.term_detection import max_term_weighted_value, normalized_scores
from sonant.evaluation.trial_scores import cross_calibrated, score_trials
from sonant.evaluation.vectors import Standardizer, cosine_scores, speaker_eer, speaker_pairs
from sonant.evaluation.verification import DetectionCurve, cllr, detection_curve, eer, min_dcf, speaker_bootstrap

__all__ = [
    "AlignedPair",
    "DetectionCurve",
    "DiarizationError",
    "ErrorCounts",
    "FeatureErrors",
    "LikelihoodRatio",
    "LinearProbe",
    "PairedComparison",
    "ProbeResult",
    "SlotCounts",
    "SourceScores",
    "Split",
    "Standardizer",
    "align",
    "align_texts",
    "as_norm",
    "average_precision",
    "bleu",
    "bootstrap_interval",
    "calibrate_voices",
    "chosen_layer",
    "chrf",
    "cllr",
    "compare_paired",
    "cosine_scores",
    "cross_calibrated",
    "cross_validate",
    "detection_curve",
    "diarization_error",
    "edit_distance",
    "eer",
    "error_counts",
    "error_rate",
    "fit_probe",
    "folds_of",
    "jaccard_errors",
    "likelihood_ratio",
    "linear_probe",
    "max_term_weighted_value",
    "min_dcf",
    "normalized_scores",
    "pesq",
    "phone_feature_errors",
    "probe_layers",
    "score_diarization",
    "score_labels",
    "score_numbers",
    "score_trials",
    "sdr",
    "separation_scores",
    "si_sdr",
    "si_sdr_improvement",
    "slot_counts",
    "slot_type_f1",
    "slot_value_cer",
    "speaker_bootstrap",
    "speaker_eer",
    "speaker_means",
    "speaker_pairs",
    "stoi",
]
