"""CoVoST 2 (Wang et al. 2020, arXiv 2007.10310): sentences of Common Voice 4, translated; in SUPERB-SG to German."""

import csv
from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, rows_of

PAIR = "en_de"
LAYOUT = (
    f"CoVoST 2 beside Common Voice: clips/*.mp3 (in en or the folder itself), and covost_v2.{PAIR}.train.tsv, "
    f"covost_v2.{PAIR}.dev.tsv and covost_v2.{PAIR}.test.tsv, as get_covost_splits.py of CoVoST makes them"
)
COLUMNS = ("path", "translation")


def translations(folder: Path) -> CorpusSets:
    """Read recordings with `text`, `translation` and `speaker`. Raises ManifestError."""
    root = folder / "en" if (folder / "en" / "clips").is_dir() else folder
    (clips,) = existing(root, "clips", layout=LAYOUT)
    parts = ("train", "dev", "test")
    names = [f"covost_v2.{PAIR}.{part}.tsv" for part in parts]
    listing = Listing(folder)
    for part, path in zip(parts, existing(root, *names, layout=LAYOUT), strict=True):
        for number, row in rows_of(path, COLUMNS, layout=LAYOUT, delimiter="\t", quoting=csv.QUOTE_NONE):
            if (row["translation"] or "").strip():
                text, speaker = row.get("sentence") or "", row.get("client_id") or ""
                listing.add(part, clips / str(row["path"]), translation=row["translation"], text=text, speaker=speaker)
            else:
                listing.problem("rows have no translation", f"{path.name}:{number}")
    return listing.finish()
