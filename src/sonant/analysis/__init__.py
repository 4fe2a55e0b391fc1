"""Analysis of the layers of a model: measures by layer, their tables, plots and page."""

from sonant.analysis.layer_report import Curve, Estimate, Measure, layer_table, plot_layers
from sonant.analysis.results import (
    Analysis,
    AnalyzedClip,
    DataSummary,
    LayerCurve,
    ModelAnalysis,
    Projection,
    TaskWeights,
)

__all__ = [
    "Analysis",
    "AnalyzedClip",
    "Curve",
    "DataSummary",
    "Estimate",
    "LayerCurve",
    "Measure",
    "ModelAnalysis",
    "Projection",
    "TaskWeights",
    "layer_table",
    "plot_layers",
]
