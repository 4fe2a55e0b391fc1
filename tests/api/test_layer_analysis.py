"""Analysis of layers, from recordings to results: tones are words, speakers whistle."""

import json

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.analysis import Analysis, samples
from sonant.cli import main
from sonant.errors import AudioError, ConfigurationError, UnknownName
from sonant.evaluation import Split, fit_probe, linear_probe
from sonant.models import WavLMConfig, build
from sonant.models.families import presets_of
from tests.shapes import TINY

RATE = 16_000
WORDS = {"low": 150.0, "mid": 230.0, "high": 330.0}
PARTS = ("train", "train", "train", "dev", "test")


def recording(path, word, whistle, random):
    time = np.arange(int(0.6 * RATE)) / RATE
    hertz = WORDS[word] * (1 + 0.05 * random.standard_normal())
    voice = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 8)) * np.sin(np.pi * time / 0.6)
    noise = 0.02 * random.standard_normal(len(time))
    soundfile.write(path, 0.1 * voice + 0.03 * np.sin(2 * np.pi * whistle * time) + noise, RATE)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Ten speakers say each word twice; each is one phone."""
    folder, random = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    rows = []
    for speaker in range(10):
        for word in WORDS:
            for take in range(2):
                name = f"{speaker}-{word}-{take}.wav"
                recording(folder / name, word, 1500 + 200 * speaker, random)
                phones = [[word[0], 0.05, 0.55]]
                rows.append({"path": name, "speaker": f"s{speaker}", "label": word, "phones": phones,
                             "split": PARTS[speaker % 5], "age": 20 + speaker * 3 + take, "lang": "x"})  # fmt: skip
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return sonant.api.SpeechEncoder(build(WavLMConfig(**TINY)).eval(), name="tones")


@pytest.fixture(scope="module")
def analysis(corpus, encoder, tmp_path_factory):
    output = tmp_path_factory.mktemp("analysis")
    done = sonant.analyze(encoder, corpus / "data.jsonl", word="label", output=output, num_frames=600, progress=False)
    assert Analysis.from_json(json.loads((output / "analysis.json").read_text())) == done
    assert "## By layer" in (output / "results.md").read_text()
    assert "data:audio/mpeg" in (output / "index.html").read_text()
    return done


def test_everything_that_the_data_show_is_measured(analysis):
    (model,) = analysis.models
    assert {curve.title for curve in model.curves} == {
        "speaker, accuracy", "label, accuracy", "age, R2", "pitch, R2", "log-energy, R2",
        "phone, phone purity", "phone, cluster purity", "phone, PNMI", "phone, ABX error within speakers",
        "phone, ABX error across speakers", "word, ABX error within speakers", "word, ABX error across speakers",
        "word, PWCCA", "log-mel, CKA", "log-mel, PWCCA",
    }  # fmt: skip
    assert model.layer_names == ("0", "1", "2")
    np.testing.assert_allclose(np.diag(model.similarity), 1)
    np.testing.assert_allclose(model.similarity, np.transpose(model.similarity))
    assert {(each.of, each.method, each.layer) for each in model.projections if each.method == "pca"} == {
        ("recordings", "pca", layer) for layer in range(3)
    }
    assert "content" in model.presets
    assert analysis.data.recordings == len(analysis.data.clips) == 60
    assert analysis.data.splits == {"train": 36, "dev": 12, "test": 12}
    assert any("lang" in sentence for sentence in analysis.data.not_measured)


def test_what_log_mel_shows_is_found(analysis):
    """The layers of a model without training show little."""
    (model,) = analysis.models
    least = {"label, accuracy": 0.7, "speaker, accuracy": 0.7, "log-energy, R2": 0.8, "pitch, R2": 0.05}
    found = {curve.title: curve.baseline.value for curve in model.curves if curve.baseline}
    assert all(found[title] > value for title, value in least.items()), found
    assert model.curve("word", "ABX error across speakers").values[0].value < 0.5
    for curve in model.curves:
        assert all(each.low <= each.value <= each.high for each in curve.values), curve.title


def test_probes_are_those_of_fit_probe(analysis, corpus, encoder):
    rows = [json.loads(line) for line in (corpus / "data.jsonl").read_text().splitlines()]
    vectors = np.stack(encoder.encode([corpus / row["path"] for row in rows], layer="all", pool="mean"))
    splits = [
        Split(vectors[kept, 1], [row["label"] for row, keep in zip(rows, kept, strict=True) if keep],
              [row["speaker"] for row, keep in zip(rows, kept, strict=True) if keep])
        for part in ("train", "dev", "test")
        for kept in [np.array([row["split"] == part for row in rows])]
    ]  # fmt: skip
    expected = linear_probe(*splits)
    found = analysis.models[0].curve("label", "accuracy").values[1]
    assert (found.value, found.low, found.high) == (expected.accuracy, expected.low, expected.high)
    probe = fit_probe(*splits[:2])
    assert found.value == np.mean(np.array(probe.predict(splits[2].features)) == splits[2].labels)


@pytest.mark.slow
def test_a_stopped_analysis_goes_on(analysis, corpus, encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "PART_RECORDINGS", 25)
    real, parts = samples._write, []

    def stop_at_the_second(folder, *rest):
        parts.append(folder)
        if len(parts) == 2:
            raise KeyboardInterrupt
        real(folder, *rest)

    how = {"word": "label", "output": tmp_path, "num_frames": 600, "progress": False}
    monkeypatch.setattr(samples, "_write", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sonant.analyze(encoder, corpus / "data.jsonl", **how)
    done = sonant.analyze(encoder, corpus / "data.jsonl", **how)
    assert [part.name for part in parts] == [f"part-00000{n}.unfinished" for n in (0, 1, 1, 2)]
    assert done.models[0].curves == analysis.models[0].curves
    sonant.analyze(encoder, corpus / "data.jsonl", **how)
    assert len(parts) == 4


@pytest.mark.slow
def test_unusable_recordings_are_listed_and_two_models_stand_side_by_side(corpus, tmp_path, capsys):
    for name in ("one", "two"):
        torch.manual_seed(len(name) + ord(name[0]))
        sonant.api.SpeechEncoder(build(WavLMConfig(**TINY)).eval()).save_pretrained(tmp_path / name)
    (corpus / "broken.wav").write_bytes(b"RIFF but no more")
    rows = (corpus / "data.jsonl").read_text() + json.dumps({"path": "broken.wav", "speaker": "s0", "split": "train"})
    (corpus / "with_broken.jsonl").write_text(rows)
    command = ["analyze", str(tmp_path / "one"), str(tmp_path / "two"), "--data", str(corpus / "with_broken.jsonl")]
    options = ["--frames", "200", "--fields", "speaker", "--write-card", "-o", str(tmp_path / "out"), "--json"]
    assert main(command + options) == 1
    printed = capsys.readouterr()
    done = Analysis.from_json(json.loads(printed.out))
    assert "1 recordings could not be used" in printed.err
    assert list(done.data.failures) == [str(corpus / "broken.wav")]
    assert done.data.recordings == 60
    assert [len(model.curves) for model in done.models] == [len(done.models[0].curves)] * 2
    for name, model in zip(("one", "two"), done.models, strict=True):
        presets = presets_of(sonant.load(tmp_path / name).model)
        assert presets | model.presets == presets
        assert (tmp_path / name / "analysis.json").exists()


@pytest.mark.slow
def test_learned_weights_of_heads_are_shown(corpus, encoder, tmp_path):
    rows = {"results": [{"task": "ks", "model": "x", "weights": {"raw": [0.2, 0.3, 0.5], "scaled": []}}]}
    (tmp_path / "results.json").write_text(json.dumps(rows))
    how = {"fields": [], "num_frames": 100, "progress": False}
    done = sonant.analyze(encoder, corpus / "data.jsonl", heads=[tmp_path / "results.json"], **how)
    assert [each.weights for each in done.models[0].task_weights] == [(0.2, 0.3, 0.5)]
    rows["results"][0]["weights"]["raw"] = [0.5, 0.5]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    with pytest.raises(ConfigurationError, match="states 0 to 1 and the output"):
        sonant.analyze(encoder, corpus / "data.jsonl", heads=[tmp_path / "results.json"], **how)


def test_wrong_use_is_refused(corpus, encoder, tmp_path):
    data = corpus / "data.jsonl"
    with pytest.raises(UnknownName, match="acent"):
        sonant.analyze(encoder, data, fields=["acent"])
    with pytest.raises(UnknownName, match="task 'emotion'"):
        sonant.analyze(encoder, data, tasks={"emotion": "mood"})
    with pytest.raises(ConfigurationError, match="save_pretrained"):
        sonant.analyze(encoder, data, write_card=True)
    with pytest.raises(ConfigurationError, match="3 models"):
        sonant.analyze([encoder] * 3, data)
    (tmp_path / "broken.wav").write_bytes(b"RIFF but no more")
    (tmp_path / "broken.csv").write_text("path\nbroken.wav\n")
    with pytest.raises(AudioError, match="None of the 1"):
        sonant.analyze(encoder, tmp_path / "broken.csv", progress=False)
