"""IEMOCAP (Busso et al. 2008): acted dialogues of five sessions with two speakers each, with emotions."""

import re
from hashlib import sha256
from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files, text_of

LAYOUT = (
    "IEMOCAP: Session1 to Session5, each with dialog/EmoEvaluation/*.txt and sentences/wav/DIALOGUE/*.wav (in "
    "IEMOCAP_full_release or the folder itself)"
)
SESSIONS = 5
EMOTIONS = {"neu": "neutral", "hap": "happy", "exc": "happy", "sad": "sad", "ang": "angry"}  # SUPERB's four
DEV_SHARE = 0.2
LINE = re.compile(r"^\[[^\]]+\]\t(\S+)\t(\S+)\t")


def emotions(folder: Path, fold: int = 1) -> CorpusSets:
    """Read recordings with a `label` of four emotions, and `speaker`; excited is happy, other emotions are left out.

    One session is the test set. A fifth of the other four, chosen by the names of the recordings, is the development
    set, as in SUPERB, whose choice is random: it has the speakers of the training set.

    Args:
        fold: number of the session of the test set, from 1.

    Raises ManifestError.
    """
    root = folder / "IEMOCAP_full_release" if (folder / "IEMOCAP_full_release").is_dir() else folder
    listing = Listing(folder)
    sessions = existing(root, *(f"Session{number}" for number in range(1, SESSIONS + 1)), layout=LAYOUT)
    for number, session in enumerate(sessions, 1):
        listed = set()
        for evaluation in files(session, "dialog/EmoEvaluation/Ses*.txt"):
            for line in text_of(evaluation).splitlines():
                if not (found := LINE.match(line)):
                    continue
                name, emotion = found.groups()
                dialogue = name.rpartition("_")[0]
                path = session / "sentences" / "wav" / dialogue / f"{name}.wav"
                listed.add(path)
                if emotion in EMOTIONS:
                    part = "test" if number == fold else "dev" if _draw(name) < DEV_SHARE else "train"
                    speaker = f"Ses{number:02}{name.rpartition('_')[2][0]}"
                    listing.add(part, path, label=EMOTIONS[emotion], speaker=speaker)
        listing.unlabeled(path for path in files(session, "sentences/wav/*/*.wav") if path not in listed)
    return listing.finish()


def _draw(name: str) -> float:
    """Return a number from 0 to 1 that depends on a name alone."""
    return int.from_bytes(sha256(name.encode()).digest()[:4]) / 2**32
