"""Analysis of the layers of a model: linear probes, tables and plots."""

from sonant.analysis.layer_report import Curve, Estimate, Measure, layer_table, plot_layers
from sonant.analysis.probes import (
    LinearProbe,
    ProbeResult,
    Split,
    Standardizer,
    bootstrap_interval,
    chosen_layer,
    cosine_scores,
    fit_probe,
    linear_probe,
    probe_layers,
)

__all__ = [
    "Curve",
    "Estimate",
    "LinearProbe",
    "Measure",
    "ProbeResult",
    "Split",
    "Standardizer",
    "bootstrap_interval",
    "chosen_layer",
    "cosine_scores",
    "fit_probe",
    "layer_table",
    "linear_probe",
    "plot_layers",
    "probe_layers",
]
