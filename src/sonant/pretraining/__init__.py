"""Objectives that need no labels, and the targets they predict."""

from sonant.pretraining.batches import Batching, SpeechBatch, SpeechBatches
from sonant.pretraining.future_contrast import FutureContrast, FutureContrastConfig
from sonant.pretraining.kmeans import KMeans, fit_kmeans
from sonant.pretraining.masked_contrast import MaskedContrast, MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPrediction, MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokens, MaskedTokensConfig, TokenBatch, TokenBatches, make_codes
from sonant.pretraining.spectrum_regression import SpectrumRegression
from sonant.pretraining.targets import LayerTargets, MFCCTargets, Targets, make_targets

__all__ = [
    "Batching",
    "FutureContrast",
    "FutureContrastConfig",
    "KMeans",
    "LayerTargets",
    "MFCCTargets",
    "MaskedContrast",
    "MaskedContrastConfig",
    "MaskedPrediction",
    "MaskedPredictionConfig",
    "MaskedTokens",
    "MaskedTokensConfig",
    "SpectrumRegression",
    "SpeechBatch",
    "SpeechBatches",
    "Targets",
    "TokenBatch",
    "TokenBatches",
    "fit_kmeans",
    "make_codes",
    "make_targets",
]
