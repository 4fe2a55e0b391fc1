"""Self-training from little labeled speech: a teacher, and final models that learned from its texts as well.

    python -m benchmarks.self_training --data DATA/asr --out OUT [--model sonant/wavlm-tiny] [--labels 10min]
                                       [--steps 600] [--hours 2] [--teacher MODEL]

DATA/asr holds train_10min.jsonl, train_1h.jsonl, train_all.jsonl, dev.jsonl and test.jsonl, whose rows have a text, a
speaker, and in `orig` the name of the recording in its corpus. OUT/unlabeled.jsonl is made of train_all.jsonl: rows of
the labeled set (by `orig`, or by speaker and text) are left out, as are speakers of dev and test, and of the others
`--hours` are drawn, without their texts. Then `sonant.self_train` is called: character CTC, a 4-gram of the transcripts
of the labeled set, its weights tuned on dev, and both final models, of which the one with random weights takes as many
steps. OUT receives the run, and the table of error rates with intervals and paired tests is printed. Started again, the
script goes on where it was.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sonant
from sonant.data.files import atomic


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read a manifest, with absolute paths."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row | {"path": str((path.parent / row["path"]).resolve())} for row in rows]


def write_unlabeled(data: Path, labels: str, out: Path, hours: float) -> Path:
    """Write the manifest of the recordings without transcripts."""
    labeled = rows_of(data / f"train_{labels}.jsonl")
    known = {row.get("orig") for row in labeled} | {(row["speaker"], row["text"]) for row in labeled}
    strangers = {row["speaker"] for part in ("dev", "test") for row in rows_of(data / f"{part}.jsonl")}
    others = [
        {name: row[name] for name in ("path", "duration", "speaker")}
        for row in rows_of(data / "train_all.jsonl")
        if not known & {row.get("orig"), (row["speaker"], row["text"])} and row["speaker"] not in strangers
    ]
    random.Random(0).shuffle(others)
    chosen, seconds = [], 0.0
    for row in others:
        if seconds + row["duration"] <= 3600 * hours:
            chosen.append(row)
            seconds += row["duration"]
    path = out / "unlabeled.jsonl"
    with atomic(path) as draft:
        draft.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    print(f"{len(chosen)} recordings without transcripts, {seconds / 3600:.2f} h", flush=True)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--teacher", default="", help="a fine-tuned model, in place of one that is trained here")
    parser.add_argument("--labels", default="10min", choices=("10min", "1h"))
    parser.add_argument("--steps", type=int, default=600, help="of each training")
    parser.add_argument("--lr", type=float, default=1e-3, help="peak rate of the head")
    parser.add_argument("--hours", type=float, default=2.0, help="of unlabeled speech")
    parser.add_argument("--lm-text", default="", help="text for the n-gram, in place of the transcripts")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [{"name": "backbone", "lr_factor": 0.5, "frozen_steps": 0}]
    often = max(1, options.steps // 5)
    training = {"steps": options.steps, "lr": options.lr, "validate_every": often, "save_every": often}
    ctc = {
        "on_error": "skip",
        "batching": {"batch_seconds": 16.0, "max_seconds": 16.0},
        "training": training | {"parts": parts},
    }
    decoder = {"dim": 144, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 576}
    done = sonant.self_train(
        "self_training",
        name=f"self_training_{options.labels}",
        model=options.model,
        teacher=options.teacher,
        data=options.data / f"train_{options.labels}.jsonl",
        unlabeled=write_unlabeled(options.data, options.labels, options.out, options.hours),
        dev=options.data / "dev.jsonl",
        test=options.data / "test.jsonl",
        lm_text=options.lm_text,
        output=options.out,
        trials=16,
        fine_tuning=ctc,
        ctc=ctc,
        seq2seq=ctc | {"training": training, "task": {"num_subwords": 200, "decoder": decoder}},
        decoder={"beam": 16, "n_best": 10, "beam_tokens": 12},
    )
    print((done.folder / "stages.md").read_text(encoding="utf-8"))
    print((done.folder / "evaluation" / "results.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
