"""Diarization by trained heads over a frozen model, beside the clustering of its speaker embeddings, on mixtures.

    python -m benchmarks.diarization --data DATA --out OUT [--model sonant/wavlm-tiny] [--steps 300]
                                     [--ways powerset permutation_free clustering] [--recordings 80 20 15]

DATA holds sim_{train,dev,test}.jsonl, mixtures of two or three speakers whose parts have a `speaker`; no speaker of
test is in train. The heads distinguish three speakers, and are trained by `sonant.train("diarization...", ...)` on
states from one cache; the clustering is told how many speakers there are. All find turns in the whole recordings of
test by `encoder.diarize`. DER and JER are without collar, overlaps are scored; intervals are over recordings. OUT
receives a folder a training, diarization.json and diarization.md. Started again, the script goes on where it was.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import sonant
from sonant.data import ManifestEntry, read_manifest
from sonant.decoding.results import SpeakerTurn
from sonant.evaluation import score_diarization

PARTS = ("train", "dev", "test")
WAYS: dict[str, dict[str, Any]] = {
    "powerset": {"form": "powerset", "num_speakers": 3, "max_at_once": 2},
    "permutation_free": {"form": "permutation_free", "num_speakers": 3},
    "clustering": {},
}
HEAD = {"lstm_dim": 64, "lstm_layers": 1, "bidirectional": True}
MEASURES = ("der", "missed", "false_alarm", "confusion", "jer")
COLUMNS = ("DER", "missed", "false alarm", "confusion", "JER")


def write_part(data: Path, out: Path, part: str, number: int) -> Path:
    """Write the first mixtures of a part with absolute paths."""
    rows = [json.loads(line) for line in (data / f"sim_{part}.jsonl").read_text().splitlines()[:number]]
    for row in rows:
        row["mix"] = [each | {"path": os.path.normpath(data.resolve() / each["path"])} for each in row["mix"]]
    path = out / f"{part}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def model_of(way: str, parts: dict[str, Path], out: Path, model: str, steps: int) -> str:
    """Train the head of a way, and return the name of its model."""
    if not WAYS[way]:
        return model
    folder = sonant.train(
        "diarization",
        name=way,
        model=model,
        data=str(parts["train"]),
        dev=str(parts["dev"]),
        output=str(out),
        cache=str(out / "states"),
        cache_dtype="float16",
        task=WAYS[way] | HEAD,
        batching={"batch_seconds": 80.0},
        training={"steps": steps, "lr": 3e-3, "validate_every": steps // 4, "save_every": steps // 4},
        trackers=[],
    )
    return str(folder)


def reference_of(entry: ManifestEntry) -> list[SpeakerTurn]:
    """Return the turns of a mixture, by its parts."""
    assert entry.mixture is not None
    return [
        SpeakerTurn(str(part.fields["speaker"]), part.start, part.start + part.seconds())
        for part in entry.mixture.parts
    ]


def measured(way: str, model: str, test: Path) -> dict[str, Any]:
    """Diarize the test set, and score it."""
    encoder = sonant.load(model)
    reference, found = {}, {}
    for entry in read_manifest(test):
        reference[entry.path.name] = wanted = reference_of(entry)
        count = len({turn.speaker for turn in wanted}) if way == "clustering" else None
        found[entry.path.name] = encoder.diarize(entry, num_speakers=count)
    return score_diarization(reference, found)


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the rows as a table, in percent."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---|" + "--:|" * len(COLUMNS)]
    for way, row in found.items():
        der, *others = (row[name] for name in MEASURES)
        cells = [f"{100 * each:.1f}" for each in (der["value"], *others)]
        cells[0] += f" [{100 * der['low']:.1f}, {100 * der['high']:.1f}]"
        lines.append(f"| {way.replace('_', '-')} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--recordings", type=int, nargs=3, default=(80, 20, 15), help="of train, dev and test")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    numbers = zip(PARTS, given.recordings, strict=True)
    parts = {part: write_part(given.data, given.out, part, number) for part, number in numbers}
    path = given.out / "diarization.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for way in (way for way in given.ways if way not in found):
        found[way] = measured(way, model_of(way, parts, given.out, given.model, given.steps), parts["test"])
        path.write_text(json.dumps(found, indent=2))
        (given.out / "diarization.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
