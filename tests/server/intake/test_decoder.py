"""Processes may be lost, callers may go, too many may come: the others never notice."""

import asyncio
import io
import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant import audio
from sonant.errors import AudioError, MissingChannel, OversizedAudio, UndecodableAudio
from sonant.server.errors import ApiError
from sonant.server.intake.decoder import SMALLEST_SHARE, AudioDecoder
from sonant.server.intake.process import ProcessLost
from sonant.server.settings import Limits
from tests.formats import LIBSNDFILE
from tests.server.intake import forge
from tests.server.intake.malformed import FFMPEG, recording

SPEECH = Path(__file__).parents[3] / "examples" / "speech"
GOOD = recording("wav")
SLOW = forge.flac(3000, channels=8, rate=655350, promised=0)  # five minutes: five gigabytes on the way to 20 MB
LAVISH = Limits(decoded_bytes=1 << 40)


async def ask(decoder, data=GOOD):
    (waveform,) = (await decoder.decode(data, sampling_rate=16000, min_samples=400)).channels
    return waveform


@contextmanager
def held(decoder):
    """A decoder whose idle processes do nothing until this ends."""
    pids = [worker.pid for worker in decoder._idle]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def begun(*work):
    """Tasks that have come as far as they can."""
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.sleep(0.05)
    return tasks


# ---------------------------------------------------------------------------------------------- what comes out


def stereo(samples, rate=16000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("channel", [0, 1, "mix", "all"])
def test_channels_are_what_read_gives(run, decoder, channel, rate):
    data = stereo(np.random.default_rng(0).normal(0, 0.1, (30 * rate, 2)), rate)
    decoded = run(decoder.decode(data, sampling_rate=16000, min_samples=400, channel=channel))
    expected = np.atleast_2d(audio.read(data, channel=channel))
    assert decoded.channels.shape == expected.shape
    np.testing.assert_allclose(decoded.channels, expected, atol=1e-5)
    assert decoded.warnings == ()


def test_what_is_odd_is_told(run, decoder):
    one = np.random.default_rng(0).normal(0, 0.1, 16000)
    data = stereo(np.stack([one, -one], axis=1))
    decoded = run(decoder.decode(data, sampling_rate=16000, min_samples=400))
    assert len(decoded.warnings) == 1
    assert "channel=0" in decoded.warnings[0]
    assert run(decoder.decode(data, sampling_rate=16000, min_samples=400, channel=1)).warnings == ()


def test_a_channel_that_is_not_there_and_more_channels_than_a_request_may_hold(run):
    async def work():
        async with AudioDecoder(Limits(request_seconds=2.5), workers=1) as decoder:
            with pytest.raises(MissingChannel, match="channel 2"):
                await decoder.decode(stereo(np.ones((900, 2))), sampling_rate=16000, min_samples=400, channel=2)
            for seconds, channels in ((1, 2), (1, 3)):
                data = stereo(np.full((16000 * seconds, channels), 0.1))
                how = {"sampling_rate": 16000, "min_samples": 400, "channel": "all"}
                if channels == 2:
                    assert (await decoder.decode(data, **how)).channels.shape == (2, 16000)
                else:
                    with pytest.raises(OversizedAudio):
                        await decoder.decode(data, **how)

    run(work())


@pytest.mark.parametrize("kind", [*LIBSNDFILE, *FFMPEG])
def test_good_recordings_are_what_read_gives(decode, kind):
    data = recording(kind)
    np.testing.assert_array_equal(decode(data), audio.read(data))


@pytest.mark.parametrize("sampling_rate", [8000, 16000, 22050])
def test_real_speech_is_what_read_gives(decode, sampling_rate):
    for path in sorted(SPEECH.glob("*.flac"))[:4]:
        samples = decode(path.read_bytes(), sampling_rate=sampling_rate)
        np.testing.assert_array_equal(samples, audio.read(path, sampling_rate=sampling_rate))
        assert samples.dtype == np.float32
        assert samples.flags.writeable


def test_errors_are_those_of_read(decode):
    for data in (
        b"",
        b"no sound",
        GOOD[:1000],
        recording("wav", 0.01),
        forge.wav(b"\0\0\xc0\x7f" * 999, tag=3, bits=32),
    ):
        with pytest.raises(AudioError) as expected:
            audio.read(data)
        with pytest.raises(AudioError) as given:
            decode(data)
        assert (type(given.value), str(given.value)) == (type(expected.value), str(expected.value))


def test_the_shortest_allowed_is_the_callers(decode):
    data = recording("wav", 0.02)
    assert len(decode(data, min_samples=320)) == 320
    with pytest.raises(AudioError, match="320 samples"):
        decode(data, min_samples=321)


def test_too_many_bytes():
    async def work():
        async with AudioDecoder(Limits(audio_bytes=len(GOOD)), workers=1) as decoder:
            assert len(await ask(decoder)) == 8000
            with pytest.raises(ApiError) as refused:
                await ask(decoder, GOOD + b"\0")
            assert (refused.value.status, refused.value.code) == (413, "audio_too_large")

    asyncio.run(work())


# ---------------------------------------------------------------------------------------------- processes that are lost


def test_a_process_killed_while_idle_costs_nobody_anything():
    async def work():
        async with AudioDecoder(Limits(), workers=1) as decoder:
            before = decoder._idle[0].pid
            os.kill(before, signal.SIGKILL)
            assert len(await ask(decoder)) == 8000
            assert decoder._idle[0].pid != before

    asyncio.run(work())


def test_a_crash_costs_only_the_recording_that_caused_it():
    async def work():
        async with AudioDecoder(LAVISH, workers=2) as decoder:
            victim = decoder._idle[-1].pid  # the next to be asked
            failing, *tasks = await begun(ask(decoder, SLOW), *(ask(decoder) for _ in range(6)))
            await asyncio.sleep(0.2)
            os.kill(victim, signal.SIGSEGV)
            tasks += await begun(*(ask(decoder) for _ in range(20)))
            assert all(len(samples) == 8000 for samples in await asyncio.gather(*tasks))
            with pytest.raises(UndecodableAudio, match="broke down"):
                await failing
            await asyncio.gather(*decoder._tasks)  # until it is replaced
            assert len(decoder._idle) == 2

    asyncio.run(work())


def test_what_takes_too_long_is_ended():
    async def work():
        async with AudioDecoder(replace(LAVISH, decode_seconds=0.2), workers=1) as decoder:
            before = decoder._idle[0].pid
            with pytest.raises(ApiError) as refused:
                await ask(decoder, SLOW)
            assert (refused.value.status, refused.value.code) == (400, "audio_decode_timeout")
            assert len(await ask(decoder)) == 8000
            assert decoder._idle[0].pid != before
            with pytest.raises(ProcessLookupError):
                os.kill(before, 0)

    asyncio.run(work())


@pytest.mark.slow
def test_what_takes_too_much_memory_is_ended():
    zeros = forge.wav(bytes(300 << 20))

    async def work():
        async with AudioDecoder(Limits(audio_bytes=1 << 20, audio_seconds=10), workers=1) as decoder:
            before = decoder._idle[0].pid
            decoder._limits = Limits(audio_bytes=1 << 30)  # lets through what the process was not made for
            with pytest.raises(AudioError, match="more memory") as refused:
                await ask(decoder, zeros)
            assert type(refused.value).__name__ == "OversizedAudio"
            assert len(await ask(decoder)) == 8000
            assert decoder._idle[0].pid != before

    asyncio.run(work())


def test_a_decoder_that_cannot_start_says_so(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")

    async def work():
        with pytest.raises(ProcessLost, match="did not start"):
            async with AudioDecoder(Limits(), workers=2):
                pytest.fail("it started")

    asyncio.run(work())


# ---------------------------------------------------------------------------------------------- callers


def test_a_caller_that_goes_gives_up_its_place():
    async def work():
        async with AudioDecoder(Limits(), workers=1) as decoder:
            with held(decoder):
                running, waiting, last = await begun(*(ask(decoder) for _ in range(3)))
                assert decoder._waiting == 2
                waiting.cancel()
                running.cancel()
                await asyncio.gather(waiting, running, return_exceptions=True)
                assert decoder._waiting == 1
                assert decoder._waiting_bytes == SMALLEST_SHARE
            assert len(await last) == 8000
            assert len(decoder._idle) == 1
        assert waiting.cancelled()
        assert running.cancelled()

    asyncio.run(work())


def test_first_come_first_served():
    async def work():
        done = []

        async def one(number):
            await ask(decoder)
            done.append(number)

        async with AudioDecoder(Limits(), workers=1) as decoder:
            with held(decoder):
                tasks = await begun(*map(one, range(10)))
            await asyncio.gather(*tasks, *map(one, range(10, 15)))
        assert done == list(range(15))

    asyncio.run(work())


def test_more_than_may_wait_is_refused_at_once():
    async def work():
        async with AudioDecoder(Limits(in_flight_bytes=3 * SMALLEST_SHARE), workers=1) as decoder:
            with held(decoder):
                tasks = await begun(*(ask(decoder) for _ in range(4)))  # one is worked on, three wait
                begin = time.monotonic()
                with pytest.raises(ApiError) as refused:
                    await ask(decoder)
                assert time.monotonic() - begin < 1
                assert (refused.value.status, refused.value.code) == (429, "server_is_overloaded")
                assert refused.value.retry_after is not None
            assert [len(samples) for samples in await asyncio.gather(*tasks)] == [8000] * 4
            assert decoder._waiting == decoder._waiting_bytes == 0
            assert len(await ask(decoder)) == 8000

    asyncio.run(work())


def test_a_recording_larger_than_all_that_may_wait_is_decoded_when_nothing_waits():
    async def work():
        async with AudioDecoder(Limits(in_flight_bytes=10), workers=1) as decoder:
            assert len(await ask(decoder)) == 8000

    asyncio.run(work())


def test_stopping_tells_everybody():
    async def work():
        decoder = AudioDecoder(Limits(), workers=1)
        async with decoder:
            pid = decoder._idle[0].pid
            with held(decoder):
                tasks = await begun(*(ask(decoder) for _ in range(3)))
                await decoder.__aexit__(None, None, None)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        outcomes += await asyncio.gather(ask(decoder), return_exceptions=True)
        assert [(outcome.status, outcome.code) for outcome in outcomes] == [(503, "server_is_draining")] * 4
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        async with decoder:  # it may be opened again
            assert len(await ask(decoder)) == 8000

    asyncio.run(work())


def test_many_at_once():
    speech = [path.read_bytes() for path in sorted(SPEECH.glob("*.flac"))[:3]]
    expected = [audio.read(data) for data in speech]

    async def work():
        async with AudioDecoder(Limits(), workers=2) as decoder:
            return await asyncio.gather(*(ask(decoder, speech[number % 3]) for number in range(60)))

    for number, samples in enumerate(asyncio.run(work())):
        np.testing.assert_array_equal(samples, expected[number % 3])
