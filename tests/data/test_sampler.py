"""The laws of batches: what they hold, that they are filled, and that their order needs nothing but seed and number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.data import SAMPLERS, BatchSampler, BucketSampler, Fill, LengthSampler, PackingSampler
from sonant.errors import ConfigurationError

FRAME = {"stride": 320, "receptive_field": 400}
BUDGET, LONGEST, SHORTEST = 64_000, 32_000, 6_000

lengths = st.lists(st.integers(400, 60_000), max_size=80).map(lambda some: [*some, *[LONGEST] * 3])
fills = st.sampled_from(sorted(SAMPLERS))


def sampler(fill: Fill, lengths: list[int], seed: int = 0) -> BatchSampler:
    return SAMPLERS[fill](lengths, budget=BUDGET, max_length=LONGEST, min_length=SHORTEST, seed=seed, **FRAME)


@given(fill=fills, lengths=lengths, seed=st.integers(0, 1_000), epoch=st.integers(0, 50))
def test_an_epoch_holds_no_recording_twice(fill: Fill, lengths: list[int], seed: int, epoch: int) -> None:
    batches = sampler(fill, lengths, seed).epoch(epoch)
    held = [member for batch in batches for member, _ in batch]
    assert len(held) == len(set(held))
    assert all(length <= min(lengths[member], LONGEST) for batch in batches for member, length in batch)
    assert all(lengths[member] >= SHORTEST for member in held)
    assert batches == sampler(fill, lengths, seed).epoch(epoch)


@given(lengths=lengths, seed=st.integers(0, 1_000))
def test_whole_recordings_are_never_cropped_and_fit_the_budget(lengths: list[int], seed: int) -> None:
    made = LengthSampler(lengths, budget=BUDGET, max_length=LONGEST, min_length=SHORTEST, seed=seed, **FRAME)
    batches = made.epoch(3)
    assert all(0 < sum(length for _, length in batch) <= BUDGET for batch in batches)
    assert all(length == lengths[member] for batch in batches for member, length in batch)
    held = sorted(member for batch in batches for member, _ in batch)
    assert held == [number for number, length in enumerate(lengths) if SHORTEST <= length <= LONGEST]


@given(lengths=lengths, seed=st.integers(0, 1_000))
def test_packed_batches_have_one_number_of_frames(lengths: list[int], seed: int) -> None:
    made = sampler("exact", lengths, seed)
    batches = made.epoch(0)
    assert batches
    for batch in batches:
        frames = [(length - 400) // 320 + 1 for _, length in batch]
        assert sum(frames) == BUDGET // 320
        assert sum(length for _, length in batch) == BUDGET + 80 * len(batch), "no samples that are in no frame"
        assert min(frames) >= min(made.num_frames(SHORTEST), BUDGET // 320 // len(batch))
    left = set(range(len(lengths))) - {member for batch in batches for member, _ in batch}
    spare = sum((min(lengths[each], LONGEST) - 400) // 320 + 1 for each in left if lengths[each] >= SHORTEST)
    assert spare < BUDGET // 320, "what is left does not fill a batch"


def test_where_little_is_left_those_before_give_way() -> None:
    made = PackingSampler([3_000] * 20, budget=16_000, max_length=3_000, min_length=2_000)
    assert all(sorted(length for _, length in batch) == [2_000, 2_000, *[3_000] * 4] for batch in made.epoch(0))
    shared = PackingSampler([1_000] * 20, budget=7_500, max_length=1_000, min_length=1_000)
    assert all(min(length for _, length in batch) >= 7_500 // 8 for batch in shared.epoch(0)), (
        "all too short to give way"
    )


@given(lengths=lengths)
def test_bucketed_batches_hold_every_recording_within_the_budget(lengths: list[int]) -> None:
    batches = sampler("shortest", lengths).epoch(0)
    held = sorted(member for batch in batches for member, _ in batch)
    assert held == [number for number, length in enumerate(lengths) if length >= SHORTEST]
    for batch in batches:
        shortest = min(min(lengths[member], LONGEST) for member, _ in batch)
        assert {length for _, length in batch} == {shortest}
        assert shortest * len(batch) <= BUDGET


@given(fill=fills, lengths=lengths, start=st.integers(0, 40))
def test_starting_late_gives_the_same_batches(fill: Fill, lengths: list[int], start: int) -> None:
    whole, late = (sampler(fill, lengths) for _ in range(2))
    expected = [whole[number] for number in range(start + 10)]
    assert [late[number] for number in range(start, start + 10)] == expected[start:]
    epochs = [batch for epoch in range(start + 10) for batch in whole.epoch(epoch)]
    assert expected == epochs[: len(expected)]
    assert whole[0] == expected[0], "an earlier epoch can be asked for again"


@pytest.mark.parametrize("fill", SAMPLERS)
def test_epochs_and_seeds_differ(fill: Fill) -> None:
    orders = {
        str(sampler(fill, list(range(10_000, 20_000, 100)), seed).epoch(epoch)) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(orders) == 4


@pytest.mark.parametrize("made", SAMPLERS.values())
def test_recordings_that_are_too_short_are_left_out(made: type[BatchSampler]) -> None:
    sampler = made([100, 500, 900], budget=1_000, max_length=1_000, min_length=500)
    assert {member for batch in sampler.epoch(0) for member, _ in batch} == {1, 2}
    with pytest.raises(ConfigurationError, match="shortest length"):
        made([100], budget=1_000, max_length=1_000, min_length=500)


def test_a_budget_that_fits_no_batch_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot hold one recording"):
        BucketSampler([100], budget=10, max_length=100)
    with pytest.raises(ConfigurationError, match="ask for smaller batches"):
        PackingSampler([100, 100], budget=1_000, max_length=100)
