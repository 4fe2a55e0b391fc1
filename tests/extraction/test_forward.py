"""Clips that want different things share a pass, and each gets its own."""

import numpy as np

from sonant.extraction.forward import Clip, Forward
from sonant.extraction.request import Layer

RATE = 16_000
WANTED: list[tuple[Layer, ...]] = [(0,), (3, "last"), ("last", 1, 1), (2,)]


def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    seconds = (1.0, 0.4, 0.7, 0.025)
    return [
        Clip(rng.standard_normal(round(length * RATE), dtype=np.float32), layers)
        for length, layers in zip(seconds, WANTED, strict=True)
    ]


def test_a_clip_gets_the_layers_that_it_asked_for_whatever_the_others_want(tiny_wavlm) -> None:
    together = list(Forward(tiny_wavlm)(clips()))
    for clip, states in zip(clips(), together, strict=True):
        (alone,) = Forward(tiny_wavlm)([clip])
        assert states.shape == alone.shape == (len(clip.layers), (len(clip.samples) - 400) // 320 + 1, 32)
        assert (states - alone).norm() <= 1e-5 * alone.norm()


def test_they_share_one_pass_which_goes_no_higher_than_any_of_them_needs(Averager) -> None:
    passes = []

    class Asked(Averager):
        def forward(self, speech, *, layers=None, statistics=None):
            passes.append(layers)
            return super().forward(speech, layers=layers, statistics=statistics)

    waveforms = [clip.samples for clip in clips()]
    forward = Forward(Asked())
    list(forward([Clip(waveforms[0], (0,)), Clip(waveforms[1], (1, 0))]))
    assert passes == [{0, 1}]


def test_passes_hold_no_more_than_the_budget(Averager) -> None:
    backbone = Averager()
    list(Forward(backbone, batch_seconds=1.2)([Clip(clip.samples, (0,)) for clip in clips()]))
    assert [sum(sizes) for sizes in backbone.passes] == [round(1.0 * RATE), round(1.125 * RATE)]
