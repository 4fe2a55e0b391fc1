"""JSON on standard output, in which names and texts stand as they are."""

import json
from collections.abc import Callable
from typing import Any


def print_json(data: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> None:
    """Print data as JSON, on one line without an indent; `default`: converts what JSON has no form for."""
    print(json.dumps(data, indent=indent, default=default, ensure_ascii=False))
