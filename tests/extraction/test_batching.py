from dataclasses import dataclass
from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sonant.extraction.batching import PlannedBatch, pack, within


@dataclass
class Item:
    size: int


LENGTHS = st.lists(st.one_of(st.none(), st.floats(0.025, 200)), max_size=60)


@given(seconds=LENGTHS, budget=st.floats(1, 100), window=st.one_of(st.none(), st.floats(5, 100)))
def test_every_known_recording_is_in_one_batch_within_the_budget(
    seconds: list[float | None], budget: float, window: float | None
) -> None:
    batches = pack(seconds, batch_seconds=budget, window_seconds=window)
    items = [item for batch in batches for item in batch.items]
    assert sorted(items) == [item for item, length in enumerate(seconds) if length is not None]
    assert [seconds[item] for item in items] == sorted((s for s in seconds if s is not None), reverse=True)
    for batch in batches:
        lengths = [seconds[item] for item in batch.items]
        assert len(lengths) == 1 or sum(lengths) <= budget * (1 + 1e-9)
        assert batch.is_streamed <= (window is not None and max(lengths) > window)
        assert not batch.is_streamed or len(lengths) == 1


def test_batches_are_filled() -> None:
    assert pack([1, 2, 3, 4], batch_seconds=5, window_seconds=None) == [
        PlannedBatch((3,)),
        PlannedBatch((2, 1)),
        PlannedBatch((0,)),
    ]


def test_only_what_is_longer_than_a_batch_and_a_window_is_streamed() -> None:
    seconds = [50, 20, 6, 7]
    alone = PlannedBatch((0,), is_streamed=True)
    assert pack(seconds, batch_seconds=27, window_seconds=8) == [alone, PlannedBatch((1, 3)), PlannedBatch((2,))]
    assert pack(seconds, batch_seconds=5, window_seconds=30) == [
        alone,
        PlannedBatch((1,)),
        PlannedBatch((3,)),
        PlannedBatch((2,)),
    ]
    assert pack(seconds, batch_seconds=5, window_seconds=None) == [PlannedBatch((item,)) for item in (0, 1, 3, 2)]


def test_a_batch_without_what_is_done() -> None:
    assert PlannedBatch((3, 1, 2), is_streamed=True).only({1, 2, 9}) == PlannedBatch((1, 2), is_streamed=True)


@given(sizes=st.lists(st.integers(1, 50), max_size=30), room=st.floats(1, 100))
def test_groups_cover_all_in_order_and_are_filled(sizes: list[int], room: float) -> None:
    groups = [[item.size for item in group] for group in within(map(Item, sizes), room)]
    assert list(chain(*groups)) == sizes
    assert all(len(group) == 1 or sum(group) <= room for group in groups)
    assert all(sum(group) + after[0] > room for group, after in pairwise(groups))
