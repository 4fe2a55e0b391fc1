"""Heads over packed states: shapes, and that a clip's answer does not depend on its batch mates."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sonant.errors import CheckpointMismatch, ConfigurationError, TooShortAudio
from sonant.layers.lstm import PackedLSTM
from sonant.layers.packed import Packed
from sonant.tasks import (
    CTCHead,
    ECAPAHead,
    FrameClassificationHead,
    LayerMix,
    SequenceClassificationHead,
    SpeechClassificationHead,
    XVectorHead,
)
from sonant.tasks.xvector import TimeDelayLayer

DIM, STATES = 8, 3


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def layer(name: str, outputs: int, inputs: int) -> dict[str, Tensor]:
    return {f"{name}weight": some(outputs, inputs), f"{name}bias": some(outputs)}


MIX = {"layer_weights": some(STATES)}
XVECTOR = (
    MIX
    | layer("projector.", 6, DIM)
    | layer("time_delay.0.", 6, 18)
    | layer("time_delay.1.", 10, 12)
    | layer("embedding.", 7, 20)
)
NETWORKS = {
    **(layer("gender.dense.", 6, DIM) | layer("gender.output.", 3, 6)),
    **(layer("age.dense.", 5, DIM) | layer("age.output.", 1, 5)),
}
MAKERS: dict[str, Callable[[], Any]] = {
    "frames": lambda: FrameClassificationHead.from_tensors(MIX | layer("classifier.", 2, DIM)),
    "frames, recurrent": lambda: recurrent(
        lambda lstm: FrameClassificationHead(nn.Linear(6, 2), LayerMix(MIX["layer_weights"]), lstm)
    ),
    "ctc": lambda: CTCHead.from_tensors(MIX | layer("", 4, DIM)),
    "ctc, recurrent": lambda: recurrent(lambda lstm: CTCHead(nn.Linear(6, 4), LayerMix(MIX["layer_weights"]), lstm)),
    "sequence": lambda: SequenceClassificationHead.from_tensors(
        MIX | layer("projector.", 5, DIM) | layer("classifier.", 4, 5)
    ),
    "speech": lambda: SpeechClassificationHead.from_tensors(NETWORKS, {"pooling_mode": "max"}),
    "xvector": lambda: XVectorHead.from_tensors(XVECTOR, {"tdnn_kernel": [3, 2], "tdnn_dilation": [2, 1]}),
}


def recurrent(make: Callable[[PackedLSTM], Any]) -> Any:
    """A head with random weights over an LSTM, made again from its own tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        head = make(PackedLSTM(DIM, 3, num_layers=2))
    return type(head).from_tensors(head.tensors())


def ecapa() -> ECAPAHead:
    """A head with random weights and running statistics, made again from its own tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = ECAPAHead(DIM, 16, 12, 7, LayerMix.from_tensors(MIX))
        head(Packed.pack([some(30, STATES, DIM), some(20, STATES, DIM)]))
    return ECAPAHead.from_tensors(head.tensors(), head.settings)


def lstm_frames() -> FrameClassificationHead:
    """A head with an LSTM of two layers in both directions, made again from its own tensors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lstm = PackedLSTM(DIM, 5, num_layers=2)
        head = FrameClassificationHead(nn.Linear(10, 3), LayerMix.from_tensors(MIX), lstm)
    again = FrameClassificationHead.from_tensors(head.tensors())
    states = Packed.pack([some(9, STATES, DIM)])
    assert torch.equal(again(states).values, head(states).values)
    return again


MAKERS |= {"ecapa": ecapa, "lstm_frames": lstm_frames}


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(7, 20), min_size=1, max_size=4))
def test_batch_mates_change_nothing(kind: str, sizes: list[int]) -> None:
    head = MAKERS[kind]().eval()
    states = head.mix.num_states
    clips = [some(size, states, DIM, seed=number) for number, size in enumerate(sizes)]
    with torch.no_grad():
        together = head(Packed.pack(clips))
        for clip, found in zip(clips, together, strict=True):
            alone = next(iter(head(Packed.pack([clip]))))
            torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_ctc_reads_the_last_state() -> None:
    head = CTCHead.from_tensors(layer("", 5, DIM))
    states = Packed.pack([some(4, 1, DIM)])
    torch.testing.assert_close(head(states).values, states.values[:, 0] @ some(5, DIM).T + some(5))
    with pytest.raises(ConfigurationError, match=r"\(4, 3, 8\).*mixes 1"):
        head(Packed.pack([some(4, STATES, DIM)]))


def test_the_mix_is_that_of_the_softmax() -> None:
    states = Packed.pack([some(4, STATES, DIM)])
    even = LayerMix(torch.zeros(STATES))(states).values
    torch.testing.assert_close(even, states.values.mean(1))
    weights = some(STATES).softmax(0)
    expected = sum(weight * states.values[:, i] for i, weight in enumerate(weights))
    torch.testing.assert_close(LayerMix(some(STATES))(states).values, expected)


def test_time_delay_is_taps_one_behind_another() -> None:
    weight, bias, frames = some(4, 3 * DIM), some(4), some(12, DIM)
    delayed = TimeDelayLayer(weight, bias, kernel=3, dilation=2)
    assert delayed.context == 4
    expected = torch.stack(
        [(weight @ torch.cat([frames[at], frames[at + 2], frames[at + 4]]) + bias).relu() for at in range(8)]
    )
    torch.testing.assert_close(delayed(frames), expected)
    with pytest.raises(ConfigurationError, match="no multiple of its 5 taps"):
        TimeDelayLayer(weight, bias, kernel=5, dilation=1)


def test_what_is_too_short_for_statistics() -> None:
    head = MAKERS["xvector"]()
    assert isinstance(head, XVectorHead)
    assert (head.context, head.min_frames, head.dim) == (5, 7, 7)
    assert torch.isfinite(head(Packed.pack([some(7, STATES, DIM)]))).all()
    with pytest.raises(TooShortAudio, match=r"\[20, 6\] frames were given; the vector of a speaker needs 7"):
        head(Packed.pack([some(20, STATES, DIM), some(6, STATES, DIM)]))


def test_ecapa_pads_nothing_and_is_that_of_a_padded_batch_without_its_padding() -> None:
    """In a zero-padded batch by torch's layers, with masks, a clip has the same embedding."""
    head, clips = ecapa().eval(), [some(9, STATES, DIM), some(21, STATES, DIM)]
    with torch.no_grad():
        found = head(Packed.pack(clips))
        for clip, vector in zip(clips, found, strict=True):
            frames = head.mix(Packed.pack([clip])).values
            frames = (frames - frames.mean(0)) / frames.std(0, correction=0)
            channels = frames.T[None]  # (1, dim, frames)

            def layer(each: Any, values: Tensor) -> Tensor:
                padded = nn.functional.pad(values, (each.reach, each.reach))
                convolved = each.conv(padded)
                shown: Tensor = nn.functional.batch_norm(
                    convolved.relu(), each.norm.running_mean, each.norm.running_var, each.norm.weight, each.norm.bias
                )
                return shown

            behind, outputs = layer(head.first, channels), []
            for block in head.blocks:
                first, *parts = layer(block.before, behind).chunk(8, 1)
                made = [first, layer(block.parts[0], parts[0])]
                for each, part in zip(block.parts[1:], parts[1:], strict=True):
                    made.append(layer(each, part + made[-1]))
                out = layer(block.behind, torch.cat(made, 1))
                gate = block.excite(block.squeeze(out.mean(2)).relu()).sigmoid()[..., None]
                outputs.append(behind + out * gate)
                behind = behind + outputs[-1]
            joined = head.join(torch.cat(outputs, 1)[0].T).relu()  # (frames, pooled)
            mean, deviation = joined.mean(0), joined.var(0, correction=0).clamp(min=1e-6).sqrt()
            context = torch.cat([joined, mean.expand_as(joined), deviation.expand_as(joined)], 1)
            weights = head.weigh(head.attend_norm(head.attend(context).relu()).tanh()).softmax(0)
            mean = (weights * joined).sum(0)
            deviation = (weights * (joined - mean).square()).sum(0).clamp(min=1e-6).sqrt()
            expected = head.embedding(head.norm(torch.cat([mean, deviation])[None]))[0]
            torch.testing.assert_close(vector, expected, atol=1e-4, rtol=1e-4)


def test_ecapa_trains_on_a_single_clip_and_refuses_foreign_tensors() -> None:
    head = ecapa().train()
    head(Packed.pack([some(9, STATES, DIM)])).sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    with pytest.raises(CheckpointMismatch, match="other tensors than its settings"):
        ECAPAHead.from_tensors({"ecapa.first.conv.weight": some(2, 2, 5)}, head.settings)


def test_nothing_is_pooled_of_no_frames() -> None:
    head = SpeechClassificationHead.from_tensors(NETWORKS, {})
    with pytest.raises(TooShortAudio, match=r"\[4, 0\] frames"):
        head(Packed.pack([some(4, 1, DIM), some(0, 1, DIM)]))


def test_networks_stand_in_the_order_of_their_names() -> None:
    head = SpeechClassificationHead.from_tensors(NETWORKS, {})
    (pooled,) = some(4, 1, DIM).mean(0)
    hidden = (some(5, DIM) @ pooled + some(5)).tanh()
    outputs = head(Packed.pack([some(4, 1, DIM)]))
    assert outputs.shape == (1, 4)
    torch.testing.assert_close(outputs[0, :1], some(1, 5) @ hidden + some(1))
    assert head.tensors().keys() == NETWORKS.keys()


def test_a_network_put_in_place_of_another_runs_and_is_not_lost_in_silence() -> None:
    head = SpeechClassificationHead.from_tensors(NETWORKS, {})
    head.networks["age"] = nn.Linear(DIM, 2)
    assert head(Packed.pack([some(4, 1, DIM)])).shape == (1, 5)
    with pytest.raises(ConfigurationError, match="'age' of the head was replaced by a Linear"):
        head.tensors()
