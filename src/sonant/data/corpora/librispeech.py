"""LibriSpeech (Panayotov et al. 2015, openslr.org/12): read books with transcripts."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files, text_of

LAYOUT = (
    "LibriSpeech: train-clean-100, dev-clean and test-clean, each with SPEAKER/CHAPTER/*.flac and .trans.txt; for "
    "phones librispeech-lexicon.txt (openslr.org/11) beside them"
)
PARTS = {"train": "train-clean-100", "dev": "dev-clean", "test": "test-clean"}
LEXICON = "librispeech-lexicon.txt"


def transcripts(folder: Path) -> CorpusSets:
    """Read recordings with `text` and `speaker`. Raises ManifestError."""
    root = folder / "LibriSpeech" if (folder / "LibriSpeech").is_dir() else folder
    listing = Listing(folder)
    for part, where in zip(PARTS, existing(root, *PARTS.values(), layout=LAYOUT), strict=True):
        listed = set()
        for transcript in files(where, "*/*/*.trans.txt"):
            speaker = transcript.parent.parent.name
            for line in text_of(transcript).splitlines():
                name, _, text = line.strip().partition(" ")
                if name:
                    path = transcript.with_name(f"{name}.flac")
                    listed.add(path)
                    listing.add(part, path, text=text, speaker=speaker)
        listing.unlabeled(path for path in files(where, "*/*/*.flac") if path not in listed)
    return listing.finish()


def phones(folder: Path) -> CorpusSets:
    """Read the same recordings with the lexicon of their words. Raises ManifestError."""
    found = transcripts(folder)
    beside = folder / "LibriSpeech" if (folder / "LibriSpeech" / LEXICON).is_file() else folder
    (lexicon,) = existing(beside, LEXICON, layout=LAYOUT)
    return CorpusSets(sets=found.sets, problems=found.problems, files={"lexicon": lexicon})
