"""SUPERB: light heads over frozen models on many tasks, trained, measured and put beside published results."""

from sonant.superb.report import SuperbRow
from sonant.superb.run import SuperbEvaluation, carry_out_superb, evaluate_superb
from sonant.superb.settings import SuperbRun

__all__ = ["SuperbEvaluation", "SuperbRow", "SuperbRun", "carry_out_superb", "evaluate_superb"]
