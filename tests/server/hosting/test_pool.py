"""Models by their ids: loaded, found, asked for what they can do, taken out of memory, and stopped."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sonant
from sonant import SpeechEncoder
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError
from sonant.extraction.request import EncodeRequest
from sonant.extraction.voice_calibrations import write_calibration
from sonant.models import WavLMConfig, build
from sonant.server.errors import ApiError
from sonant.server.hosting.memory import give_back_memory
from sonant.server.hosting.pool import ModelPool
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue, ServerSettings
from tests.heads import XVECTOR_DIM, write_classifier, write_ctc, write_xvector
from tests.server.hosting.stand import noise
from tests.shapes import TINY

SHIPPED = "sonant/wavlm-tiny"


def folder(place: Path, seed: int = 0, **sizes: Any) -> str:
    """A model with random weights."""
    torch.manual_seed(seed)
    SpeechEncoder(build(WavLMConfig(**TINY | sizes))).save_pretrained(place)
    return str(place)


def pool_of(*models: str, **settings: Any) -> ModelPool:
    return ModelPool(ServerSettings(models=models, drain_seconds=20.0, **settings), Metrics())


async def ready(pool: ModelPool) -> None:
    assert pool._starting is not None
    await asyncio.wait_for(asyncio.shield(pool._starting), 60)


def within(pool: ModelPool, scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run something while a pool is up and its models are loaded."""

    async def run() -> Any:
        async with pool:
            await ready(pool)
            return await scenario()

    return asyncio.run(run())


def state_of(pool: ModelPool, model_id: str) -> str:
    return next(slot.state for slot in pool.hosted() if slot.id == model_id)


def refusal(call: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value


def test_models_are_loaded_while_the_server_answers_already(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool_of(folder(tmp_path / "ours")) as pool:
            assert state_of(pool, "ours") == "loading"
            assert not pool.is_ready
            error = refusal(lambda: pool.get("ours"))
            assert (error.status, error.code) == (503, "model_loading")
            assert error.retry_after is not None
            await ready(pool)
            assert pool.is_ready
            assert state_of(pool, "ours") == "live"
            assert [model.id for model in pool.served()] == ["ours"]
        assert not pool.is_ready

    asyncio.run(scenario())


def test_a_model_says_what_it_is(tmp_path: Path) -> None:
    pool = pool_of(folder(tmp_path / "ours"), queue=Queue(batch_seconds=5.0))

    async def scenario() -> None:
        model = pool.get("ours")
        encoder = model.encoder
        assert (model.dim, model.num_layers, model.frame_rate, model.sampling_rate) == (16, 2, 50.0, 16_000)
        assert [model.num_frames(samples) for samples in (0, 399, 400, 719, 720)] == [0, 0, 1, 1, 2]
        assert model.device == str(encoder.optimized()[0].device)
        assert model.stats.queue_seconds == model.stats.waiting_requests == 0
        assert model.stats.audio_seconds_per_second is not None
        clip = noise(1.2)
        (given,) = await model.encode([clip], model.request(layer="all"), share="somebody")
        np.testing.assert_allclose(given, encoder.encode(clip, layer="all"), rtol=1e-4, atol=1e-5)

    within(pool, scenario)


def test_ids_of_the_catalog_may_be_short_and_strangers_are_told_what_there_is() -> None:
    pool = pool_of("wavlm-tiny", SHIPPED)

    async def scenario() -> None:
        assert pool.get("wavlm-tiny") is pool.get(SHIPPED)
        assert [slot.id for slot in pool.hosted()] == [SHIPPED]
        for stranger, words in (("wavlm-large", "catalog"), ("nobody/nothing", "not known")):
            error = refusal(lambda stranger=stranger: pool.get(stranger))
            assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
            assert words in error.message
            assert SHIPPED in error.message

    within(pool, scenario)


def test_two_models_of_one_name_and_names_that_lead_nowhere_are_refused_at_once(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "ours").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="Rename one"):
        pool_of(str(tmp_path / "a" / "ours"), str(tmp_path / "b" / "ours"))
    with pytest.raises(ConfigurationError, match="wavlm-tinny"):
        pool_of("wavlm-tinny")


def test_a_model_that_cannot_be_loaded_says_why_and_the_others_serve(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    pool = pool_of(str(broken), folder(tmp_path / "ours"))

    async def scenario() -> None:
        assert state_of(pool, "broken") == "error"
        (slot, _) = pool.hosted()
        assert slot.error is not None
        assert "config.json" in slot.error
        error = refusal(lambda: pool.get("broken"))
        assert (error.status, error.code) == (503, "model_failed")
        assert "config.json" not in error.message
        assert pool.is_ready
        folder(broken)
        await pool.load("broken")
        assert state_of(pool, "broken") == "live"

    within(pool, scenario)


def test_the_operators_calibrations_come_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fingerprint = sonant.load("sonant/wavlm-tiny").voice_fingerprint
    mine = VoiceCalibration((0.4,), "mine")
    write_calibration(tmp_path / "voices.json", fingerprint, mine)

    async def scenario() -> None:
        assert await pool.get("sonant/wavlm-tiny").voices() == (fingerprint, mine)

    write_calibration(tmp_path / "others.json", "sha256:another", mine)
    files = (tmp_path / "voices.json", tmp_path / "others.json")
    pool = pool_of("sonant/wavlm-tiny", voice_calibrations=files)
    within(pool, scenario)
    assert ["(sha256:another) fits no model here" in record.message for record in caplog.records].count(True) == 1
    assert fingerprint not in caplog.text
    with pytest.raises(ConfigurationError, match="cannot be read as calibrations"):
        pool_of("sonant/wavlm-tiny", voice_calibrations=(tmp_path / "nowhere.json",))


def test_heads_are_asked_through_the_queue_and_those_without_say_who_has_one(tmp_path: Path) -> None:
    write_ctc(tmp_path / "letters")
    write_xvector(tmp_path / "voices")
    pool = pool_of(str(tmp_path / "letters"), str(tmp_path / "voices"), queue=Queue(window_seconds=4.0))

    async def scenario() -> None:
        letters, voices = pool.get("letters", "transcription"), pool.get("voices", "verification")
        clips = [noise(1.0), noise(9.0)]
        for clip, transcript in zip(clips, await letters.transcribe(clips, share="a"), strict=True):
            assert transcript == letters.encoder.transcribe(clip, window_seconds=4.0)
        for clip, sample in zip(clips, await voices.voice_samples(clips, share="a"), strict=True):
            assert sample.vector.shape == (XVECTOR_DIM,)
            expected = voices.encoder.voice_samples(clip, window_seconds=4.0)
            np.testing.assert_allclose(sample.vector, expected.vector, rtol=1e-4, atol=1e-5)
        (sample,) = await letters.voice_samples(clips[:1], share="a")  # by the preset for speakers
        assert sample.vector.shape == (letters.dim,)
        turns = await pool.get("letters", "diarization").diarize([clips[1]], share="a", num_speakers=2)
        assert turns == [letters.encoder.diarize(clips[1], num_speakers=2, window_seconds=4.0)]
        assert letters.min_samples("transcription") == letters.receptive_field < voices.min_samples("verification")
        error = refusal(lambda: pool.get("voices", "transcription"))
        assert (error.status, error.code, error.param) == (400, "unsupported_ability", "model")
        assert "Ask for letters." in error.message

    within(pool, scenario)


def test_models_are_loaded_and_unloaded_while_the_server_runs(tmp_path: Path) -> None:
    ours, more = folder(tmp_path / "ours"), folder(tmp_path / "more")
    pool = pool_of(ours)

    async def scenario() -> None:
        old = pool.get("ours")
        await pool.unload("ours")
        assert (state_of(pool, "ours"), old.state) == ("unloaded", "unloaded")
        error = refusal(lambda: pool.get("ours"))
        assert (error.status, error.code) == (503, "model_unloaded")
        for refused in (lambda: old.check_room(1.0), lambda: old.encoder):
            assert refusal(refused).code == "model_unloaded"
        assert not pool.is_ready
        assert await pool.load("ours") is pool.get("ours")
        assert pool.is_ready
        loading = asyncio.create_task(pool.load("wavlm-tiny"))
        await asyncio.sleep(0)
        assert state_of(pool, SHIPPED) == "loading"
        assert pool.is_ready  # for the models that it has
        await loading
        await pool.unload(SHIPPED)
        assert (await pool.load(more)).id == "more"
        assert {slot.id for slot in pool.hosted()} == {"ours", "more", SHIPPED}
        for wrong, status, code in (("nobody", 404, "model_not_found"), (str(tmp_path), 400, "model_load_failed")):
            with pytest.raises(ApiError) as caught:
                await pool.load(wrong)
            assert (caught.value.status, caught.value.code) == (status, code)
        with pytest.raises(ApiError):
            await pool.unload("nobody")

    within(pool, scenario)


@pytest.mark.parametrize("end", ["unload", "stop"])
def test_what_is_running_is_finished_first(tmp_path: Path, end: str) -> None:
    pool = pool_of(folder(tmp_path / "ours"), queue=Queue(batch_seconds=1.0, window_seconds=1.0))

    async def scenario() -> None:
        model = pool.get("ours")
        call = model.encode([noise(20.0)], model.request(), share="a")
        task = asyncio.create_task(call)
        await asyncio.sleep(0)
        await (pool.unload("ours") if end == "unload" else pool.stop())
        assert task.done()
        (frames,) = await task
        assert frames.shape[1] == model.num_frames(20 * 16_000)
        with pytest.raises(ApiError) as caught:
            await model.encode([noise(1.0)], EncodeRequest(), share="a")
        assert caught.value.status == 503
        assert caught.value.code == ("model_unloaded" if end == "unload" else "server_is_draining")
        if end == "stop":
            with pytest.raises(ApiError, match="stopping"):
                await pool.load("ours")

    within(pool, scenario)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's account of memory")
def test_unloading_gives_the_memory_back(tmp_path: Path) -> None:
    place = folder(tmp_path / "large", dim=512, num_layers=12, num_heads=8, feed_forward_dim=2048)
    weights = (Path(place) / "model.safetensors").stat().st_size
    pool = pool_of(folder(tmp_path / "small"))

    async def scenario() -> None:
        await pool.load(place)  # what is made once in a process stays: kernels, threads
        await pool.unload("large")
        give_back_memory()
        before = resident_bytes()
        for _ in range(2):
            model = await pool.load(place)
            await model.encode([noise(20.0)], model.request(layer="all"), share="a")
            held = resident_bytes() - before
            assert held > weights
            await pool.unload("large")
            assert resident_bytes() - before < 0.2 * held

    gc.collect()
    within(pool, scenario)


def test_a_classifier_offers_its_classes(tmp_path: Path) -> None:
    pool = pool_of(str(write_classifier(tmp_path)))

    async def look() -> None:
        (model,) = pool.served()
        assert model.encoder.abilities == ("embeddings", "classification")
        assert model.abilities == ("embeddings", "classification", "verification", "diarization")

    within(pool, look)


def test_an_alias_is_a_further_name(tmp_path: Path) -> None:
    pool = pool_of(folder(tmp_path / "ours"), SHIPPED, aliases={"whisper-1": "ours", "tiny": "wavlm-tiny"})

    async def scenario() -> list[str]:
        return [pool.get(name).id for name in ("whisper-1", "ours", "tiny", SHIPPED)]

    assert within(pool, scenario) == ["ours", "ours", SHIPPED, SHIPPED]


@pytest.mark.parametrize(
    ("aliases", "words"),
    [({"whisper-1": "theirs"}, "'whisper-1' stands for 'theirs'"), ({SHIPPED: SHIPPED}, f"'{SHIPPED}' is the id")],
)
def test_an_alias_of_nothing_or_of_a_name_that_is_taken_is_refused(aliases: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        pool_of(SHIPPED, aliases=aliases)
