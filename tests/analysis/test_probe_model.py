"""The probing benchmark, from recordings to tables, on tones: words are pitches, speakers whistle."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.checkpoints import save_pretrained
from sonant.errors import ManifestError
from sonant.models import WavLMConfig, build

PROGRAM = Path(__file__).parents[2] / "benchmarks/probe_model.py"
PITCHES = {"low": 200.0, "mid": 450.0, "high": 900.0}
SPEAKERS = {"ann": 2500.0, "bob": 4000.0, "cat": 6500.0}


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("probe_model", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tone(pitch, whistle, generator):
    """0.3 s of a word's pitch below a speaker's whistle, in noise."""
    seconds = np.arange(4800) / 16_000
    return sum(
        0.1 * np.sin(2 * np.pi * hertz * seconds + generator.uniform(0, 6)) for hertz in (pitch, whistle)
    ) + 0.01 * generator.normal(size=4800)


def write_manifest(folder, name, *, labels, speakers, repeats, generator):
    """Every label by every speaker; the label is the speaker where `labels` is None."""
    file = folder / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for speaker in speakers:
        for word, pitch in PITCHES.items():
            for repeat in range(repeats):
                path = f"{file.stem}/{speaker}-{word}-{repeat}.wav"
                (file.parent / file.stem).mkdir(exist_ok=True)
                soundfile.write(file.parent / path, tone(pitch, SPEAKERS[speaker[:3]], generator), 16_000)
                rows.append({"path": path, "speaker": speaker, "label": speaker if labels is None else word})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    generator = np.random.default_rng(0)
    for part in ("train", "dev", "test"):
        for task in ("commands", "digits"):
            write_manifest(
                folder, f"keywords/{task}_{part}", labels=PITCHES, speakers=SPEAKERS, repeats=2, generator=generator
            )
        write_manifest(folder, f"speaker/sid_{part}", labels=None, speakers=SPEAKERS, repeats=2, generator=generator)
    unheard = [f"{speaker}2" for speaker in SPEAKERS]
    rows = write_manifest(folder, "speaker/asv", labels=None, speakers=unheard, repeats=1, generator=generator)
    trials = [f"{int(a['speaker'] == b['speaker'])} {a['path']} {b['path']}" for a in rows for b in rows if a is not b]
    (folder / "speaker/trials.txt").write_text("\n".join(trials) + "\n")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(99)  # not a seed of the random weights below
    shape = {"conv_channels": (16,) * 7, "dim": 32, "num_layers": 2, "num_heads": 2, "feed_forward_dim": 32}
    save_pretrained(build(WavLMConfig(**shape)), folder)
    return folder


def run(program, corpus, out, *arguments):
    program.main(["--data", str(corpus), "--out", str(out), *map(str, arguments)])
    results = json.loads((out / "probes.json").read_text())["results"]
    return {(row["task"], row["pool"], row["system"], row["run"], row["layer"]): row for row in results}


@pytest.mark.slow
def test_every_measure_of_every_system_and_layer(program, corpus, model, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    results = run(program, corpus, tmp_path, "--model", model, "--cache", cache, "--random-seeds", 2)
    tasks, pools = ("keywords", "digits", "sid", "asv"), ("mean", "mean+std")
    expected = {(task, pool, "MFCC", 0, 0) for task in tasks for pool in pools}
    for layer in range(3):
        expected |= {
            (task, pool, system, 0, layer) for task in tasks for pool in pools for system in ("model", "random weights")
        }
        expected |= {("keywords", pool, "random weights", 1, layer) for pool in pools}
    assert set(results) == expected
    for task in ("keywords", "digits", "sid"):
        assert results[task, "mean", "MFCC", 0, 0]["accuracy"] > 0.6, "pitches and whistles are plain to MFCC"
    assert results["asv", "mean", "MFCC", 0, 0]["scoring"] in program.SCORINGS
    assert (tmp_path / "probes_mean_std.png").stat().st_size > 1000
    page = (tmp_path / "probes.md").read_text()
    assert "| speaker verification EER |" in page
    assert page.count("## By layer") == 2

    mfcc = [file for file in cache.iterdir() if np.load(file).shape[1:] == (1, 78)]
    assert len(mfcc) == 10, "one file a manifest"
    monkeypatch.setattr(program, "mfcc_statistics", None)  # the second run must take the features from the cache
    again = run(program, corpus, tmp_path / "again", "--cache", cache)
    assert all(again[key] == results[key] for key in again)


def test_watching_measures_keywords_only(program, corpus, model, tmp_path):
    results = run(program, corpus, tmp_path, "--model", model, "--watch")
    assert {key[:3] for key in results} == {("keywords", "mean+std", "MFCC"), ("keywords", "mean+std", "model")}
    for file in ("probes.md", "probes.json"):
        text = (tmp_path / file).read_text()
        assert model.name in text
        assert str(model.parent) not in text, "results are published: where the folder lay is nobody's business"


def test_random_weights_differ_by_seed_and_from_the_model(program, model):
    options = program.parse(["--data", "d", "--out", "o", "--model", str(model), "--random-seeds", "2"])
    assert len({system.identity for system, _ in program.systems(options)}) == 4


def test_fewer_speakers_on_request(program, corpus):
    train, dev, test = program.Corpus(corpus, num_sid_speakers=2).splits("sid")
    assert {recording.fields["label"] for recording in [*train, *dev, *test]} == {"ann", "bob"}
    assert len(program.Corpus(corpus).splits("sid")[0]) == 18


def test_a_trial_of_an_unknown_recording_is_named(program, corpus, tmp_path):
    broken = tmp_path / "broken/speaker"
    broken.mkdir(parents=True)
    (broken / "asv.jsonl").write_text((corpus / "speaker/asv.jsonl").read_text())
    (broken / "trials.txt").write_text("1 asv/nobody.wav asv/nowhere.wav\n")
    with pytest.raises(ManifestError, match=r"trials\.txt:1.*nobody"):
        program.Corpus(broken.parent).trials()
