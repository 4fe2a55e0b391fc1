"""The law of the house, at the server's door: a user's vectors do not depend on who shared the batch."""

import asyncio
import random
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from sonant import SpeechEncoder
from sonant.layers.packed import Packed
from sonant.models import (
    BackboneConfig,
    HuBERTConfig,
    SEWConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from sonant.server.hosting.devices import ComputeThreads
from sonant.server.hosting.local_model import LocalModel
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue, ServerSettings
from tests.server.hosting.stand import noise
from tests.shapes import TINY

CONVOLUTIONS: dict[str, Any] = {"conv_channels": (8,) * 5, "context_kernels": (2, 3)}
FAMILIES = {
    "WavLM, group norm": WavLMConfig(**TINY),
    "WavLM, layer norm, normalized": WavLMConfig(**TINY, extractor_norm="layer", pre_norm=True, normalize=True),
    "HuBERT, group norm, normalized": HuBERTConfig(**TINY, normalize=True),
    "wav2vec 2.0": Wav2Vec2Config(**TINY),
    "wav2vec": Wav2VecConfig(**CONVOLUTIONS),
    "vq-wav2vec": VQWav2VecConfig(
        **CONVOLUTIONS,
        conv_kernels=(10, 8, 4, 4, 4),
        conv_strides=(5, 4, 2, 2, 2),
        codebook_size=20,
        shared_codebook=False,
    ),
    "wav2vec 2.0 Conformer": Wav2Vec2ConformerConfig(
        conv_channels=(8,) * 7, dim=24, num_layers=2, num_heads=3, feed_forward_dim=32
    ),
    "SEW": SEWConfig(
        conv_channels=(8,) * 13, dim=24, num_layers=2, num_heads=3, feed_forward_dim=32, position_groups=4
    ),
    "w2v-BERT 2.0": W2vBERT2Config(dim=24, num_layers=2, num_heads=3, feed_forward_dim=32),
}
WINDOW_SECONDS = 3.0
QUEUE = Queue(batch_seconds=7.0, window_seconds=WINDOW_SECONDS, seconds=1000.0)
WAYS: list[dict[str, Any]] = [
    {"layer": "all"},
    {"layer": "last"},
    {"layer": [2, "last", 0], "pool": "mean"},
    {"layer": 1, "pool": "mean+std", "normalize": True},
    {"layer": "all", "pool": "max"},
    {"task": "speaker"},
]
LENGTHS = (0.4, 1.3, 3.0, 3.01, 8.0)  # the last two come in windows


@pytest.fixture(scope="module", params=FAMILIES)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[LocalModel, ComputeThreads, list[int]]]:
    """A model, where it computes, and how many clips its passes have held."""
    torch.manual_seed(0)
    config: BackboneConfig = FAMILIES[request.param]
    encoder, threads, passes = SpeechEncoder(build(config).eval(), name=request.param), ComputeThreads(), []
    model = LocalModel("model", encoder, ServerSettings(queue=QUEUE), threads, Metrics())

    def count(_: torch.nn.Module, args: tuple[Packed]) -> None:
        passes.append(len(args[0]))

    for backbone in encoder.optimized():
        backbone.register_forward_pre_hook(count)
    yield model, threads, passes
    threads.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_user_s_vectors_do_not_depend_on_who_shared_the_batch(
    served: tuple[LocalModel, ComputeThreads, list[int]], seed: int
) -> None:
    """Mates at random: their number, lengths, layers, pooling and keys, and the order in which all of them come."""
    model, threads, passes = served
    chance = random.Random(seed)
    asked = [(noise(length) * (0.01 + length), how) for length in LENGTHS for how in chance.sample(WAYS, 2)]

    async def together() -> list[np.ndarray]:
        gate = threading.Event()
        for lane in threads.lanes(torch.device("cpu")):
            lane.thread.submit(gate.wait)  # nobody goes before all have come
        calls = [
            model.encode([clip], model.request(**how), share=chance.choice(["ours", "theirs"])) for clip, how in asked
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        mates = [
            asyncio.create_task(
                model.encode(
                    [noise(chance.uniform(0.03, 5.0)) for _ in range(chance.randint(1, 3))],
                    model.request(**chance.choice(WAYS)),
                    share=chance.choice(["ours", "mates", "others"]),
                )
            )
            for _ in range(8)
        ]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(*mates)
        return [(await task)[0] for task in tasks]

    passes.clear()
    given = asyncio.run(together())
    assert max(passes) > 2
    for (clip, how), vectors in zip(asked, given, strict=True):
        alone = model.encoder.encode(clip, **how, window_seconds=WINDOW_SECONDS, batch_seconds=QUEUE.batch_seconds)
        expected = alone if model.request(**how).stacked else alone[None]
        assert vectors.shape == expected.shape
        assert vectors.dtype == np.float32
        for ours, theirs in zip(vectors, expected, strict=True):
            assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs), how


def test_a_server_a_bulk_job_and_a_single_call_agree(served: tuple[LocalModel, ComputeThreads, list[int]]) -> None:
    model, _, passes = served
    clips = [noise(length) * (0.01 + length) for length in (*LENGTHS, 5.0)]
    request = model.request(layer="all")
    given = asyncio.run(model.encode(clips, request, share="someone"))
    how: dict[str, Any] = {"layer": "all", "window_seconds": WINDOW_SECONDS}
    passes.clear()
    bulk = model.encoder.encode(clips, **how, batch_seconds=30)
    assert len(passes) == 1  # the windows of three recordings and the others
    for clip, *others in zip(clips, given, bulk, strict=True):
        alone = model.encoder.encode(clip, **how, batch_seconds=WINDOW_SECONDS)
        for other in others:
            for ours, theirs in zip(other, alone, strict=True):
                assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)
