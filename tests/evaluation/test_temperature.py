"""Temperatures: the likelihood is highest there, and probabilities are as often right as they say."""

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation.temperature import cross_fitted, expected_calibration_error, fit_temperature, softmax


def drawn(temperature: float, number: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn by their softmax at a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (number, 4))
    labels = [int(rng.choice(4, p=each)) for each in softmax(logits / temperature)]
    return logits, np.array(labels)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_the_labels_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(temperature, rel=0.06)

    def likelihood(at: float) -> float:
        return float(np.log(softmax(logits / at)[np.arange(len(labels)), labels]).mean())

    assert likelihood(found) >= max(likelihood(0.98 * found), likelihood(1.02 * found))
    before = expected_calibration_error(softmax(logits), labels)
    after = expected_calibration_error(cross_fitted(logits, labels), labels)
    assert after < 0.03
    assert temperature == 1 or before > 3 * after


def test_labels_that_are_all_right_do_not_make_certainty() -> None:
    logits = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    found = fit_temperature(logits, [0, 1, 2, 0, 1, 2])
    assert softmax(logits / found).max() == pytest.approx(1 - 1 / 8, abs=1e-6)


def test_the_calibration_error_of_a_known_case() -> None:
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]
    assert expected_calibration_error(probabilities, [0, 1, 1, 1]) == pytest.approx((0.4 + 0.4) / 2)


def test_outputs_and_labels_belong_together() -> None:
    for outputs, labels in ((np.zeros((2, 3)), [0]), (np.zeros((2, 3)), [0, 3]), (np.zeros((2, 3)), np.zeros((2, 3)))):
        with pytest.raises(MeasurementError):
            fit_temperature(outputs, labels)
