"""Language models from files, by what they contain."""

import os
from pathlib import Path
from typing import Any

from sonant.decoding.arpa import read_arpa
from sonant.decoding.language_model import LanguageModel
from sonant.errors import ConfigurationError


def read_language_model(given: str | os.PathLike[str]) -> LanguageModel[Any]:
    """Read an n-gram model in ARPA format, also compressed by gzip.

    Raises ConfigurationError: there is no such file, or it is something else.
    """
    path = Path(given).expanduser()
    if not path.is_file():
        raise ConfigurationError(f"The language model {os.fspath(given)!r} is not a file; expected one in ARPA format.")
    return read_arpa(path)
