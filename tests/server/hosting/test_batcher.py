"""Laws of the queue: batches fill by themselves, each caller gets its own, nobody is harmed by another.

Where the order of things matters, the model is held up in a pass, so that nothing hangs on how fast a machine is.
"""

import asyncio
import gc
import threading
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
import torch

from sonant.errors import ConfigurationError, TooShortAudio
from sonant.extraction.engine import Engine, collect
from sonant.extraction.in_progress import Piece, RecordingInProgress
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.server.errors import ApiError
from sonant.server.hosting.calls import Call
from tests.server.hosting.stand import noise

STOPPING = ApiError(503, "server_is_draining", "The server is stopping.")


def assert_same(given: torch.Tensor, expected: torch.Tensor) -> None:
    assert given.shape == expected.shape
    assert (given - expected).norm() <= 1e-5 * expected.norm()


def queued(*parts: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(part) for part in parts]


async def enter(tasks: list[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Let each begin, as far as it goes without the model."""
    await asyncio.sleep(0)
    return tasks


def test_a_lone_request_is_computed_at_once(stand) -> None:
    (frames,) = asyncio.run(stand.run(1.0))
    assert stand.seconds() == [[1.0]]
    assert frames.shape == (1, 49, 16)


def test_what_comes_while_a_batch_is_computed_makes_the_next_one(stand) -> None:
    async def scenario() -> None:
        async with stand.busy():
            tasks = await enter(queued(*(stand.run(length, share=str(length)) for length in (0.6, 0.7, 0.8))))
        for task in tasks:
            await task

    asyncio.run(scenario())
    assert stand.seconds() == [[0.5], [0.6, 0.7, 0.8]]


def test_long_lists_are_split_over_batches_and_keep_their_order(stand) -> None:
    lengths = [0.3 + 0.1 * i for i in range(20)]
    results = asyncio.run(stand.run(*lengths))
    assert [frames.shape[1] for frames in results] == [(round(length * 16_000) - 400) // 320 + 1 for length in lengths]
    assert all(sum(sizes) <= 4.0 for sizes in stand.seconds())
    assert list(chain(*stand.seconds())) == pytest.approx(lengths)


def test_a_long_recording_lets_others_pass_between_its_windows(stand) -> None:
    async def scenario() -> list[Any]:
        async with stand.busy():
            tasks = await enter(queued(stand.run(60.0, share="long"), stand.run(1.0, share="short")))
        return [await task for task in tasks]

    (long,), (short,) = asyncio.run(scenario())
    assert long.shape[1] == (60 * 16_000 - 400) // 320 + 1
    assert short.shape[1] == 49
    assert len(stand.passes) > 15
    assert any(1.0 in sizes for sizes in stand.seconds()[1:3])


def test_no_pass_keeps_much_shorter_ones_waiting(make_stand) -> None:
    """While a thread is busy with a long one, the next of its length waits, and shorter ones are computed."""
    stand, release = make_stand(longer=2, window_seconds=60.0), threading.Event()

    def hold(_: torch.nn.Module, args: tuple[Any]) -> None:
        assert max(args[0].sizes) <= 16 * 16_000 or release.wait(10)

    stand.backbone.register_forward_pre_hook(hold)

    async def scenario() -> None:
        long = [asyncio.create_task(stand.run(seconds, share="long")) for seconds in (30.0, 40.0)]
        others = [stand.run(seconds, share=str(seconds)) for seconds in (9.0, 1.0, 2.0)]
        await asyncio.wait_for(asyncio.gather(*others), 5)
        assert sorted(size for (size, *_) in stand.seconds() if size > 2) == [9, 30]
        release.set()
        await asyncio.gather(*long)

    asyncio.run(scenario())
    assert [40.0] in stand.seconds()


def test_callers_who_want_different_layers_share_a_pass_and_get_their_own(stand) -> None:
    async def scenario() -> list[Any]:
        async with stand.busy():
            wanted = [stand.pipeline(0), stand.pipeline("last", 1), stand.pipeline(1)]
            tasks = await enter(queued(*(stand.run(1.0, pipeline=pipeline) for pipeline in wanted)))
        return [(await task)[0] for task in tasks]

    first, second, third = asyncio.run(scenario())
    assert stand.layers[1:] == [{0, 1, "last"}]
    (states,) = asyncio.run(stand.run(1.0, pipeline=stand.pipeline(0, 1, "last")))
    for given, expected in ((first, states[[0]]), (second, states[[2, 1]]), (third, states[[1]])):
        assert_same(given, expected)


def test_results_hold_nothing_of_the_batch_that_they_came_from(stand) -> None:
    for frames in asyncio.run(stand.run(1.0, 1.5, 0.5, 9.0)):
        assert frames.untyped_storage().nbytes() == 4 * frames.numel()


def test_several_devices_share_a_queue_and_windows_come_together_in_order(make_stand) -> None:
    both, one = make_stand(devices=2), make_stand()
    lengths = (30.0, 1.0, 2.0, 50.0, 0.7)
    for given, expected in zip(asyncio.run(both.run(*lengths)), asyncio.run(one.run(*lengths)), strict=True):
        assert_same(given, expected)


def test_models_on_one_device_take_turns(stand) -> None:
    async def scenario() -> None:
        other = stand.another("other")
        async with stand.busy():
            tasks = await enter(
                queued(
                    stand.run(*[3.0] * 4),
                    other.run([torch.zeros(2 * 16_000).numpy()] * 8, stand.pipeline(), share="someone"),
                )
            )
        for task in tasks:
            await task

    asyncio.run(scenario())
    models = [sizes[0] for sizes in stand.seconds()[1:]]
    assert models in ([3.0, 2.0] * 4, [2.0, 3.0] * 4)


def test_cancelled_requests_leave_the_queue_and_free_their_room(stand) -> None:
    async def scenario() -> None:
        async with stand.busy():
            given_up, kept = await enter(queued(stand.run(0.6, 50.0, share="a"), stand.run(0.7, share="a")))
            given_up.cancel()
            await asyncio.wait([given_up])
            assert stand.batcher.stats.queue_seconds == pytest.approx(0.7)
            assert stand.batcher.stats.waiting_requests == 2
        await kept
        assert given_up.cancelled()

    asyncio.run(scenario())
    assert stand.seconds() == [[0.5], [0.7]]
    assert stand.batcher.stats.waiting_requests == 0


def test_what_is_cancelled_while_it_is_computed_is_computed_no_further(stand) -> None:
    """The window that runs is the last one."""

    async def scenario() -> None:
        stand.gate.clear()
        task = asyncio.create_task(stand.run(60.0))
        await asyncio.to_thread(stand.entered.wait)
        task.cancel()
        await asyncio.wait([task])
        stand.gate.set()
        await stand.run(0.9)

    asyncio.run(scenario())
    assert len(stand.passes) == 2


def test_a_full_queue_refuses_says_when_to_come_back_and_opens_again(make_stand) -> None:
    stand = make_stand(seconds=10.0)

    async def scenario() -> None:
        async with stand.busy():
            tasks = await enter(queued(stand.run(*[2.0] * 3, share="greedy")))
            for refused in (
                lambda: stand.run(2.0, share="greedy"),
                lambda: stand.run(5.0, share="other"),
                lambda: check_room(4.5),
            ):
                with pytest.raises(ApiError) as caught:
                    await refused()
                assert (caught.value.status, caught.value.code) == (429, "server_is_overloaded")
                assert caught.value.retry_after is not None
                assert caught.value.retry_after > 0
            await check_room(3.9)
            stand.batcher.check_room(0, "greedy")
            tasks += await enter(queued(stand.run(3.9, share="other")))
            tasks += await enter(queued(stand.run(0.1, share="third")))
            with pytest.raises(ApiError, match="10 s of audio waiting"):
                stand.batcher.check_room(0, "anybody")
        for task in tasks:
            await task
        await stand.run(2.0, share="greedy")
        assert stand.batcher.stats.queue_seconds == 0

    async def check_room(seconds: float) -> None:
        stand.batcher.check_room(round(seconds * 16_000))

    asyncio.run(scenario())


def test_how_long_to_wait_follows_from_how_fast_the_model_is(stand) -> None:
    async def refusal(audio_seconds: float, wall_seconds: float) -> float:
        stand.settle()  # the speed of an earlier pass is noted
        for worker in stand.batcher._workers:
            for _ in range(200):
                worker.note(audio_seconds, wall_seconds)
        async with stand.busy():
            tasks = await enter(queued(stand.run(*[2.0] * 350, share="a"), stand.run(*[2.0] * 120, share="b")))
            with pytest.raises(ApiError) as caught:
                await stand.run(*[2.0] * 50, share="c")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert caught.value.retry_after is not None
        return caught.value.retry_after

    fast, slow = asyncio.run(refusal(100.0, 1.0)), asyncio.run(refusal(10.0, 1.0))
    assert slow == pytest.approx(10 * fast, rel=0.1)


def test_without_a_setting_the_queue_holds_what_the_model_does_in_the_time_that_may_be_waited(make_stand) -> None:
    stand = make_stand(seconds=None, wait_seconds=20.0)
    assert stand.batcher.stats.capacity_seconds == 2 * 4.0
    (worker,) = stand.batcher._workers
    worker.note(100.0, 2.0)
    assert stand.batcher.stats.audio_seconds_per_second == pytest.approx(50)
    assert stand.batcher.stats.capacity_seconds == pytest.approx(1000)


@pytest.mark.filterwarnings("error")
def test_a_recording_that_the_model_cannot_stand_harms_no_other(stand, caplog) -> None:
    async def scenario() -> list[Any]:
        stand.fail_on = {round(0.7 * 16_000)}
        async with stand.busy():
            tasks = await enter(queued(*(stand.run(length, share=str(length)) for length in (0.6, 0.7, 0.8))))
        return await asyncio.gather(*tasks, return_exceptions=True)

    well, ill, also_well = asyncio.run(scenario())
    assert isinstance(ill, ApiError)
    assert (ill.status, ill.code) == (500, "internal_error")
    assert "cannot stand" not in ill.message
    assert "cannot stand" in caplog.text
    assert well[0].shape[1] == 29
    assert also_well[0].shape[1] == 39


def test_nor_does_it_harm_what_an_earlier_pass_of_its_batch_has_done(stand) -> None:
    """Memory has run out before, so that a batch takes two passes; the first holds one window of several."""

    async def scenario() -> list[Any]:
        stand.fail_on = {round(0.7 * 16_000)}
        (worker,) = stand.batcher._workers
        async with stand.busy():
            tasks = await enter(queued(stand.run(0.6, 3.0, share="a"), stand.run(0.7, share="b")))
            take = stand.batcher._queue.take
            stand.batcher._queue.take = lambda *_: take(4 * 16_000)
            worker._forward.budget = 16_000
        return await asyncio.gather(*tasks, return_exceptions=True)

    well, ill = asyncio.run(scenario())
    assert stand.seconds()[1:3] == [[0.6], [0.7]]
    assert isinstance(ill, ApiError)
    assert [frames.shape[1] for frames in well] == [29, 149]


def test_what_a_head_refuses_is_told_to_its_own_caller(stand) -> None:
    class Refusing:
        def append(self, _: torch.Tensor) -> None:
            raise ConfigurationError("more speakers than frames")

        def finish(self) -> None: ...
        def abandon(self) -> None: ...

    async def scenario() -> list[Any]:
        async with stand.busy():
            refused = stand.run(0.6, share="a", pipeline=stand.pipeline(make_sink=Refusing))
            tasks = await enter(queued(refused, stand.run(0.7, share="b")))
        return await asyncio.gather(*tasks, return_exceptions=True)

    refused, served = asyncio.run(scenario())
    assert isinstance(refused, ConfigurationError)
    assert served[0].shape[1] == 34
    assert stand.seconds() == [[0.5], [0.6, 0.7]]


def test_what_is_too_short_is_refused_before_it_waits(stand) -> None:
    with pytest.raises(TooShortAudio, match="399 samples"):
        asyncio.run(stand.run(1.0, 399 / 16_000))
    assert stand.passes == []
    assert asyncio.run(stand.run()) == []


def test_closing_finishes_what_waits_and_refuses_what_comes(stand) -> None:
    async def scenario() -> list[Any]:
        async with stand.busy():
            tasks = await enter(queued(stand.run(0.6), stand.run(30.0)))
            closing = asyncio.create_task(stand.batcher.close(STOPPING, seconds=60))
            await enter([closing])
            for refused in (stand.run(1.0), asyncio.to_thread(stand.batcher.check_room, 1)):
                with pytest.raises(ApiError) as caught:
                    await refused
                assert caught.value.code == STOPPING.code
        results = [await task for task in tasks]
        await closing
        return results

    results = asyncio.run(scenario())
    assert [frames.shape[1] for (frames,) in results] == [29, 1499]


def test_closing_gives_up_in_the_end(stand) -> None:
    async def scenario() -> None:
        stand.gate.clear()
        tasks = queued(stand.run(0.5))
        await asyncio.to_thread(stand.entered.wait)
        tasks += await enter(queued(stand.run(0.6), stand.run(30.0)))
        closing = asyncio.create_task(stand.batcher.close(STOPPING, seconds=0.01))
        refusals = await asyncio.gather(*tasks, return_exceptions=True)
        assert [refusal.code for refusal in refusals] == [STOPPING.code] * 3
        assert not closing.done()  # a pass that runs cannot be interrupted
        stand.gate.set()
        await closing

    asyncio.run(scenario())
    assert stand.seconds() == [[0.5]]


def test_metrics_tell_of_the_queue_and_of_the_batches(stand) -> None:
    def value(name: str, **labels: str) -> float:
        found = stand.metrics.registry.get_sample_value(f"sonant_{name}", {"model": "model", **labels})
        assert found is not None
        return found

    async def scenario() -> None:
        async with stand.busy():
            tasks = await enter(queued(stand.run(1.0), stand.run(2.5)))
            assert value("queue_seconds") == pytest.approx(3.5)
        for task in tasks:
            await task

    asyncio.run(scenario())
    stand.settle()
    assert value("queue_seconds") == 0
    assert value("batch_fill_count") == 2
    assert value("batch_fill_sum") == pytest.approx((0.5 + 3.5) / 4)
    assert value("stage_seconds_count", stage="queue") == 3
    assert value("stage_seconds_count", stage="forward") == 2


def test_nothing_is_kept_of_what_is_done(stand) -> None:
    """No cycles either, which would wait for the garbage collector with their audio."""
    gc.collect()
    gc.disable()
    try:
        asyncio.run(stand.run(1.0, 9.0))
        stand.settle()
        held = [item for item in gc.get_objects() if type(item) in (Call, RecordingInProgress, Piece)]
        assert held == []
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "normalize",
    [{"normalize": False}, *({"normalize": True, "normalize_epsilon": epsilon} for epsilon in (1e-5, 1e-2))],
)
def test_the_queue_gives_what_the_engine_gives(make_stand, normalize: dict[str, Any]) -> None:
    """Waveforms are normalized as wholes, in one piece or in windows, with the floor of the model."""
    stand = make_stand()
    config = replace(stand.backbone.config, **normalize)
    stand.backbone.config = config
    request = EncodeRequest(window_seconds=4.0)
    waveforms = [noise(length) * 0.1 + 0.3 for length in (1.0, 9.0, 30.0)]
    expected, _ = collect(Engine([stand.backbone]), [AudioSource(waveform, 16_000) for waveform in waveforms], request)
    given = asyncio.run(stand.batcher.run(waveforms, stand.pipeline(), share="someone"))
    for one, other in zip(given, expected, strict=True):
        assert_same(one, other)
