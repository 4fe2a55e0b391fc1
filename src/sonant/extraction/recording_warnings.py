"""Collection of the audio warnings of a job, by recording, across threads."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sonant.errors import AudioWarning, warn

SHOWN = 20  # warnings of a job; a corpus of thousands may have one of each recording
_thread = threading.local()  # `name`: the recording that the thread reads


@contextmanager
def attributed_to(name: str) -> Iterator[None]:
    """Attribute warnings of this thread to a recording."""
    before = getattr(_thread, "name", None)
    _thread.name = name
    try:
        yield
    finally:
        _thread.name = before


@contextmanager
def recorded_warnings() -> Iterator[dict[str, list[str]]]:
    """Collect warning messages by recording; the first ones are also shown, and the others counted at the end."""
    notes: dict[str, list[str]] = {}
    with warnings.catch_warnings():
        # Python shows a message once per process, here it is needed once per job; the caller's filters come first.
        warnings.simplefilter("always", AudioWarning, append=True)
        usual = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **how: Any) -> None:
            name = getattr(_thread, "name", None)
            if name is not None and issubclass(category, AudioWarning):
                if str(message) in notes.setdefault(name, []):
                    return
                notes[name].append(str(message))
                if sum(map(len, notes.values())) > SHOWN:
                    return
            usual(message, category, *where, **how)

        warnings.showwarning = show
        yield notes
        if (found := sum(map(len, notes.values()))) > SHOWN:
            warn(
                f"There were {found - SHOWN} more warnings about recordings, of {len(notes)} in all; the index of the "
                "results has those of each recording in its column warnings.",
                AudioWarning,
            )
