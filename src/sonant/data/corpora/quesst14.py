"""QUESST 2014 (Anguera et al. 2015): spoken queries, and recordings that have them; in SUPERB the English ones."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, CorpusTrial, Listing, existing, files, lines_of
from sonant.errors import ManifestError

LANGUAGE = "nnenglish"
LISTS = {"documents": "utterances", "dev": "dev", "test": "eval"}
LAYOUT = (
    "QUESST 2014 (quesst14Database): Audio, dev_queries and eval_queries; scoring/language_key_utterances.lst, "
    "language_key_dev.lst and language_key_eval.lst; scoring/groundtruth_quesst14_dev and groundtruth_quesst14_eval, "
    "each with an .rttm"
)


def queries(folder: Path) -> CorpusSets:
    """Read "documents", and queries of "dev" and "test"; trials are a query and a document that it is in.

    Raises ManifestError.
    """
    root = folder / "quesst14Database" if (folder / "quesst14Database").is_dir() else folder
    listing = Listing(folder, LISTS)
    names = [f"scoring/language_key_{name}.lst" for name in LISTS.values()]
    for part, path in zip(LISTS, existing(root, *names, layout=LAYOUT), strict=True):
        for number, words in enumerate(lines_of(path), 1):
            if len(words) != 2:
                raise ManifestError(f"{path}:{number}: expected a recording and a language, got {words!r:.80}.")
            if words[1] == LANGUAGE:
                wav = root / words[0].partition("/")[2]  # the first folder is the name of the archive
                listing.add(part, wav, id=wav.stem)
    where = {part: {entry.path.stem: entry.path for entry in rows} for part, rows in listing.sets.items()}
    trials = {}
    for part in ("dev", "test"):
        (truth,) = existing(root, f"scoring/groundtruth_quesst14_{LISTS[part]}", layout=LAYOUT)
        found = {
            (words[1], words[5])  # document and query; the same query may be in it twice
            for path in files(truth, "*.rttm")
            for words in lines_of(path)
            if words[0] == "LEXEME" and len(words) > 5
        }
        trials[part] = [
            CorpusTrial(is_target=True, first=where[part][query], second=where["documents"][document])
            for document, query in sorted(found)
            if query in where[part] and document in where["documents"]
        ]
        if not trials[part]:
            raise ManifestError(f"{truth} names no {LANGUAGE} query in a {LANGUAGE} document. Expected {LAYOUT}.")
    return listing.finish(trials=trials)
