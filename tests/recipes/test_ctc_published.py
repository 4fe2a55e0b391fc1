"""Published runs of recognition by CTC."""

import pytest

from sonant.errors import ConfigurationError, UnknownName
from sonant.models import Wav2VecConfig, WavLMConfig
from sonant.recipes import TASKS, task_recipe
from sonant.training.tasks import DropoutRates


@pytest.mark.parametrize("name", TASKS)
def test_a_run_has_the_name_of_its_recipe(name: str) -> None:
    assert task_recipe(name).name == name


def test_an_update_of_fairseqs_runs_is_1600_seconds() -> None:
    for name in (name for name in TASKS if name.startswith(("ctc_base", "ctc_large", "ctc_hubert"))):
        run = task_recipe(name)
        seconds = run.batching.batch_seconds * run.training.grad_accumulation
        assert seconds == (1920 if name == "ctc_large_960h" else 1600)


def test_the_rate_of_hubert_decays_as_far_as_fairseq_gets() -> None:
    training = task_recipe("ctc_hubert_10h").training
    assert training.schedule.scale(8_000, training.steps) == pytest.approx(1.0)
    assert training.schedule.scale(25_000, training.steps) == pytest.approx(0.05 ** (17_000 / 72_000))


def test_rates_of_dropout_replace_those_of_the_model() -> None:
    config = DropoutRates(layerdrop=0.3).of(WavLMConfig(dropout=0.2))
    assert (config.layerdrop, config.dropout) == (0.3, 0.2)
    with pytest.raises(ConfigurationError, match="a Wav2Vec does not have"):
        DropoutRates(layerdrop=0.1).of(Wav2VecConfig())
    with pytest.raises(ConfigurationError, match="expected a rate"):
        DropoutRates(dropout=1.0)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UnknownName, match="ctc_base_10m"):
        task_recipe("ctc_base_10m")
