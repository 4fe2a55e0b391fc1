"""Put the model of a pretraining run in the place of sonant/wavlm-tiny, and remake what depends on its weights.

    python -m benchmarks.ship_model RUN... --data DATA             # of the last stage of the last run
    python -m benchmarks.ship_model --data DATA --only probes demo # some steps, for the weights that are there

DATA has the folders keywords/ and speaker/ as benchmarks/probe_model.py reads them, whose features are kept in --cache.
What cannot be written is listed at the end: pages with figures of other weights. On one core of a CPU the probes take
20 minutes, their precisions five, the voices three, everything else two.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch

import sonant
from benchmarks import long_audio, probe_model, shipped_card, voices
from benchmarks.page_blocks import write_block
from sonant.analysis import Estimate
from sonant.checkpoints import save_pretrained
from sonant.models.catalog import find
from sonant.training.curves import plot_curves, stages_of

NAME = "sonant/wavlm-tiny"
ROOT = Path(__file__).parent.parent
MODEL = ROOT / "src/sonant/models/wavlm_tiny"
PAGES = ROOT / "docs"
RECORD = PAGES / "wavlm_tiny"  # how the model was made, and what it knows
SUMMARY = (  # in the table of the README
    ("keywords, 9 words, accuracy", "keywords", "mean+std"),
    ("the same, mean alone", "keywords", "mean"),
    ("digits, accuracy", "digits", "mean+std"),
    ("speaker identification, 206 speakers, accuracy", "sid", "mean+std"),
    ("speaker verification, EER (lower is better)", "asv", "mean+std"),
    ("the same, mean alone", "asv", "mean"),
)
SYSTEMS = {"model": "wavlm-tiny", "MFCC": "MFCC", "random weights": "random weights"}
FINGERPRINT = re.compile(rf"{NAME}`? \(?(sha256:[0-9a-f]{{16}})")


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out the steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of the runs that made the model, in order")
    parser.add_argument("--data", type=Path, required=True, help="folder of keywords/ and speaker/")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs/probe_features", help="folder for features")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS), help="steps; all without it")
    options = parser.parse_args(arguments)
    if "weights" in options.only and not options.runs:
        if len(options.only) < len(STEPS):
            parser.error("weights are taken from a run; name its folder")
        options.only.remove("weights")
    for step in options.only:
        print(f"{step} ...", flush=True)
        STEPS[step](options)
    present = sonant.load(NAME, device="cpu").revision
    print(f"\nPages with figures of other weights than {present}:")
    for page, fingerprints in figures().items():
        if fingerprints != {present}:
            print(f"  {page.relative_to(ROOT)}")
    print("CONTRIBUTING.md, Shipping a new model, says how they were measured.")


def figures() -> dict[Path, set[str]]:
    """Return the fingerprints of the weights whose figures are on a page, by page."""
    pages = [
        ROOT / "README.md",
        *MODEL.glob("*.md"),
        *PAGES.glob("*.md"),
        *PAGES.glob("path/*.md"),
        *PAGES.glob("*/*.inc"),
        *PAGES.glob("*/*.ipynb"),
    ]
    found = {page: set(FINGERPRINT.findall(page.read_text("utf-8"))) for page in pages}
    return {page: fingerprints for page, fingerprints in found.items() if fingerprints}


def place_weights(options: argparse.Namespace) -> None:
    """Write the weights in float16, and settings, metrics and curves of the runs beside the page."""
    stages = {(run, stage.name): stage for run in options.runs for stage in stages_of(run)}
    backbone = sonant.load(str([*stages.values()][-1] / "model"), device="cpu").model
    if backbone.config != find(NAME).config:
        raise SystemExit(f"The model has another shape than the catalog says: {backbone.config}")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(backbone, folder, dtype=torch.float16)
        for file in Path(folder).iterdir():
            shutil.copyfile(file, MODEL / file.name)
    config = json.loads((MODEL / "config.json").read_text("utf-8"))  # transformers loads models as this says
    (MODEL / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}, indent=2) + "\n", "utf-8")
    several = len(options.runs) > 1
    for file in [*RECORD.glob("*.json"), *RECORD.glob("*.jsonl")]:
        file.unlink()
    for run in options.runs:
        settings = json.loads((run / "run.json").read_text("utf-8"))
        places = {key: Path(value) for key, value in settings.items() if isinstance(value, str)}
        settings |= {key: "/".join(place.parts[-3:]) for key, place in places.items() if place.is_absolute()}
        name = f"{run.resolve().name}.json" if several else "run.json"
        (RECORD / name).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    curves = {}
    for (run, name), stage in stages.items():
        title = f"{run.resolve().name}_{name}" if several else name
        curves[title] = {run.resolve().name: stage}
        shutil.copy(stage / "metrics.jsonl", RECORD / f"{title}.jsonl")
        if (stage / "extractor/metrics.jsonl").exists():
            shutil.copy(stage / "extractor/metrics.jsonl", RECORD / f"{title}_extractor.jsonl")
    plot_curves(curves, RECORD / "curves.png")


def calibrate_voices(options: argparse.Namespace) -> None:
    """Write the calibration of voices, and the table of its page."""
    data = ["--data", "LibriSpeech test-clean and speechocean762, English"]
    page = str(PAGES / "voices.md")
    voices.main([str(options.data / "speaker"), "--write", str(MODEL / "voices.json"), "--page", page, *data])


def probe(options: argparse.Namespace) -> None:
    """Write what each layer knows, and the table of the READMEs."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = probed(options, Path(folder))
        for plot in Path(folder).glob("*.png"):
            shutil.copy(plot, RECORD)
        lines = (Path(folder) / "probes.md").read_text("utf-8").splitlines()[2:]
    write(RECORD / "probes.inc", lines)
    values = {(each["task"], each["pool"], each["system"]): each for each in chosen}
    for page in (ROOT / "README.md", MODEL / "README.md", PAGES / "wavlm_tiny.md"):
        write_block(page, "probes", [mark(), *summary(values)])
    shipped_card.main(["--data", str(options.data)])


def probe_precisions(options: argparse.Namespace) -> None:
    """Write the accuracies in lower precision."""
    lines = ["| `--precision` | keywords | digits |", "|---|---|---|"]
    for precision in ("float32", "bfloat16", "int8"):
        few = ["--tasks", "keywords", "digits", "--pools", "mean+std", "--random-seeds", "0"]
        with tempfile.TemporaryDirectory() as folder:
            chosen = probed(options, Path(folder), *few, "--precision", precision)
        values = {each["task"]: text(each) for each in chosen if each["system"] == "model"}
        lines.append(f"| {precision} | {values['keywords']} | {values['digits']} |")
    write(RECORD / "precision.inc", lines)


def join_windows(_: argparse.Namespace) -> None:
    """Write the distances of features that were joined from windows."""
    long_audio.main(["--write", str(PAGES / "long_audio.md")])


def demonstrate(_: argparse.Namespace) -> None:
    """Draw the picture of the README."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        run("examples/demo.py", "--output", folder)
        picture = Image.open(Path(folder) / "picture.png").convert("RGB").resize((1400, 840), Image.Resampling.LANCZOS)
        picture.quantize(dither=Image.Dither.NONE).save(PAGES / "images/demo.png", optimize=True)


def photograph(_: argparse.Namespace) -> None:
    """Take the pictures of the server's pages."""
    if shutil.which("chromium"):
        run("docs/serving_screenshots.py")
    else:
        print("  left out: there is no chromium")


def run_notebooks(_: argparse.Namespace) -> None:
    """Write the outputs of the notebooks."""
    run("docs/run_notebooks.py")


STEPS = {
    "weights": place_weights,
    "voices": calibrate_voices,
    "probes": probe,
    "precisions": probe_precisions,
    "windows": join_windows,
    "demo": demonstrate,
    "screenshots": photograph,
    "notebooks": run_notebooks,
}


def probed(options: argparse.Namespace, folder: Path, *more: str) -> list[dict[str, object]]:
    """Probe the shipped model into a folder; return the values at the layers that were chosen."""
    where = ["--data", str(options.data), "--cache", str(options.cache), "--out", str(folder)]
    probe_model.main([*where, "--model", NAME, "--name", NAME, *more])
    return list(json.loads((folder / "probes.json").read_text("utf-8"))["chosen"])


def summary(values: dict[tuple[str, str, str], dict[str, object]]) -> Iterator[str]:
    """Yield the lines of the table of the READMEs."""
    yield f"| measure, mean and deviation of the frames | {' | '.join(SYSTEMS.values())} |"
    yield "|---" * (len(SYSTEMS) + 1) + "|"
    for title, task, pool in SUMMARY:
        yield f"| {title} | " + " | ".join(text(values[task, pool, system]) for system in SYSTEMS) + " |"


def text(value: dict[str, object]) -> str:
    """Return a share in percent, with its interval."""
    return str(Estimate(value["value"], value["low"], value["high"]))


def mark() -> str:
    """Return the comment that says of which weights figures are."""
    return f"<!-- figures of {NAME} {sonant.load(NAME, device='cpu').revision} -->"


def write(file: Path, lines: Iterable[str]) -> None:
    """Write lines under the mark of the weights."""
    file.write_text("\n".join([mark(), "", *lines]) + "\n", "utf-8")


def run(script: str, *words: str) -> None:
    """Run a script of the repository."""
    subprocess.run([sys.executable, str(ROOT / script), *words], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
