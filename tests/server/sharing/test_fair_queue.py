"""Laws of the turns: nothing lost or doubled, first come first served, equal audio, and short lines wait little."""

import random
from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from sonant.server.sharing.fair_queue import FairQueue

BATCH = 3000
QUANTUM = 200


@dataclass(eq=False)
class Piece:
    share: str
    size: int


def queue_of(*pieces: Piece, quantum: int = QUANTUM) -> FairQueue[Piece]:
    queue: FairQueue[Piece] = FairQueue(quantum)
    for piece in pieces:
        queue.put(piece.share, piece)
    return queue


pieces = st.builds(
    Piece,
    share=st.sampled_from("abcd"),
    size=st.integers(1, 2 * BATCH),
)


@given(st.lists(pieces, max_size=60), st.integers(1, BATCH), st.randoms(use_true_random=False))
def test_every_piece_comes_once_in_the_order_of_its_share_in_batches_that_may_be(
    waiting: list[Piece], quantum: int, chance: random.Random
) -> None:
    """Also when pieces come while others go."""
    queue, taken, arriving = queue_of(quantum=quantum), [], list(waiting)
    while arriving or len(queue):
        for piece in arriving[: (count := chance.randint(0, 5))]:
            queue.put(piece.share, piece)
        del arriving[:count]
        before = len(queue)
        batch = queue.take(BATCH)
        assert bool(batch) == bool(before)
        assert len(batch) == 1 or sum(piece.size for piece in batch) <= BATCH
        assert len(queue) == before - len(batch)
        taken += batch
    for share in "abcd":
        assert [p for p in taken if p.share == share] == [p for p in waiting if p.share == share]


@given(st.lists(st.integers(1, 800), min_size=2, max_size=6), st.integers(3, 40))
def test_shares_that_always_have_something_waiting_get_equal_audio(sizes: list[int], batches: int) -> None:
    """However their audio is cut: some in pieces of a second, some in long ones."""
    queue = queue_of(
        *(Piece(str(share), size) for share, size in enumerate(sizes) for _ in range(batches * BATCH // size))
    )
    served = Counter({str(share): 0 for share in range(len(sizes))})
    for _ in range(batches // len(sizes)):
        for piece in queue.take(BATCH):
            served[piece.share] += piece.size
    assert max(served.values()) - min(served.values()) <= 2 * QUANTUM + 2 * max(sizes)


def test_thousands_of_waiting_clips_do_not_hold_up_the_single_one_of_another() -> None:
    queue = queue_of(*(Piece("many", 500) for _ in range(10_000)))
    for _ in range(7):
        queue.take(BATCH)
    queue.put("few", single := Piece("few", 800))
    assert single in queue.take(BATCH)


def test_nor_do_long_windows() -> None:
    """Each is a batch of its own here: the other clip goes after one at most."""
    queue = queue_of(*(Piece("hours", 2 * BATCH) for _ in range(100)))
    queue.take(BATCH)
    queue.put("few", single := Piece("few", 800))
    assert single in [*queue.take(BATCH), *queue.take(BATCH)]


def test_a_share_that_was_away_has_saved_nothing_up() -> None:
    queue = queue_of(Piece("away", 10), *(Piece("here", 100) for _ in range(200)))
    for _ in range(3):
        queue.take(BATCH)
    for _ in range(200):
        queue.put("away", Piece("away", 100))
    served = Counter(piece.share for piece in queue.take(BATCH))
    assert abs(served["away"] - served["here"]) <= 2 * QUANTUM // 100


def test_a_line_whose_first_piece_must_wait_is_passed_over_and_saves_up_for_that_piece_alone() -> None:
    queue = queue_of(*(Piece("long", 2 * BATCH) for _ in range(3)), *(Piece("short", 100) for _ in range(400)))
    for _ in range(8):
        assert {piece.share for piece in queue.take(BATCH, lambda piece: piece.size <= BATCH)} == {"short"}
    assert [piece.share for piece in queue.take(BATCH)] == ["long"]  # it has waited for its turn
    assert {piece.share for piece in queue.take(BATCH)} == {"short"}  # and has no credit left
    queue.drop("short", lambda _: True)
    assert queue.take(BATCH, lambda piece: piece.size <= BATCH) == []


def test_what_nobody_wants_any_more_leaves_the_line_and_the_rest_keeps_its_place() -> None:
    waiting = [Piece("ab"[i % 2], 100) for i in range(10)]
    queue = queue_of(*waiting)
    queue.drop("a", lambda piece: piece in waiting[:6])
    queue.drop("b", lambda _: True)
    queue.drop("stranger", lambda _: True)
    assert len(queue) == 2
    assert queue.take(BATCH) == [waiting[6], waiting[8]]
    assert queue.take(BATCH) == []
