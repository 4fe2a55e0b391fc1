"""All measurements on a GPU, in one call that loses no result.

    python3 gpu/first_contact.py --out FOLDER --seconds 450     # on a machine with a GPU
    python3 gpu/first_contact.py --out FOLDER --trial           # tiny shapes on a CPU, as the rehearsal
    python3 gpu/first_contact.py --out FOLDER --report          # only the tables, from the facts in FOLDER

Random weights at the published shapes and noise for speech, except where a row names the shipped model. A child process
measures the rows in the order of `plan.py`, and appends each fact to facts.jsonl at once. A row that raises an error,
dies or outlasts its deadline is recorded so, and a new child goes on with the next. The tables come last.
"""

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

from facts import Facts, write_tables

START_SECONDS = 60.0  # that a child may take until its first row: imports and the GPU's context
AT_LEAST_SECONDS = 3.0  # a row for which less is left is not begun


def main() -> int:
    """Measure, and print the tables; return 1 if a row failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for facts.jsonl, the tables and the profiles")
    parser.add_argument("--seconds", type=float, default=450, help="for everything")
    parser.add_argument("--trial", action="store_true", help="tiny shapes, on a CPU if there is no GPU")
    parser.add_argument("--rows", nargs="*", help="only the rows whose names begin so")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    facts = Facts(options.out)
    try:
        if not options.report:
            facts.path.write_text("", encoding="utf-8")
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
            supervise(facts, options.seconds, trial=options.trial, prefixes=options.rows)
    finally:  # also when it is told to end
        print(write_tables(options.out))
    return int(any("failed" in fact or fact.get("passed") is False for fact in facts.read()))


def supervise(facts: Facts, seconds: float, *, trial: bool, prefixes: list[str] | None) -> None:
    """Let children measure all rows, one child at a time, until the time is up."""
    end = time.monotonic() + seconds
    child = Child(facts.path.parent, trial=trial)
    rows = child.rows(seconds)
    wanted = [row for row in rows if prefixes is None or row[0].startswith(tuple(prefixes))]
    try:
        for name, section, allowed in wanted:
            left, begun = end - time.monotonic(), time.monotonic()
            if left < AT_LEAST_SECONDS:
                facts.add({"row": name, "section": section, "left out": "no time was left"})
                continue
            trouble = child.measure(name, min(allowed, left))
            if trouble:
                took = round(time.monotonic() - begun, 1)
                facts.add({"row": name, "section": section, "took": took, "failed": trouble})
                child.end()
                child = Child(facts.path.parent, trial=trial)
            print(f"{time.monotonic() - end + seconds:6.1f} s  {name}{': ' + trouble if trouble else ''}", flush=True)
    finally:
        child.end()


class Child:
    """A process that measures one row after another, as it is told on its standard input."""

    def __init__(self, out: Path, *, trial: bool) -> None:
        command = [sys.executable, str(HERE / "child.py"), "--out", str(out), *(["--trial"] if trial else [])]
        self.process = subprocess.Popen(  # noqa: S603  our own file
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.said: queue.Queue[str | None] = queue.Queue()
        self.errors: list[str] = []
        assert self.process.stdout
        assert self.process.stderr
        threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()
        self._reader = threading.Thread(target=self._keep, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        self._rows: list[tuple[str, str, float]] = []

    def rows(self, seconds: float) -> list[tuple[str, str, float]]:
        """Return the name, section and seconds of each row, which it says when it is ready for them."""
        if not self._rows:
            said = self._answer(min(START_SECONDS, seconds))
            if isinstance(said, str):
                raise SystemExit(f"The process that measures did not begin: {said}")
            self._rows = said
        return self._rows

    def measure(self, row: str, seconds: float) -> str:
        """Measure a row; return an error message if it failed, else an empty one."""
        assert self.process.stdin
        self.rows(START_SECONDS)
        try:
            self.process.stdin.write(row + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self._death()
        said = self._answer(seconds)
        return "" if said == "done" else str(said)

    def end(self) -> None:
        """Kill the process, and every process that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answer(self, seconds: float) -> Any:
        """Return the next answer of the process, or how it ended."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.said.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return f"took longer than {seconds:.0f} s"
            if line is None:
                return self._death()
            if line.startswith("sonant-row "):
                return json.loads(line.removeprefix("sonant-row "))

    def _death(self) -> str:
        code = self.process.wait()
        self._reader.join(timeout=2)
        return f"the process ended with {code}: {''.join(self.errors)[-400:]}"

    def _listen(self, stream: IO[str]) -> None:
        for line in stream:
            self.said.put(line)
        self.said.put(None)

    def _keep(self, stream: IO[str]) -> None:
        for line in stream:
            self.errors = [*self.errors[-40:], line]


if __name__ == "__main__":
    sys.exit(main())
