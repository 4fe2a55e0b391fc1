"""VoxCeleb1 (Nagrani et al. 2017, arXiv 1706.08612): celebrities in videos."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, CorpusTrial, Listing, existing, lines_of
from sonant.errors import ManifestError

SPLIT, TRIALS = ("iden_split.txt",), ("veri_test2.txt", "voxceleb1_test_v2.txt", "veri_test.txt")
LAYOUT = (
    "VoxCeleb1: dev/wav and test/wav (or wav) with SPEAKER/VIDEO/*.wav, iden_split.txt, and for verification "
    "veri_test2.txt, voxceleb1_test_v2.txt or veri_test.txt"
)
SETS = {"1": "train", "2": "dev", "3": "test"}  # in the split of identification


def identification(folder: Path) -> CorpusSets:
    """Read recordings with the speaker as `label` and `speaker`, by the official split of identification.

    Raises ManifestError.
    """
    listing, roots = Listing(folder), _roots(folder)
    for part, name in _split(folder):
        speaker = name.partition("/")[0]
        listing.add(part, _find(roots, name), label=speaker, speaker=speaker)
    return listing.finish()


def verification(folder: Path) -> CorpusSets:
    """Read speakers that are in no trial for training and development, and the recordings of the trials as test set.

    As in s3prl, the development set is that of the split of identification, without the speakers of the trials.

    Raises ManifestError.
    """
    listing, roots = Listing(folder), _roots(folder)
    trials, files = [], dict[str, Path]()
    path = _first(folder, TRIALS)
    for number, words in enumerate(lines_of(path), 1):
        if len(words) != 3 or words[0] not in ("0", "1"):
            raise ManifestError(f"{path}:{number}: expected 0 or 1 and two recordings, got {' '.join(words)!r:.80}.")
        for name in words[1:]:
            if name not in files:
                files[name] = _find(roots, name)
                listing.add("test", files[name], label=name.partition("/")[0], speaker=name.partition("/")[0])
        trials.append(CorpusTrial(words[0] == "1", files[words[1]], files[words[2]]))
    tested = {name.partition("/")[0] for name in files}
    for part, name in _split(folder):
        speaker = name.partition("/")[0]
        if speaker not in tested:
            listing.add("dev" if part == "dev" else "train", _find(roots, name), label=speaker, speaker=speaker)
    there = {entry.path for entry in listing.sets["test"]}
    usable = [trial for trial in trials if trial.first in there and trial.second in there]
    return listing.finish(trials={"test": usable})


def _split(folder: Path) -> list[tuple[str, str]]:
    """Return set and name of each recording of the split of identification."""
    path = _first(folder, SPLIT)
    rows = lines_of(path)
    for number, words in enumerate(rows, 1):
        if len(words) != 2 or words[0] not in SETS:
            raise ManifestError(f"{path}:{number}: expected 1, 2 or 3 and a recording, got {' '.join(words)!r:.80}.")
    return [(SETS[number], name) for number, name in rows]


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    return existing(folder, names[0], layout=LAYOUT)[0] if found is None else found


def _roots(folder: Path) -> list[Path]:
    found = [path for name in ("dev/wav", "test/wav", "wav") if (path := folder / name).is_dir()]
    if not found:
        raise ManifestError(f"{folder} has no wav. Expected {LAYOUT}.")
    return found


def _find(roots: list[Path], name: str) -> Path:
    """Return the place of a recording, or where it would be."""
    return next((path for root in roots if (path := root / name).is_file()), roots[0] / name)
