"""Operations that objectives add, counted from their settings, are those that torch counts during a loss."""

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sonant.layers.masking import SpanMasking
from sonant.models.families import family_of
from sonant.pretraining.flops import masked_share
from sonant.pretraining.masked_contrast import MaskedContrastConfig
from sonant.pretraining.masked_tokens import MaskedTokensConfig
from sonant.pretraining.objectives import setup_of
from sonant.pretraining.w2v_bert import W2vBERTObjectiveConfig
from tests.pretraining.cases import CASES, SAMPLES, batch_of, objective_of


@pytest.mark.parametrize("case", CASES)
def test_operations_of_a_loss_are_those_that_torch_counts(case: str):
    settings, config = CASES[case]
    backbone, objective = objective_of(case)
    batch = batch_of(case, backbone)
    flops = family_of(config).shape.flops(config, SAMPLES)
    expected = flops.context
    if not isinstance(settings, MaskedTokensConfig):
        expected = flops.total + flops.context * setup_of(settings).has_teacher
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter, torch.no_grad():
        objective.eval()(batch)
    masked = int(batch.mask.sum())
    added = setup_of(settings).flops(settings, config, len(batch.mask), masked)
    drawn = 0  # out of training the codes are looked up, not mixed by a product
    if isinstance(settings, MaskedContrastConfig | W2vBERTObjectiveConfig):
        drawn = 2 * masked * settings.codebook_size * settings.quantized_dim
    assert counter.get_total_flops() == expected + added - drawn


@pytest.mark.parametrize("fraction", [0.4, 0.65, 0.8])
def test_the_share_of_masked_frames_is_what_is_drawn(fraction: float):
    masking = SpanMasking(fraction=fraction, length=10)
    drawn = np.mean([masking.draw(700, np.random.default_rng(seed)).mean() for seed in range(60)])
    assert masked_share(masking) == pytest.approx(drawn, abs=0.015)
    assert masked_share(None) == 0
