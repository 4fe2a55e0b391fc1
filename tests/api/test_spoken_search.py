"""Search of recordings for a recorded query, from Python and the command line."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonant
from sonant.cli import main
from sonant.errors import ConfigurationError, NoSpeech, SonantError, SonantWarning, TooShortAudio
from sonant.models import WavLMConfig
from tests.shapes import SMALL
from tests.training.tasks.tones import write_model

RATE = 16_000


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make recordings of tones, of which the second has the query from 0.6 to 1 s."""
    folder = tmp_path_factory.mktemp("spoken")
    (folder / "talks").mkdir()
    rng = np.random.default_rng(0)

    def noise(seconds: float) -> np.ndarray:
        return 0.3 * np.sin(np.cumsum(np.repeat(rng.uniform(0.05, 1.2, round(seconds * 20)), RATE // 20)))

    query = noise(0.4)
    for number in range(4):
        parts = [noise(0.6), query if number == 1 else noise(0.4), noise(0.5)]
        soundfile.write(folder / f"talks/{number}.wav", np.concatenate(parts), RATE)
    (folder / "talks/broken.wav").write_bytes(b"RIFF")
    (folder / "queries").mkdir()
    soundfile.write(folder / "queries/a.wav", query, RATE)
    soundfile.write(folder / "queries/b.wav", noise(0.3), RATE)
    soundfile.write(folder / "short.wav", query[:700], RATE)
    write_model(folder / "model", WavLMConfig(**SMALL))
    return folder


def test_a_query_is_found_where_it_is_said(spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encoder = sonant.load(spoken / "model")
    queries = [spoken / "queries/a.wav", spoken / "queries/b.wav"]
    failed: list[str] = []
    found, other = encoder.search(
        queries, spoken / "talks", layer=1, index=tmp_path / "index", on_failure=lambda name, _: failed.append(name)
    )
    assert failed == ["broken.wav"]
    assert found[0].path == "1.wav"
    assert (found[0].start_seconds, found[0].end_seconds) == pytest.approx((0.6, 1.0), abs=0.1)
    assert found[0].score > 1.5
    assert found[0].score == max(each.score for each in found)
    assert [each.distance for each in found] == sorted(each.distance for each in found)
    assert len(found) == len(other) == 4
    how = {"layer": 1, "on_failure": lambda *_: None}
    assert encoder.search(queries[1], spoken / "talks", index=tmp_path / "index", **how) == other
    assert sonant.search(queries[0], spoken / "talks", model=encoder, top=2, **how) == found[:2]
    with pytest.raises(ConfigurationError, match="layer"):
        encoder.search(queries[0], spoken / "talks", index=tmp_path / "index", layer=0)
    arguments = [str(spoken / "queries"), str(spoken / "talks"), "-m", str(spoken / "model"), "--layer", "1"]
    assert main(["search", *arguments, "--top", "1", "--json"]) == 1
    printed = capsys.readouterr()
    assert "broken.wav" in printed.err
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [(each["query"], each["path"]) for each in lines] == [
        (str(queries[0]), "1.wav"),
        (str(queries[1]), other[0].path),
    ]


def test_several_places_of_a_recording_and_what_cannot_be_searched(spoken: Path) -> None:
    encoder = sonant.load(spoken / "model")
    places = encoder.search(spoken / "queries/b.wav", spoken / "talks/0.wav", per_recording=3)
    spans = sorted((each.start_seconds, each.end_seconds) for each in places)
    assert len(spans) > 1
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert {each.score for each in places} == {0.0}
    with pytest.raises(TooShortAudio, match="short.wav: .* expected at least"):
        encoder.search(spoken / "short.wav", spoken / "talks/0.wav")
    with pytest.raises(NoSpeech, match="the query is silent"):
        encoder.search((np.zeros(RATE, np.float32), RATE), spoken / "talks/0.wav")
    with pytest.raises(NoSpeech, match="the query is silent"):
        encoder.search([(np.zeros(RATE, np.float32), RATE)], spoken / "talks/0.wav", on_error="raise")
    with pytest.raises(ConfigurationError, match="top=0"):
        encoder.search(spoken / "queries/b.wav", spoken / "talks/0.wav", top=0)
    with pytest.raises(SonantError, match=r"None of the recordings|broken"):
        encoder.search(spoken / "queries/b.wav", spoken / "talks/broken.wav")


def test_queries_that_cannot_be_used_stop_no_other(
    spoken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes((spoken / "queries/a.wav").read_bytes())
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    arguments = ["-m", str(spoken / "model"), "--layer", "1"]
    assert main(["search", str(tmp_path), str(spoken / "talks/1.wav"), *arguments]) == 1
    printed = capsys.readouterr()
    assert "silent.wav: the query is silent" in printed.err
    assert [line.split("\t")[:2] for line in printed.out.splitlines()] == [[str(tmp_path / "a.wav"), "1.wav"]]

    encoder = sonant.load(spoken / "model")
    queries = [tmp_path / "silent.wav", tmp_path / "a.wav"]
    with pytest.warns(SonantWarning, match="1 of 2 queries could not be used; an empty list stands for them"):
        silent, found = encoder.search(queries, spoken / "talks/1.wav", layer=1)
    assert (silent, found) == ([], [encoder.search(queries[1], spoken / "talks/1.wav", layer=1)[0]])
    assert main(["search", str(queries[0]), str(spoken / "talks/1.wav"), *arguments]) == 1
