"""Verification on trials is that of the embeddings, one pair after another."""

import json
from pathlib import Path

import numpy as np
import pytest

import sonant
from sonant.cli import main
from sonant.data import read_manifest
from sonant.errors import ManifestError
from sonant.evaluation import as_norm, eer, speaker_means
from tests.heads import write_xvector
from tests.training.tasks.voices import write_voices


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("voices")
    write_voices(folder / "test", 4, 2)
    write_voices(folder / "cohort", 3, 2, seed=1)
    write_xvector(folder / "model")
    rows = ["1 0-0-0.wav 0-0-1.wav", "0 0-0-0.wav 0-1-0.wav", "1 0-1-0.wav 0-1-1.wav", "0 0-2-0.wav 0-3-1.wav"]
    (folder / "trials.txt").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("whole", [False, True])
def test_scores_are_those_of_pairs(whole: bool, voices: Path) -> None:
    encoder = sonant.load(voices / "model")
    done = sonant.evaluate_asv(voices / "test", encoder, trials=voices / "trials.txt", whole=whole)
    expected = []
    for one, other in done.trials:
        if whole:
            left, right = encoder.speaker_vectors([one, other])
            expected.append(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
        else:
            expected.append(encoder.verify(one, other).score)
    np.testing.assert_allclose(done.scores, expected, atol=1e-5)
    assert done.measures["eer"]["value"] == pytest.approx(eer(done.scores, [1, 0, 1, 0]))
    assert done.measures["eer"]["low"] is not None


def test_a_cohort_normalizes_them(voices: Path) -> None:
    encoder = sonant.load(voices / "model")
    done = sonant.evaluate_asv(voices / "test", encoder, cohort=voices / "cohort", top=2)
    entries, cohort = read_manifest(voices / "test"), read_manifest(voices / "cohort")
    vectors, others = (np.stack([each.vector for each in encoder.voice_samples(rows)]) for rows in (entries, cohort))
    names = [entry.name for entry in entries]
    pairs = [(names.index(one), names.index(other)) for one, other in done.trials]
    assert len(pairs) == 28
    means = speaker_means(others, [entry.fields["speaker"] for entry in cohort])
    np.testing.assert_allclose(done.scores, as_norm(vectors, pairs, means, top=2), atol=1e-3, rtol=1e-3)


def test_a_recording_that_cannot_be_used_leaves_its_trials_out(
    voices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in (voices / "test/manifest.jsonl").read_text().splitlines()]
    rows = [row | {"path": str(voices / "test" / row["path"])} for row in rows]
    (tmp_path / "0-3-1.wav").write_bytes(b"no audio")
    rows[-1]["path"] = str(tmp_path / "0-3-1.wav")
    (tmp_path / "asv.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = [str(tmp_path / "asv.jsonl"), "-m", str(voices / "model"), "--trials", str(voices / "trials.txt")]
    assert main(["evaluate", "asv", *given, "--json", "--scores", str(tmp_path / "scores.txt")]) == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["trials"], found["targets"], found["skipped"]) == (3, 2, 1)
    assert list(found["failures"]) == [str(tmp_path / "0-3-1.wav")]
    assert "1 trials were left out" in shown.err
    assert len((tmp_path / "scores.txt").read_text().splitlines()) == 3
    assert main(["evaluate", "asv", str(voices / "test"), *given[1:]]) == 0
    assert "EER %" in capsys.readouterr().out
    rows[0]["speaker"] = None
    (tmp_path / "asv.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ManifestError, match="1 of 8 rows have no 'speaker'"):
        sonant.evaluate_asv(tmp_path / "asv.jsonl", voices / "model")
