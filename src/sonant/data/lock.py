"""Lock of an output file or folder, for one job at a time."""

import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from errno import EACCES, EAGAIN, EDEADLK, ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP
from pathlib import Path

from sonant.data.files import shortened
from sonant.errors import ConfigurationError, SonantWarning

_HELD = (EACCES, EAGAIN, EDEADLK)
_NOT_OFFERED = (ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP)
_BEYOND = 1 << 30  # offset of the locked byte, after the text: Windows makes locked bytes unreadable


@contextmanager
def output_lock(output: Path, *, is_folder: bool) -> Iterator[None]:
    """Lock an output: a folder (which is created, with `running.lock` in it), or a file (with `NAME.lock` beside it).

    The operating system releases the lock when the process ends, so a lock file left by a killed job has no effect.

    Raises:
        ConfigurationError: another job, in this process or another, has locked it.
    """
    (output if is_folder else output.parent).mkdir(parents=True, exist_ok=True)
    path = output / "running.lock" if is_folder else output.with_name(f"{shortened(output.name, 230)}.lock")
    descriptor = _locked(path, output)
    try:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # a full disk; the lock works without this information
            os.truncate(descriptor, 0)
            os.write(descriptor, json.dumps(holder).encode() + b"\n")
        yield
    finally:
        if sys.platform == "win32":  # open files cannot be removed
            os.close(descriptor)
            path.unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _locked(path: Path, what: Path) -> int:
    """Open and lock the lock file; return its descriptor."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD:
                message = _busy(descriptor, what)
                os.close(descriptor)
                raise ConfigurationError(message) from None
            if error.errno not in _NOT_OFFERED:
                os.close(descriptor)
                raise
            warnings.warn(
                f"The file system of {what} offers no locks ({error.strerror}), so nothing keeps a second job from "
                "writing there: start one at a time.",
                SonantWarning,
                stacklevel=2,
            )
            return descriptor
        # The previous job may have removed the file after it was opened here; then lock the new one.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _BEYOND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _busy(descriptor: int, what: Path) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0)) if hasattr(os, "pread") else {}
        who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return f"{what} is being written by {who}. Wait until it is done, or name another output."
