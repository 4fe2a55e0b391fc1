"""Fluent Speech Commands (Lugosch et al. 2019, arXiv 1904.03670): requests with an action, an object and a location."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files, rows_of

LAYOUT = "Fluent Speech Commands: data/train_data.csv, data/valid_data.csv, data/test_data.csv, and wavs/speakers"
PARTS = {"train": "data/train_data.csv", "dev": "data/valid_data.csv", "test": "data/test_data.csv"}
SLOTS = ("action", "object", "location")
COLUMNS = {"path", "speakerId", "transcription", *SLOTS}


def intents(folder: Path) -> CorpusSets:
    """Read recordings with `action`, `object`, `location`, `intent` (all of them, joined by "|"), `text` and `speaker`.

    Raises ManifestError.
    """
    listing = Listing(folder)
    listed = set()
    for part, path in zip(PARTS, existing(folder, *PARTS.values(), layout=LAYOUT), strict=True):
        for number, row in rows_of(path, COLUMNS, layout=LAYOUT):
            wav = folder / str(row["path"])
            listed.add(wav)
            slots = {name: (row[name] or "").strip() for name in SLOTS}
            if not all(slots.values()):
                listing.problem("rows have no action, object or location", f"{path.name}:{number}")
                continue
            intent, speaker = "|".join(slots.values()), row["speakerId"]
            listing.add(part, wav, **slots, intent=intent, text=row["transcription"], speaker=speaker)
    listing.unlabeled(path for path in files(folder, "wavs/speakers/*/*.wav") if path not in listed)
    return listing.finish()
