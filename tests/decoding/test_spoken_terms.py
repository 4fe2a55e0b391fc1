"""Search of spoken terms: against paths that are tried one by one, and the same alone and in a batch."""

from itertools import pairwise, product

import pytest
import torch

from sonant.decoding.spoken_terms import endings, frame_distances, matches
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed


def clips(*sizes: int, seed: int = 0, dim: int = 3) -> Packed:
    draw = torch.Generator().manual_seed(seed)
    return Packed.pack([torch.randn(size, dim, generator=draw) for size in sizes])


def brute_force(costs: torch.Tensor, end: int) -> float:
    """Return the mean of the cheapest path to a frame, of all paths."""
    rows = len(costs)
    totals = []
    for steps in product(range(3), repeat=rows - 1):
        places = [end - sum(steps[row:]) for row in range(rows)]
        if places[0] >= 0:
            totals.append(sum(float(costs[row, place]) for row, place in enumerate(places)))
    return min(totals, default=float("inf")) / rows


@pytest.mark.parametrize("relative", [False, True])
def test_paths_are_the_cheapest_of_all(relative: bool) -> None:
    queries, recordings = clips(3, 1, 4), clips(5, 2, 7, seed=1)
    found = endings(queries, recordings, relative=relative)
    first = 0
    for recording in recordings:
        here = slice(first, first + len(recording))
        for number, query in enumerate(queries):
            costs = frame_distances(Packed.pack([query]), Packed.pack([recording]), relative=relative)
            expected = [brute_force(costs, end) for end in range(len(recording))]
            torch.testing.assert_close(found.distances[number, here], torch.tensor(expected))
            for end, (distance, start) in enumerate(zip(expected, found.starts[number, here], strict=True)):
                if distance < float("inf"):  # the recording from there on has a path as cheap
                    again = endings(Packed.pack([query]), Packed.pack([recording[int(start) - first : end + 1]]))
                    assert relative or float(again.distances[0, -1]) == pytest.approx(distance, rel=1e-5)
        first += len(recording)


def test_a_batch_finds_what_each_finds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, recordings = clips(5, 8, 5, 6), clips(40, 9, 70, seed=1)
    together = matches(queries, recordings, per_recording=3)
    monkeypatch.setattr("sonant.decoding.spoken_terms.MOST_DISTANCES", 1)
    assert matches(queries, recordings, per_recording=3) == together
    for query, recording in product(range(4), range(3)):
        alone = matches(*(Packed.pack([each]) for each in (queries.unpack()[query], recordings.unpack()[recording])),
                        per_recording=3)  # fmt: skip
        mine = [each for each in together if (each.query, each.recording) == (query, recording)]
        assert [each[2:4] for each in alone] == [each[2:4] for each in mine]
        assert [each.distance for each in alone] == pytest.approx([each.distance for each in mine], rel=1e-5)
        spans = sorted(each[2:4] for each in mine)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_what_is_there_is_found_where_it_is() -> None:
    query, recording = clips(10, dim=16), clips(80, seed=1, dim=16)
    slower = query.values.repeat_interleave(2, 0)  # half as fast
    frames = torch.cat([recording.values[:30], query.values, recording.values[30:50], slower, recording.values[50:]])
    first, second, third = matches(query, Packed.pack([frames]), per_recording=3)
    found = sorted((each.start_frame, each.end_frame) for each in (first, second))
    assert found[0] == (30, 40)
    assert found[1] in {(start, end) for start in (60, 61) for end in (79, 80)}
    assert max(first.distance, second.distance) < 1e-3 < third.distance
    with pytest.raises(ConfigurationError, match="width 16 were given for recordings of .* width 3"):
        endings(query, clips(4))
