"""Processes may be lost, callers may go, too many may come: the others never notice."""

import asyncio
import io
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant import audio
from sonant.errors import AudioError, MissingChannel, UndecodableAudio
from sonant.server.errors import ApiError
from sonant.server.intake.decoder import MORE_PROCESSES, AudioDecoder
from sonant.server.intake.process import ProcessLost
from sonant.server.settings import Limits
from tests.formats import LIBSNDFILE
from tests.server.intake import forge
from tests.server.intake.malformed import FFMPEG, recording

SPEECH = Path(__file__).parents[3] / "examples" / "speech"
GOOD = recording("wav")
SLOW = forge.flac(3000, channels=8, rate=655350, promised=0)  # five minutes: five gigabytes on the way to 20 MB
LAVISH = Limits(decoded_bytes=1 << 40)


async def ask(decoder, data=GOOD, share="a", **how):
    decoded = await decoder.decode(data, share=share, sampling_rate=16000, min_samples=400, **how)
    (waveform,) = decoded.channels
    return waveform


async def settled(decoder, workers):
    """Wait until there is one process more than there are workers, and nothing is to be done."""
    while len(decoder._idle) <= workers or decoder._tasks:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


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
    decoded = run(decoder.decode(data, share="a", sampling_rate=16000, min_samples=400, channel=channel))
    expected = np.atleast_2d(audio.read(data, channel=channel))
    assert decoded.channels.shape == expected.shape
    np.testing.assert_allclose(decoded.channels, expected, atol=1e-5)
    assert decoded.warnings == ()


def test_what_is_odd_is_told(run, decoder):
    one = np.random.default_rng(0).normal(0, 0.1, 16000)
    data = stereo(np.stack([one, -one], axis=1))
    decoded = run(decoder.decode(data, share="a", sampling_rate=16000, min_samples=400))
    assert len(decoded.warnings) == 1
    assert "channel=0" in decoded.warnings[0]
    assert run(decoder.decode(data, share="a", sampling_rate=16000, min_samples=400, channel=1)).warnings == ()


def test_a_channel_that_is_not_there(run, decoder):
    with pytest.raises(MissingChannel, match="channel 2"):
        run(ask(decoder, stereo(np.ones((900, 2))), channel=2))


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


def test_processes_killed_while_idle_cost_nobody_anything():
    async def work():
        async with AudioDecoder(Limits(), workers=1) as decoder:
            await settled(decoder, 1)
            before = {worker.pid for worker in decoder._idle}
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert len(await ask(decoder)) == 8000
            await settled(decoder, 1)
            assert before.isdisjoint(worker.pid for worker in decoder._idle)

    asyncio.run(work())


def test_a_crash_costs_only_the_recording_that_caused_it():
    async def work():
        async with AudioDecoder(LAVISH, workers=2) as decoder:
            await settled(decoder, 2)
            failing, *tasks = await begun(ask(decoder, SLOW), *(ask(decoder) for _ in range(6)))
            await asyncio.gather(*tasks)
            (victim,) = decoder._processes - set(decoder._idle)
            os.kill(victim.pid, signal.SIGSEGV)
            tasks += await begun(*(ask(decoder) for _ in range(20)))
            assert all(len(samples) == 8000 for samples in await asyncio.gather(*tasks))
            with pytest.raises(UndecodableAudio, match="broke down"):
                await failing
            await settled(decoder, 2)  # it is replaced
            assert victim not in decoder._processes

    asyncio.run(work())


def test_what_takes_too_long_is_ended():
    async def work():
        async with AudioDecoder(replace(LAVISH, decode_seconds=0.2), workers=1) as decoder:
            (task,) = await begun(ask(decoder, SLOW))
            (victim,) = decoder._processes - set(decoder._idle)
            with pytest.raises(ApiError) as refused:
                await task
            assert (refused.value.status, refused.value.code) == (400, "audio_decode_timeout")
            assert len(await ask(decoder)) == 8000
            await settled(decoder, 1)
            with pytest.raises(ProcessLookupError):
                os.kill(victim.pid, 0)

    asyncio.run(work())


@pytest.mark.slow
def test_what_takes_too_much_memory_is_ended():
    zeros = forge.wav(bytes(300 << 20))

    async def work():
        async with AudioDecoder(Limits(audio_bytes=1 << 20, audio_seconds=10), workers=1) as decoder:
            before = set(decoder._idle)
            decoder._limits = Limits(audio_bytes=1 << 30)  # lets through what the process was not made for
            with pytest.raises(AudioError, match="more memory") as refused:
                await ask(decoder, zeros)
            assert type(refused.value).__name__ == "OversizedAudio"
            assert len(await ask(decoder)) == 8000
            await settled(decoder, 1)
            assert not before <= decoder._processes

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
            await settled(decoder, 1)
            with held(decoder):
                running, second, waiting, last = await begun(*(ask(decoder) for _ in range(4)))
                assert len(decoder._turns) == 1
                for task in (waiting, second):
                    task.cancel()
                    await asyncio.wait([task])
                assert len(decoder._lines) == 1
                running.cancel()
                await asyncio.sleep(0.01)
                assert not running.done()  # its turn cannot be interrupted
            assert len(await last) == 8000
            assert running.cancelled()
            assert (len(decoder._idle), len(decoder._lines)) == (2, 0)

    asyncio.run(work())


def test_a_long_recording_that_nobody_waits_for_is_dropped():
    async def work():
        async with AudioDecoder(LAVISH, workers=1) as decoder:
            await settled(decoder, 1)
            before = set(decoder._idle)
            (task,) = await begun(ask(decoder, SLOW))
            task.cancel()
            await asyncio.wait([task], timeout=2)
            assert task.cancelled()
            assert set(decoder._idle) == before
            assert len(await ask(decoder)) + len(await ask(decoder)) == 16000

    asyncio.run(work())


# ---------------------------------------------------------------------------------------------- turns


def test_a_short_recording_of_another_is_decoded_between_two_turns_of_a_long_one():
    async def work():
        async with AudioDecoder(LAVISH, workers=1) as decoder:
            await settled(decoder, 1)
            long = await begun(*(ask(decoder, SLOW, "long") for _ in range(20)))
            for _ in range(5):
                assert len(await ask(decoder, share="short")) == 8000
            assert not any(task.done() for task in long)
            for task in long:
                task.cancel()
            await asyncio.wait(long)

    asyncio.run(work())


def test_many_accounts_with_long_recordings_leave_a_process_in_the_end():
    """There are fewer processes than recordings: some wait for one, and none is left out."""
    medium = forge.flac(20, channels=8, rate=655350, promised=0)

    async def work():
        async with AudioDecoder(LAVISH, workers=1) as decoder:
            tasks = [ask(decoder, medium, str(number)) for number in range(MORE_PROCESSES + 4)]
            lengths = [len(samples) for samples in await asyncio.gather(*tasks)]
            assert len(set(lengths)) == 1
            assert len(await ask(decoder)) == 8000
            await settled(decoder, 1)  # processes that are not needed any more are stopped
            assert len(decoder._processes) == len(decoder._idle) == 2

    asyncio.run(work())


def test_as_much_as_the_header_says_is_admitted_before_it_is_decoded():
    class TooMuch(Exception):
        pass

    def refuse(channels, samples):
        asked.append((channels, samples))
        raise TooMuch

    asked = []

    async def work():
        async with AudioDecoder(LAVISH, workers=1) as decoder:
            await settled(decoder, 1)
            before = set(decoder._idle)
            data = stereo(np.zeros((44100 * 5, 2)), 44100)
            with pytest.raises(TooMuch):
                await decoder.decode(data, share="a", sampling_rate=16000, min_samples=400, channel="all", admit=refuse)
            assert len(await ask(decoder)) == 8000
            assert set(decoder._idle) == before

    asyncio.run(work())
    assert asked == [(2, 80000)]


def test_what_goes_beyond_the_header_is_admitted_as_it_comes():
    def admit(channels, samples):
        taken.append(channels * samples)
        if sum(taken) > 160_000:
            raise ApiError(413, "too_much", "Too much.")

    taken = []

    async def work():
        async with AudioDecoder(LAVISH, workers=1) as decoder:
            await settled(decoder, 1)
            before = set(decoder._idle)
            with pytest.raises(ApiError, match="Too much"):
                await ask(decoder, SLOW, admit=admit)
            assert set(decoder._idle) == before
            taken.clear()
            assert len(await ask(decoder, admit=admit)) == sum(taken) == 8000

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


def test_stopping_tells_everybody():
    async def work():
        decoder = AudioDecoder(Limits(), workers=1)
        async with decoder:
            await settled(decoder, 1)
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
