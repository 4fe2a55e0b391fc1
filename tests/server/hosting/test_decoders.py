"""Served models decode with the options of the operator, and with the keywords of a request besides."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import sonant
from sonant.decoding.results import Transcript, Word
from sonant.errors import ConfigurationError
from sonant.extraction.decoder_options import DecoderOptions
from sonant.server.hosting.devices import ComputeThreads
from sonant.server.hosting.local_model import LocalModel
from sonant.server.hosting.pool import ModelPool
from sonant.server.hosting.remote_model import RemoteModel, Replica
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue, ServerSettings
from tests.arpa import write_lm
from tests.heads import write_ctc
from tests.server.hosting.test_remote_model import Full, Handle, noise


def test_a_model_decodes_with_its_options_and_keywords_here_and_in_replicas(tmp_path: Path) -> None:
    encoder, wave = sonant.load(write_ctc(tmp_path / "m")), noise(0.4)
    options: dict[str, Any] = {"lm": write_lm(tmp_path / "lm.arpa", ["A", "HAT"]), "beam": 4, "beam_tokens": 4}
    threads, parts = ComputeThreads(), list[Sequence[Word]]()
    settings = ServerSettings(decoder=DecoderOptions(beam=2), decoders={"m": DecoderOptions(**options)})
    local = LocalModel("m", encoder, settings, threads, Metrics())
    remote = RemoteModel("m", encoder, Queue(), Handle(Replica(local)), Full)

    async def answers() -> list[Transcript]:
        return [
            *await local.transcribe([wave], share="a", on_words=parts.append),
            *await local.transcribe([wave], share="a", keywords=["hat"], n_best=2),
            *await remote.transcribe([wave], share="a", keywords=["hat"], n_best=2),
        ]

    plain, here, there = asyncio.run(answers())
    threads.close()
    assert plain.text == encoder.transcribe(wave, **options).text
    assert parts == [], "nothing is certain of one window"
    expected = encoder.transcribe(wave, hot_words=["hat"], n_best=2, **options)
    for found in (here, there):
        assert [each.text for each in found.alternatives] == [each.text for each in expected.alternatives]


def test_certain_words_of_a_beam_are_told_before_the_end(tmp_path: Path) -> None:
    encoder, wave = sonant.load(write_ctc(tmp_path / "m")), noise(8.0)
    options: dict[str, Any] = {"lm": write_lm(tmp_path / "lm.arpa", ["A", "HAT"]), "beam": 4}
    threads, parts = ComputeThreads(), list[Sequence[Word]]()
    settings = ServerSettings(decoder=DecoderOptions(**options), queue=Queue(window_seconds=1.0))
    local = LocalModel("m", encoder, settings, threads, Metrics())
    (found,) = asyncio.run(local.transcribe([wave], share="a", on_words=parts.append))
    threads.close()
    assert found.text == encoder.transcribe(wave, window_seconds=1.0, **options).text
    early = [word.text for words in parts for word in words]
    assert 0 < len(early) < len(found.words)
    assert early == [word.text for word in found.words][: len(early)]


def test_options_that_fit_no_model_are_refused(tmp_path: Path) -> None:
    options = DecoderOptions(lm=tmp_path / "nowhere.arpa")
    with pytest.raises(ConfigurationError, match="decoders names 'nobody', which is no model here"):
        ModelPool(ServerSettings(decoders={"nobody": options}), Metrics())
    threads = ComputeThreads()
    with pytest.raises(ConfigurationError, match="nowhere.arpa"):
        LocalModel("m", sonant.load(write_ctc(tmp_path / "m")), ServerSettings(decoder=options), threads, Metrics())
    threads.close()
