"""A record of the `AudioWarning`s of a job by recording, whichever thread reads it."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sonant.errors import AudioWarning

_thread = threading.local()  # `name`: the recording that it reads


@contextmanager
def attributed_to(name: str) -> Iterator[None]:
    """Attribute the warnings of this thread to this recording while the context is open."""
    before = getattr(_thread, "name", None)
    _thread.name = name
    try:
        yield
    finally:
        _thread.name = before


@contextmanager
def recorded_warnings() -> Iterator[dict[str, list[str]]]:
    """Record the messages given while the context is open, by recording; each is also shown, once."""
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
