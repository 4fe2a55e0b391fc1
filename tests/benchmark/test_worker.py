"""The process of one system."""

import warnings

from sonant.benchmark.worker import said_of
from sonant.errors import ModelWarning, warn


def test_what_a_system_says_of_itself_is_noted_though_warnings_are_off() -> None:
    """The process runs with all warnings off, as other packages have many."""

    def make() -> int:
        for _ in range(2):
            warn("float32 is run instead", ModelWarning)
        warnings.warn("something of another package", UserWarning, stacklevel=1)
        return 3

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert said_of(make) == (3, "float32 is run instead")
