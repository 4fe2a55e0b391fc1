"""The labels of a teacher whose frames are a little narrower, as those of a WavLM beside pairs of mel energies."""

import pytest

from sonant.errors import ConfigurationError
from sonant.models import BackboneConfig, W2vBERT2Config, WavLMConfig
from sonant.pretraining import LayerTargets, MaskedPredictionConfig
from sonant.pretraining.objectives import setup_of

ON_MEL, ON_WAVEFORMS = W2vBERT2Config(), WavLMConfig()
OBJECTIVE = MaskedPredictionConfig(targets=LayerTargets(layer=9))


def num_frames(config: BackboneConfig, samples: int) -> int:
    return (samples - config.receptive_field) // config.stride + 1


def test_a_narrower_teacher_has_a_label_for_every_frame() -> None:
    setup_of(OBJECTIVE).check(OBJECTIVE, "layer9", ON_WAVEFORMS, ON_MEL)
    spare = {num_frames(ON_WAVEFORMS, samples) - num_frames(ON_MEL, samples) for samples in range(560, 2000)}
    assert spare == {0, 1}


def test_a_wider_teacher_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="receptive_field: there 560, here 400"):
        setup_of(OBJECTIVE).check(OBJECTIVE, "layer9", ON_MEL, ON_WAVEFORMS)
