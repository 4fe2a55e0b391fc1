"""What cannot be compiled is refused; see also tests/pretraining/test_masked_prediction.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from sonant.errors import ConfigurationError
from sonant.training import train
from tests.training.points import SHORT, Regression, points


def test_a_model_without_a_transformer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="compile=False"):
        train(Regression(), points, replace(SHORT, compile=True), tmp_path)
