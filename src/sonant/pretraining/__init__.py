"""Self-supervised objectives, their targets and their batches."""

from sonant.pretraining.batches import Batching, SpeechBatch, SpeechBatches
from sonant.pretraining.cpc import CPC, CPCConfig
from sonant.pretraining.file_targets import FileTargets
from sonant.pretraining.kmeans import KMeans, fit_kmeans
from sonant.pretraining.masked_contrast import MaskedContrast, MaskedContrastConfig
from sonant.pretraining.masked_prediction import MaskedPrediction, MaskedPredictionConfig
from sonant.pretraining.masked_tokens import MaskedTokens, MaskedTokensConfig, TokenBatch, TokenBatches, make_codes
from sonant.pretraining.random_projection_targets import RandomProjectionTargets
from sonant.pretraining.self_distillation import SelfDistillation, SelfDistillationConfig
from sonant.pretraining.spectrum_regression import SpectrumRegression
from sonant.pretraining.targets import LayerTargets, MFCCTargets, ResidualLayerTargets, Targets, make_targets
from sonant.pretraining.utterance_contrast import UtteranceContrastConfig
from sonant.pretraining.w2v_bert import W2vBERTObjective, W2vBERTObjectiveConfig

__all__ = [
    "CPC",
    "Batching",
    "CPCConfig",
    "FileTargets",
    "KMeans",
    "LayerTargets",
    "MFCCTargets",
    "MaskedContrast",
    "MaskedContrastConfig",
    "MaskedPrediction",
    "MaskedPredictionConfig",
    "MaskedTokens",
    "MaskedTokensConfig",
    "RandomProjectionTargets",
    "ResidualLayerTargets",
    "SelfDistillation",
    "SelfDistillationConfig",
    "SpectrumRegression",
    "SpeechBatch",
    "SpeechBatches",
    "Targets",
    "TokenBatch",
    "TokenBatches",
    "UtteranceContrastConfig",
    "W2vBERTObjective",
    "W2vBERTObjectiveConfig",
    "fit_kmeans",
    "make_codes",
    "make_targets",
]
