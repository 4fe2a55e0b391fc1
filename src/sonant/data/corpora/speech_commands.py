"""Speech Commands v0.01 (Warden 2018, arXiv 1804.03209): single words; in SUPERB of 12 classes."""

from pathlib import Path

from sonant import audio
from sonant.audio import Segment
from sonant.data.corpora.listing import CorpusSets, Listing, existing, files, text_of
from sonant.errors import AudioError, ManifestError

LAYOUT = (
    "Speech Commands: a folder for each word, _background_noise_, validation_list.txt and testing_list.txt (in "
    "speech_commands_v0.01 or the folder itself); where speech_commands_test_set_v0.01 is beside it, its 12 folders "
    "are the test set"
)
TRAINING, TEST = "speech_commands_v0.01", "speech_commands_test_set_v0.01"
WORDS = tuple("yes no up down left right on off stop go".split())
SILENCE, UNKNOWN, NOISE = "_silence_", "_unknown_", "_background_noise_"
CLIP_SECONDS = 1.0


def keywords(folder: Path) -> CorpusSets:
    """Read recordings with a `label` of the 10 words, "_unknown_" or "_silence_", and `speaker`.

    SUPERB's development set is the validation list, and its test set the separate archive. Where that is missing, the
    testing list is the test set, and the noises are divided by time: the first 80 % of each trains, then 10 % each for
    development and test; otherwise 90 % train. A second of noise is a recording of silence, of which s3prl draws others
    for each epoch.

    Raises ManifestError.
    """
    root = folder / TRAINING if (folder / TRAINING).is_dir() else folder
    lists = existing(root, "validation_list.txt", "testing_list.txt", layout=LAYOUT)
    part_of = {
        line.strip(): part
        for part, path in zip(("dev", "test"), lists, strict=True)
        for line in text_of(path).splitlines()
        if line.strip()
    }
    listing = Listing(folder)
    apart = next((path for path in (folder / TEST, root.parent / TEST) if path.is_dir()), None)
    for path in files(root, "*/*.wav"):
        word, name = path.parent.name, f"{path.parent.name}/{path.name}"
        part = part_of.pop(name, "train")
        if word != NOISE and (part != "test" or apart is None):
            listing.add(part, path, label=word if word in WORDS else UNKNOWN, word=word, speaker=_speaker(path))
    for name in part_of:
        listing.problem("recordings that a list names are missing", name)
    _add_noises(listing, root / NOISE, with_test=apart is None)
    if apart is not None:
        _add_test(listing, apart)
    return listing.finish()


def _speaker(path: Path) -> str:
    return path.name.partition("_nohash_")[0]


def _add_noises(listing: Listing, folder: Path, *, with_test: bool) -> None:
    """Divide each noise into seconds."""
    existing(folder.parent, NOISE, layout=LAYOUT)
    ends = {"train": 0.8, "dev": 0.9, "test": 1.0} if with_test else {"train": 0.9, "dev": 1.0}
    for path in files(folder, "*.wav"):
        try:
            seconds = int(audio.duration(path) / CLIP_SECONDS)
        except AudioError:
            listing.problem("noises cannot be read", listing.name(path))
            continue
        for second in range(seconds):
            part = next(part for part, end in ends.items() if second < end * seconds or end == 1.0)
            start = second * CLIP_SECONDS
            listing.add(part, path, Segment(start, start + CLIP_SECONDS), label=SILENCE)


def _add_test(listing: Listing, folder: Path) -> None:
    classes = {*WORDS, SILENCE, UNKNOWN}
    found = [path.name for path in files(folder, "*") if path.is_dir()]
    if strange := [name for name in found if name not in classes]:
        raise ManifestError(f"{folder} has folders of other classes: {', '.join(strange)}. Expected {LAYOUT}.")
    for path in files(folder, "*/*.wav"):
        listing.add("test", path, label=path.parent.name)
