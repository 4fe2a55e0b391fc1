"""Query by example in the suite: nothing is trained, and the state is chosen on the development set."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonant
from sonant.errors import ManifestError
from sonant.superb.searches import SEARCHES
from tests.data.corpora.layouts import write_lines
from tests.superb.miniature import write_tiny

RATE = 16_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make documents of tones: number n has query n of both sets."""
    folder = tmp_path_factory.mktemp("searched data")
    rng = np.random.default_rng(0)

    def said(seconds: float) -> np.ndarray:
        return 0.3 * np.sin(np.cumsum(np.repeat(rng.uniform(0.05, 1.2, round(seconds * 20)), RATE // 20)))

    for part in ("documents", "dev", "test"):
        (folder / "qbe" / part).mkdir(parents=True)
    for number in range(3):
        queries = {part: said(0.5) for part in ("dev", "test")}
        whole = np.concatenate([said(0.2), queries["dev"], said(0.1), queries["test"], said(0.2)])
        soundfile.write(folder / f"qbe/documents/d{number}.wav", whole, RATE)
        for part, query in queries.items():
            soundfile.write(folder / f"qbe/{part}/{part}{number}.wav", query, RATE)
    soundfile.write(folder / "qbe/test/short.wav", said(0.1), RATE)  # fewer frames than a query needs
    for part in ("dev", "test"):
        pairs = [f"1\t{part}/{part}{number}.wav\tdocuments/d{number}.wav" for number in range(3)]
        write_lines(folder / "qbe" / f"{part}_trials.txt", *pairs)
    write_tiny(folder)
    return folder


def test_queries_are_found_in_the_documents_that_have_them(folder: Path, tmp_path: Path) -> None:
    def evaluate() -> sonant.superb.SuperbRow:
        (row,) = sonant.evaluate_superb(str(folder / "tiny"), {"qbe": folder / "qbe"}, output=tmp_path).rows
        return row

    row = evaluate()
    (fold,) = row.folds
    assert (row.way, fold.lr, fold.recordings, row.weights) == ("best_layer", None, 4, None)
    assert (fold.dev, row.measures["mtwv"].value) == (1, 1)  # of three queries; the short one is in no document
    kept = next((tmp_path / SEARCHES).glob("qbe-*.json"))
    on_dev = json.loads(kept.read_text())["dev"]
    assert fold.dev == max(on_dev) == on_dev[fold.state or 0]
    before = kept.stat().st_mtime_ns
    assert evaluate() == row
    assert kept.stat().st_mtime_ns == before
    assert "| qbe |" in (tmp_path / "results.md").read_text()


def test_what_cannot_be_searched_is_named(folder: Path, tmp_path: Path) -> None:
    model, data = str(folder / "tiny"), tmp_path / "qbe"
    data.mkdir()
    for part in ("documents", "dev", "test"):
        (data / part).symlink_to(folder / "qbe" / part)
    with pytest.raises(ManifestError, match=r"no .*dev_trials\.txt"):
        sonant.evaluate_superb(model, {"qbe": data}, output=tmp_path / "out")
    for part in ("dev", "test"):
        write_lines(data / f"{part}_trials.txt", f"1 {part}0.wav d9.wav")
    with pytest.raises(ManifestError, match=r"qbe: error: 1 of the 2 names .* d9\.wav(.|\n)*qbe: error"):
        sonant.evaluate_superb(model, {"qbe": data}, output=tmp_path / "out")
    for part in ("dev", "test"):
        write_lines(data / f"{part}_trials.txt", f"1 d0.wav {part}0.wav")
    with pytest.raises(ManifestError, match="expected a query of dev before a document"):
        sonant.evaluate_superb(model, {"qbe": data}, output=tmp_path / "out", on_error="skip")
