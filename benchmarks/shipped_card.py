"""Write what was measured of the layers of sonant/wavlm-tiny into its folder, for the catalog and servers.

    python -m benchmarks.shipped_card --data DATA

The values are those of docs/wavlm_tiny/probes.inc, which benchmarks/probe_model.py measured on the recordings in DATA;
`benchmarks.ship_model` calls this after it has measured them again.
"""

import argparse
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.probe_model import MANIFESTS, TITLES
from sonant.analysis import Analysis, DataSummary, Estimate, LayerCurve, ModelAnalysis
from sonant.analysis.card import FILE_NAME, card_of
from sonant.data import read_manifest

NAME = "sonant/wavlm-tiny"
ROOT = Path(__file__).parent.parent
PROBES = ROOT / "docs/wavlm_tiny/probes.inc"
CARD = ROOT / "src/sonant/models/wavlm_tiny" / FILE_NAME
COMMAND = f"python benchmarks/probe_model.py --data DATA --model {NAME} --out results/probes"
POOL = "mean+std"
CELL = re.compile(r"([\d.]+) \[([\d.]+), ([\d.]+)\]")
PROPERTIES = {  # name, measure
    "keywords": ("keyword", "accuracy"),
    "digits": ("digit", "accuracy"),
    "sid": ("speaker", "identification accuracy"),
    "asv": ("speaker", "verification EER"),
}
HOW = {
    "keywords": "Multinomial logistic regression on {pool} of the frames; speakers of the test are new.",
    "digits": "Multinomial logistic regression on {pool} of the frames; the five speakers are those of the training.",
    "sid": "Multinomial logistic regression on {pool} of the frames; the model was pretrained on these speakers.",
    "asv": "Cosine of two recordings, {pool} of the frames; the model has not been trained on these speakers.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of keywords/ and speaker/")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    parser.add_argument("--created", default=now, help="when it was measured")
    options = parser.parse_args(arguments)
    card = shipped_card(PROBES.read_text("utf-8"), options.data, options.created)
    CARD.write_text(json.dumps(card.to_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")


def shipped_card(probes: str, data: Path, created: str) -> Analysis:
    """Return the card from the tables of probe_model.py."""
    revision = re.search(rf"{NAME} (sha256:\w+)", probes)
    table = probes.split(f"## By layer, {POOL} of the frames", 1)[1]
    lines = [line.strip("| ") for line in table.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    header, layers = rows[0], [row for row in rows if row[0].isdigit()]
    flat = next(row for row in rows if row[0] == "MFCC")
    tests = {task: read_manifest(data / f"{stem}_test.jsonl") for task, stem in MANIFESTS.items()}
    tests["asv"] = read_manifest(data / "speaker/asv.jsonl")
    curves, sentences = [], []
    for task, (name, measure) in PROPERTIES.items():
        column = header.index(f"{TITLES[task]}, model")
        values = [_estimate(row[column]) for row in layers]
        labels = {entry.fields.get("label") for entry in tests[task]}
        chosen = next(layer for layer, row in enumerate(layers) if row[column].startswith("**"))
        found = sorted(each.value for each in values)
        title = f"{TITLES[task][0].upper()}{TITLES[task][1:]}"
        sentences.append(
            f"{title}: {values[chosen]} % at layer {chosen}, chosen on other recordings; {100 * found[0]:.1f} to "
            f"{100 * found[-1]:.1f} over all layers."
        )
        curves.append(
            LayerCurve(
                name=name,
                measure=measure,
                kind="probe",
                higher_is_better=task != "asv",
                chance=0.5 if task == "asv" else 1 / len(labels),
                values=tuple(values),
                best=chosen,
                how=f"{HOW[task].format(pool='mean and deviation')} MFCC: {flat[column]} %.",
            )
        )
    entries = [entry for found in tests.values() for entry in found]
    model = ModelAnalysis(
        name=NAME,
        revision=revision[1] if revision else "",
        layer_names=tuple(row[0] for row in layers),
        curves=tuple(curves),
        summary=tuple(sentences),
    )
    summary = DataSummary(
        source="Speech Commands, FSDD, LibriSpeech and speechocean762",
        recordings=len(entries),
        seconds=round(sum(entry.seconds() for entry in entries), 1),
        split_by="The recordings of the tests; others were used to learn and to choose.",
    )
    return card_of(Analysis(models=(model,), data=summary, command=COMMAND, created=created))


def _estimate(cell: str) -> Estimate:
    value, low, high = (round(float(part) / 100, 4) for part in CELL.search(cell).groups())  # type: ignore[union-attr]
    return Estimate(value, low, high)


if __name__ == "__main__":
    main()
