"""Progress of long work on stderr: a bar on a terminal, elsewhere a line per minute."""

import sys
import time
from collections.abc import Collection, Iterator
from threading import Lock
from typing import Self, TypeVar

from tqdm import tqdm

from sonant.errors import one_line

T = TypeVar("T")
LINE_SECONDS = 60.0


class Progress:
    """Progress of work of a known amount. Thread-safe.

    Args:
        total: amount of work, in units; a float is shown with two decimals.
        done: part of it that was done before.
        show: True for a bar, False for nothing; None for a bar if stderr is a terminal, and for lines otherwise.
        leave: keep the bar on the terminal at the end.

    Attributes:
        note: what follows the time, such as a loss; shown from the next update on.
    """

    def __init__(
        self, total: float, *, title: str, unit: str, done: float = 0, show: bool | None = None, leave: bool = True
    ) -> None:
        is_terminal = sys.stderr.isatty()
        number = "," if isinstance(total, int) else ".2f"
        amount = f"{{n:{number}}}/{{total:{number}}} {{unit}}"
        self.note = ""
        self._lock, self._done, self._amount = Lock(), done, amount
        self._began = self._last_line = time.monotonic()
        self._prints_lines = show is None and not is_terminal
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=one_line(title),
            unit=unit,
            bar_format=f"{{desc}} {{percentage:3.0f}} %|{{bar}}| {amount}, {{elapsed}}<{{remaining}}{{postfix}}",
            disable=not (is_terminal if show is None else show),
            file=sys.stderr,
            leave=leave,
            dynamic_ncols=True,
        )
        self._title, self._unit, self._total, self._n = one_line(title), unit, total, done

    def update(self, amount: float = 1) -> None:
        """Add finished work."""
        with self._lock:
            self._n += amount
            if not self._bar.disable:
                self._bar.set_postfix_str(self.note, refresh=False)
                self._bar.update(amount)
            elif self._prints_lines and time.monotonic() - self._last_line >= LINE_SECONDS:
                self._last_line = time.monotonic()
                sys.stderr.write(self._line(self._last_line - self._began) + "\n")
                sys.stderr.flush()

    def _line(self, elapsed: float) -> str:
        fresh = self._n - self._done
        remaining = elapsed * (self._total - self._n) / fresh if fresh > 0 else 0.0
        amount = self._amount.format(n=self._n, total=self._total, unit=self._unit)
        share = 100 * self._n / self._total if self._total else 100
        times = f"{tqdm.format_interval(elapsed)}<{tqdm.format_interval(max(remaining, 0))}"
        return f"{self._title} {share:3.0f} % {amount}, {times}" + (f", {self.note}" if self.note else "")

    def close(self) -> None:
        """End the bar."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def with_progress(items: Collection[T], title: str, *, unit: str) -> Iterator[T]:
    """Yield the items, and show how many are done."""
    with Progress(len(items), title=title, unit=unit) as progress:
        for item in items:
            yield item
            progress.update()
