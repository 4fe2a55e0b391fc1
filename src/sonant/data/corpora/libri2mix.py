"""Libri2Mix (Cosentino et al. 2020, arXiv 2005.11262): mixtures of two speakers of LibriSpeech."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files
from sonant.data.kaldi import scp_recordings
from sonant.data.rttm import read_rttm

SEPARATION_LAYOUT = (
    "Libri2Mix at 16 kHz, min: wav16k/min with train-100, dev and test, each with mix_clean, s1 and s2 (in Libri2Mix "
    "or the folder itself)"
)
DIARIZATION_LAYOUT = (
    "Kaldi folders of Libri2Mix, as SUPERB's script prepare_diarization.py makes them: train, dev and test, each with "
    "wav.scp and rttm"
)
PARTS = {"train": "train-100", "dev": "dev", "test": "test"}


def separation(folder: Path) -> CorpusSets:
    """Read mixtures with the paths of their sources, `source_1` and `source_2`. Raises ManifestError."""
    root = folder / "Libri2Mix" if (folder / "Libri2Mix").is_dir() else folder
    names = [f"wav16k/min/{part}" for part in PARTS.values()]
    listing = Listing(folder)
    for part, where in zip(PARTS, existing(root, *names, layout=SEPARATION_LAYOUT), strict=True):
        mixtures, *sources = existing(where, "mix_clean", "s1", "s2", layout=SEPARATION_LAYOUT)
        mixed = files(mixtures, "*.wav")
        for path in mixed:
            apart = [each / path.name for each in sources]
            if missing := [each for each in apart if not each.is_file()]:
                listing.problem("sources of mixtures are missing", ", ".join(map(listing.name, missing)))
            else:
                listing.add(part, path, source_1=str(apart[0]), source_2=str(apart[1]))
        heard = {path.name for path in mixed}
        listing.unlabeled(path for each in sources for path in files(each, "*.wav") if path.name not in heard)
    return listing.finish()


def diarization(folder: Path) -> CorpusSets:
    """Read mixtures with `segments`, a list of [start, end, speaker] in seconds. Raises ManifestError."""
    listing = Listing(folder)
    for part, where in zip(PARTS, existing(folder, "train", "dev", "test", layout=DIARIZATION_LAYOUT), strict=True):
        scp, rttm = existing(where, "wav.scp", "rttm", layout=DIARIZATION_LAYOUT)
        segments = read_rttm(rttm)
        for name, (_, path) in scp_recordings(scp).items():
            if name in segments:
                listing.add(part, folder / path, id=name, segments=segments.pop(name))
            else:
                listing.unlabeled([folder / path])
        for name in segments:
            listing.problem(f"recordings of {part}/rttm are not in wav.scp", name)
    return listing.finish()
