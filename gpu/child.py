"""The process that measures: it prints the rows there are, reads names of rows, and appends their facts to a file."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton

from contact import Contact
from facts import Facts
from plan import rows_for


def main() -> None:
    """Serve the supervisor until it closes the standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trial", action="store_true")
    options = parser.parse_args()
    rows = {row.name: row for row in rows_for(trial=options.trial)}
    contact, facts = Contact(options.out, trial=options.trial), Facts(options.out)
    answer([[row.name, row.section, row.seconds] for row in rows.values()])
    for line in sys.stdin:
        row = rows[line.strip()]
        torch.manual_seed(0)
        begun = time.monotonic()
        try:
            for fact in row.measure(contact):
                took = round(time.monotonic() - begun, 1)
                facts.add({"row": row.name, "section": row.section, **fact, "took": took})
        except Exception as error:
            answer(f"{type(error).__name__}: {str(error)[:300]}")
            raise  # what an error leaves behind on a GPU is unknown: a new process goes on
        contact.free()
        answer("done")


def answer(said: object) -> None:
    """Print an answer to the supervisor, which ignores other lines of the standard output."""
    print(f"sonant-row {json.dumps(said)}", flush=True)


if __name__ == "__main__":
    main()
