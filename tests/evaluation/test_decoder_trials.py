"""Values of trials fill their ranges evenly, and more of them go on where fewer ended."""

from pathlib import Path

import pytest

from sonant.evaluation.decoder_trials import RANGES, Trial, best_trial, plot_trials, trial_values


def test_values_fill_their_ranges_and_go_on_where_fewer_ended() -> None:
    names = ["lm_weight", "word_score"]
    values = trial_values(names, 64, seed=0)
    assert trial_values(names, 5, seed=0) == values[:5] != trial_values(names, 5, seed=1)
    for name in names:
        low, high = RANGES[name]
        quarters = [int(4 * (each[name] - low) / (high - low)) for each in values]
        assert [quarters.count(quarter) for quarter in range(4)] == [16] * 4


def test_the_best_trial_has_the_fewest_errors_and_then_the_smallest_values() -> None:
    trials = [Trial({"lm_weight": 3.0}, 5, 10), Trial({"lm_weight": 1.0}, 4, 10), Trial({"lm_weight": 0.5}, 4, 10)]
    assert best_trial(trials) == trials[2]
    assert best_trial(trials).wer == 0.4


@pytest.mark.slow
def test_a_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    trials = [Trial(values, 10 + number, 100) for number, values in enumerate(trial_values([*RANGES][:3], 8, seed=0))]
    plot_trials(trials, Trial({}, 30, 100), tmp_path / "wer.png")
    assert (tmp_path / "wer.png").stat().st_size > 1000
