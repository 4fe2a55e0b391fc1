"""Logs on stderr, one line per event: JSON for machines, text for people. No audio, no keys, no cookies, no queries."""

import logging
import logging.config
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

KNOWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


def set_up(log_format: Literal["json", "text"]) -> None:
    """Send logs of sonant and uvicorn to stderr, and warnings of other loggers."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": Json if log_format == "json" else Text}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": "WARNING"},
            "loggers": {"sonant": {"level": "INFO"}, "uvicorn": {"level": "WARNING"}},
        }
    )


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the `extra` fields of a record."""
    return {name: value for name, value in record.__dict__.items() if name not in KNOWN}


class Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **facts_of(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class Text(logging.Formatter):
    """Time, level, message, and the facts as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        facts = "".join(f" {name}={_quoted(value)}" for name, value in facts_of(record).items())
        line = f"{time} {record.levelname.lower():7} {_quoted_lines(record.getMessage())}{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _quoted_lines(message: str) -> str:
    """Escape line breaks in a message: text sent by clients must not look like separate log lines."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
