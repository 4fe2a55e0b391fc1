"""Audio SNIPS (Lai et al. 2020, arXiv 2010.13105): requests with slots, spoken by synthetic voices."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files, text_of
from sonant.errors import ManifestError

LAYOUT = "Audio SNIPS, prepared for SUPERB: all.iob.snips.txt, and train, valid and test with SPEAKER-snips-*.wav"
PARTS = {"train": "train", "dev": "valid", "test": "test"}
TRANSCRIPTS = "all.iob.snips.txt"
# Source: s3prl, downstream/ctc/snips.yaml.
SPEAKERS = {
    "train": set("Ivy Joanna Joey Justin Kendra Kimberly Matthew Salli".split()),
    "dev": set("Aditi Amy Geraint Nicole".split()),
    "test": set("Brian Emma Raveena Russell".split()),
}


def slots(folder: Path) -> CorpusSets:
    """Read recordings with `text`, `slots` (a list of [name, value], in the order of the text), `intent`, `speaker`.

    Raises ManifestError.
    """
    (path,) = existing(folder, TRANSCRIPTS, layout=LAYOUT)
    folders = existing(folder, *PARTS.values(), layout=LAYOUT)
    labels: dict[str, tuple[str, list[list[str]], str]] = {}
    for number, line in enumerate(text_of(path).splitlines(), 1):
        name, _, rest = line.strip().partition(" ")
        if name:
            labels[name] = _label(rest, f"{path}:{number}")
    listing = Listing(folder)
    for part, where in zip(PARTS, folders, strict=True):
        for wav in files(where, "**/*.wav"):
            speaker = wav.stem.partition("-")[0]
            if wav.stem not in labels:
                listing.unlabeled([wav])
            elif speaker in SPEAKERS[part]:
                text, found, intent = labels.pop(wav.stem)
                listing.add(part, wav, text=text, slots=found, intent=intent, speaker=speaker)
            else:
                labels.pop(wav.stem)  # a voice that SUPERB leaves out of this set
    for name in labels:
        listing.problem(f"labels of {TRANSCRIPTS} have no recording", name)
    return listing.finish()


def _label(line: str, where: str) -> tuple[str, list[list[str]], str]:
    """Read "BOS words EOS <tab> O tags intent": the words without marks, slots, and the intent."""
    said, _, tagged = line.partition("\t")
    words, tags = said.split(), tagged.split()
    if len(words) != len(tags) or len(words) < 2 or (words[0], words[-1]) != ("BOS", "EOS"):
        raise ManifestError(
            f"{where}: expected BOS, words, EOS, a tab, and a tag for each of them, the last of which is the intent; "
            f"got {line!r:.80}."
        )
    slots: list[list[str]] = []
    before = ""
    for word, tag in zip(words[1:-1], tags[1:-1], strict=True):
        kind, _, name = tag.partition("-")
        if kind == "B" or (kind == "I" and name != before):
            slots.append([name, word])
        elif kind == "I":
            slots[-1][1] += f" {word}"
        before = name
    return " ".join(words[1:-1]), slots, tags[-1]
