"""Time and memory of `sonant align` for hours of speech in one file, and whether its lines are found.

    python -m benchmarks.long_alignment --data DATA/asr/train_all.jsonl --model MODEL --out OUT [--hours 1]

Recordings of a manifest of Opus, FLAC or other files are laid one behind another until they last `--hours`, and their
texts become the lines of one text. OUT receives both and long_alignment.json: wall clock and processor seconds of the
command, with those of computing the emission, its peak memory, and by how many seconds the begin and end of a line
differ from those of its recording: median, 95 %, and the share that differs by more than a second. Recordings begin and
end with some silence, which counts as a difference.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.alignment_peers import Spans
from sonant import audio
from sonant.data import read_manifest

RATE = 16_000


def write_long(manifest: Path, out: Path, hours: float) -> Spans:
    """Write OUT/long.flac and OUT/long.txt, and return begin and end of each line in seconds."""
    out.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    spans: Spans = []
    written = 0
    with soundfile.SoundFile(out / "long.flac", "w", RATE, 1) as file:
        for entry in read_manifest(manifest):
            if written >= hours * 3600 * RATE:
                break
            samples = audio.read(entry.path, sampling_rate=RATE)
            file.write(samples)
            lines.append(str(entry.fields["text"]))
            spans.append((written / RATE, (written + len(samples)) / RATE))
            written += len(samples)
    (out / "long.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return spans


def measure(model: str, out: Path, true: Spans) -> dict[str, Any]:
    """Align the file by the command line."""
    (out / "long.json").unlink(missing_ok=True)
    command = ["align", str(out / "long.flac"), str(out / "long.txt"), "-m", model, "--level", "segments"]
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "sonant", *command, "-o", str(out / "long.json")], check=True)
    seconds, used = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads((out / "long.json").read_text(encoding="utf-8"))
    pairs = zip(found["segments"], true, strict=True)
    differences = [(abs(line["start_seconds"] - start), abs(line["end_seconds"] - end)) for line, (start, end) in pairs]
    errors = np.array(differences)  # (lines, 2)
    return {
        "hours": round(true[-1][1] / 3600, 3),
        "lines": len(true),
        "score": found["score"],
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024),
        "median_seconds": np.median(errors, 0).round(3).tolist(),
        "seconds_of_95_percent": np.percentile(errors, 95, axis=0).round(3).tolist(),
        "beyond_a_second": (errors > 1).mean(0).round(4).tolist(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=1.0)
    given = parser.parse_args(arguments)
    result = measure(given.model, given.out, write_long(given.data, given.out, given.hours))
    (given.out / "long_alignment.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
