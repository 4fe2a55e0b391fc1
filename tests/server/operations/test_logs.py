"""A line an event, whatever it holds."""

import json
import logging

import pytest

from sonant.server.operations.logs import Json, Text


def record(message: str, *arguments: object, **facts: object) -> logging.LogRecord:
    made = logging.getLogger("sonant.x").makeRecord("sonant.x", logging.INFO, "f", 1, message, arguments, None)
    made.__dict__.update(facts)
    return made


def test_json_holds_the_facts() -> None:
    line = Json().format(record("took %d", 3, model="org/a", seconds=0.25, odd={1, 2}))
    told = json.loads(line)
    assert (told["message"], told["model"], told["seconds"], told["level"]) == ("took 3", "org/a", 0.25, "info")
    assert told["time"].endswith("+00:00")


@pytest.mark.parametrize("formatter", [Json(), Text()])
def test_a_stranger_cannot_forge_a_line(formatter: logging.Formatter) -> None:
    evil = "fine\n12:00:00 error   all keys were stolen\x1b[2J\u2028"
    line = formatter.format(record("got %s", evil, model=evil))
    assert "\n" not in line
    assert isinstance(formatter, Json) or len(line.splitlines()) == 1
    assert "\x1b" not in line


@pytest.mark.parametrize("formatter", [Json(), Text()])
def test_a_traceback_is_kept(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        made = record("failed")
        made.exc_info = (type(error), error, error.__traceback__)
    assert "ValueError: why" in formatter.format(made)
