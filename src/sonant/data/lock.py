"""Lock of an output file or folder, for one job at a time."""

import json
import os
import socket
import sys
import time
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
_POLL_SECONDS = 0.5
_BEYOND = 1 << 30  # offset of the locked byte, after the text: Windows makes locked bytes unreadable


@contextmanager
def output_lock(output: Path, *, is_folder: bool, wait: bool = False) -> Iterator[None]:
    """Lock an output: a folder (which is created, with `running.lock` in it), or a file (with `NAME.lock` beside it).

    The operating system releases the lock when the process ends, so a lock file left by a killed job has no effect.

    Args:
        wait: wait until no other job has locked it; a warning tells so.

    Raises:
        ConfigurationError: another job, in this process or another, has locked it, and `wait` is False.
    """
    (output if is_folder else output.parent).mkdir(parents=True, exist_ok=True)
    path = output / "running.lock" if is_folder else output.with_name(f"{shortened(output.name, 230)}.lock")
    descriptor = _locked(path, output, wait=wait)
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


def _locked(path: Path, what: Path, *, wait: bool) -> int:
    """Open and lock the lock file; return its descriptor."""
    waiting = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            if error.errno in _HELD:
                busy = f"{what} is being written by {_holder(descriptor)}."
                os.close(descriptor)
                if not wait:
                    raise ConfigurationError(f"{busy} Wait until it is done, or name another output.") from None
                if not waiting:
                    warnings.warn(f"{busy} This job waits until it is done.", SonantWarning, stacklevel=2)
                    waiting = True
                time.sleep(_POLL_SECONDS)
                continue
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


def _holder(descriptor: int) -> str:
    """Name the job that holds a lock."""
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0)) if hasattr(os, "pread") else {}
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
