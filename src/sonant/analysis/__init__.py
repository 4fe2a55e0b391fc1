"""Analysis of the layers of a model: tables and plots of measures by layer."""

from sonant.analysis.layer_report import Curve, Estimate, Measure, layer_table, plot_layers

__all__ = ["Curve", "Estimate", "Measure", "layer_table", "plot_layers"]
