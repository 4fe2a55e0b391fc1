"""What is odd about the recordings of a job: the `AudioWarning`s, by the recording, in whichever thread it is read."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sonant.errors import AudioWarning

_thread = threading.local()  # `name`: the recording that it reads


@contextmanager
def about(name: str) -> Iterator[None]:
    """Warnings of this thread are about this recording meanwhile."""
    before = getattr(_thread, "name", None)
    _thread.name = name
    try:
        yield
    finally:
        _thread.name = before


@contextmanager
def noted() -> Iterator[dict[str, list[str]]]:
    """The messages meanwhile, by the names of the recordings; each is shown as well, once."""
    notes: dict[str, list[str]] = {}
    with warnings.catch_warnings():
        # Python shows a message once in a process, and here it is about another job; but who silences it is obeyed.
        warnings.simplefilter("always", AudioWarning, append=True)
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **how: Any) -> None:
            name = getattr(_thread, "name", None)
            if name is not None and issubclass(category, AudioWarning):
                if str(message) in notes.setdefault(name, []):
                    return
                notes[name].append(str(message))
            usual(message, category, *where, **how)

        warnings.showwarning = show
        yield notes
