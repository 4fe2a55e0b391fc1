"""A model in another process answers, refuses and stops as one in this process does."""

import asyncio
import pickle
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sonant
from sonant.server.errors import ApiError
from sonant.server.hosting.devices import ComputeThreads
from sonant.server.hosting.local_model import LocalModel
from sonant.server.hosting.remote_model import RemoteModel, Replica
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue, ServerSettings
from tests.heads import write_masks


class Full(Exception):
    """What a handle raises when no replica takes more."""


class Handle:
    """Does what a handle of Ray Serve does: everything is pickled on its way, there and back."""

    def __init__(self, replica: Replica) -> None:
        self.replica, self.is_full = replica, False
        self.work = self

    def remote(self, *arguments: Any) -> "Response":
        if self.is_full:
            raise Full
        return Response(self.replica.work(*pickle.loads(pickle.dumps(arguments))))


class Response:
    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.task = asyncio.ensure_future(work)

    def __await__(self) -> Iterator[Any]:
        return (yield from self._answer().__await__())

    async def _answer(self) -> Any:
        return pickle.loads(pickle.dumps(await asyncio.shield(self.task)))

    def cancel(self) -> None:
        self.task.cancel()


@pytest.fixture(scope="module")
def local() -> Iterator[LocalModel]:
    threads = ComputeThreads()
    yield LocalModel("m", sonant.load("sonant/wavlm-tiny"), ServerSettings(), threads, Metrics())
    threads.close()


@pytest.fixture
def handle(local: LocalModel) -> Handle:
    return Handle(Replica(local))


@pytest.fixture
def remote(local: LocalModel, handle: Handle) -> RemoteModel:
    return RemoteModel("m", local.encoder, Queue(), handle, Full)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(round(16_000 * seconds)).astype(np.float32)


def test_it_tells_and_answers_the_same(local: LocalModel, remote: RemoteModel) -> None:
    clips = [noise(1.0), noise(2.5, 1)]
    for name in ("abilities", "dim", "num_layers", "frame_rate", "sampling_rate", "receptive_field"):
        assert getattr(remote, name) == getattr(local, name)
    for how in ({}, {"layer": [1, 2], "pool": "mean"}, {"task": "speaker"}):
        request = remote.request(**how)
        ours, theirs = (asyncio.run(model.encode(clips, request, share="a")) for model in (remote, local))
        assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    voices = asyncio.run(remote.voice_samples(clips, share="a"))
    assert [voice.vector.shape for voice in voices] == [(256,), (256,)]
    turns = asyncio.run(remote.diarize([noise(6.0)], share="a", num_speakers=2))
    assert turns == asyncio.run(local.diarize([noise(6.0)], share="a", num_speakers=2))


@pytest.mark.parametrize(("kind", "work"), [("enhancement", "enhance"), ("separation", "separate")])
def test_recordings_are_the_same(tmp_path: Path, kind: str, work: str) -> None:
    threads, clips = ComputeThreads(), [noise(0.5), noise(1.2, 1)]
    local = LocalModel("m", sonant.load(write_masks(tmp_path, kind=kind)), ServerSettings(), threads, Metrics())
    remote = RemoteModel("m", local.encoder, Queue(), Handle(Replica(local)), Full)
    assert kind in remote.abilities
    assert remote.min_samples(kind) == local.min_samples(kind) == local.receptive_field
    ours, theirs = (asyncio.run(getattr(model, work)(clips, share="a")) for model in (remote, local))
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    threads.close()


def test_what_a_replica_refuses_is_refused_in_the_same_words(local: LocalModel, remote: RemoteModel) -> None:
    told = []
    for model in (local, remote):
        with pytest.raises(Exception, match="too short") as error:
            asyncio.run(model.encode([noise(0.001)], model.request(), share="a"))
        told.append(str(error.value))
    assert told[0] == told[1]
    with pytest.raises(ApiError) as refusal:
        asyncio.run(remote.encode([noise(0.001)], remote.request(), share="a"))
    assert (refusal.value.status, refusal.value.code) == (400, "audio_too_short")


def test_full_replicas_mean_later(remote: RemoteModel, handle: Handle) -> None:
    handle.is_full = True
    with pytest.raises(ApiError) as refusal:
        asyncio.run(remote.encode([noise(1.0)], remote.request(), share="a"))
    assert (refusal.value.status, refusal.value.code) == (429, "server_is_overloaded")
    assert refusal.value.retry_after
    assert remote.stats.waiting_requests == 0


def test_a_queue_with_a_length_is_kept_to(local: LocalModel, handle: Handle) -> None:
    remote = RemoteModel("m", local.encoder, Queue(seconds=3), handle, Full)
    remote.check_room(2.9)
    with pytest.raises(ApiError) as refusal:
        remote.check_room(3.1)
    assert refusal.value.code == "server_is_overloaded"


def test_cancelling_cancels_over_there(local: LocalModel, remote: RemoteModel) -> None:
    async def leave() -> None:
        asking = asyncio.create_task(remote.encode([noise(50.0)], remote.request(), share="a"))
        while not local.stats.waiting_requests:  # noqa: ASYNC110 - another thread will change it
            await asyncio.sleep(0.001)
        assert remote.stats.waiting_requests == 1
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(0.01)
        assert local.stats.waiting_requests == remote.stats.waiting_requests == 0
        assert remote.stats.queue_seconds == 0

    asyncio.run(leave())


def test_an_unloaded_one_says_so(remote: RemoteModel) -> None:
    request = remote.request()
    asyncio.run(remote.unload(ApiError(503, "model_unloaded", "gone"), seconds=1))
    with pytest.raises(ApiError, match="gone"):
        asyncio.run(remote.encode([noise(1.0)], request, share="a"))
