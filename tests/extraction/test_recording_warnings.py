import threading
import warnings

import pytest

from sonant.errors import AudioWarning
from sonant.extraction.recording_warnings import attributed_to, recorded_warnings


def warn(message: str) -> None:
    warnings.warn_explicit(message, AudioWarning, "reader.py", 1)


def test_each_recording_has_its_own_warnings_whatever_the_thread() -> None:
    together = threading.Barrier(3)

    def read(name: str) -> None:
        with attributed_to(name):
            together.wait(timeout=10)
            for message in (f"{name} is odd", f"{name} is odd", f"{name} is strange"):  # read twice, say
                warn(message)

    def job() -> dict[str, list[str]]:
        readers = [threading.Thread(target=read, args=(name,)) for name in "abc"]
        with recorded_warnings() as notes:
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            warn("of no recording")
        return notes

    for _ in range(2):  # the second is another job in the same process
        with pytest.warns(AudioWarning) as shown:
            notes = job()
        assert notes == {name: [f"{name} is odd", f"{name} is strange"] for name in "abc"}
        assert len(shown) == 7


def test_of_many_warnings_the_first_are_shown_and_all_are_kept() -> None:
    def job() -> dict[str, list[str]]:
        with recorded_warnings() as notes:
            for number in range(50):
                with attributed_to(str(number)):
                    warn(f"{number} is odd")
        return notes

    with pytest.warns(AudioWarning) as shown:
        assert len(job()) == 50
    assert len(shown) == 21
    assert "30 more warnings about recordings, of 50 in all" in str(shown[-1].message)


def test_who_silences_warnings_is_obeyed() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("ignore", AudioWarning)
        with recorded_warnings(), attributed_to("a"):
            warn("a is odd")
    assert not shown
