"""C++ kernels, compiled on first use by the installed compiler and kept in the user's cache folder.

Without a compiler, or where the library cannot be loaded, callers compute without the kernel; only the debug log says
so. `SONANT_KERNELS=0` in the environment turns all kernels off.
"""

import ctypes
import hashlib
import logging
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

logger = logging.getLogger(__name__)

COMPILE_SECONDS = 120.0  # time limit of a compiler
# NaN and infinities keep their meaning, so this is not -ffast-math; sums are reordered where the source says so only.
OPTIMIZE = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC")
NATIVE = (("-march=native",), ("-mcpu=native",), ())  # the first of these that the compiler accepts
# The calls that these leave open find the OpenMP that torch has loaded. Linking one would bring a second pool of
# threads, so without torch's the kernel is built for one thread.
THREADS = (("-fopenmp",), ("-Xclang", "-fopenmp"), ())
LINK = ("-shared", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)
LIBRARY = "kernel.so"
DIGEST = "sha256"


class Kernel(NamedTuple):
    """A loaded library, and whether it can use more than one thread."""

    library: ctypes.CDLL
    parallel: bool


def compiled(name: str) -> ctypes.CDLL | None:
    """The library built from `<name>.cpp` beside this file.

    Returns:
        None where it could not be built or loaded, where kernels are turned off, and where torch uses several threads
        but the kernel could be built for one only.
    """
    if os.environ.get("SONANT_KERNELS") == "0":
        return None
    kernel = _kernel(name)
    if kernel is None or (torch.get_num_threads() > 1 and not kernel.parallel):
        return None
    return kernel.library


@cache
def _kernel(name: str) -> Kernel | None:
    return build(Path(__file__).with_name(f"{name}.cpp"))


def build(source: Path) -> Kernel | None:
    """Load the library of a source, compiled now or before; None if that fails."""
    try:
        text = b"".join(part.read_bytes() for part in (source, *sorted(source.parent.glob("*.h"))))
        compiler = _compiler()
        native, machine = _native(compiler)
        for threads in THREADS:
            command = [*compiler, *OPTIMIZE, *native, *threads]
            key = hashlib.sha256(b"\0".join([text, machine, shlex.join([*command, *LINK]).encode()])).hexdigest()
            try:
                entry = _entry(f"{source.stem}-{key[:32]}", source, command, [*compiler, *LINK])
                return Kernel(ctypes.CDLL(str(entry / LIBRARY)), bool(threads))
            except (OSError, subprocess.CalledProcessError) as error:
                logger.debug("Kernel %s with %s: %s", source.stem, threads or "one thread", _said(error))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        logger.debug("No kernel %s: %s", source.stem, _said(error))
    return None


def _entry(name: str, source: Path, compile_command: list[str], link_command: list[str]) -> Path:
    """Return the cache folder of the library, compiled if it is missing or damaged.

    A library is compiled in a temporary folder and renamed, so that several processes may do so at the same time.

    Raises:
        subprocess.SubprocessError: the compiler failed, or took too long.
        OSError: there is no place to write to.
    """
    for folder in _cache_folders():
        entry = folder / name
        if _intact(entry):
            return entry
        shutil.rmtree(entry, ignore_errors=True)
        with (
            suppress(OSError),
            tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as workshop,
        ):
            made = Path(workshop, "made")
            made.mkdir()
            _run([*compile_command, "-c", str(source.resolve()), "-o", "kernel.o"], made)
            _run([*link_command, "kernel.o", "-o", LIBRARY], made)
            Path(made, "kernel.o").unlink()
            Path(made, DIGEST).write_text(_digest(made), encoding="ascii")
            made.rename(entry)  # fails if another process was first
        if _intact(entry):
            return entry
    raise OSError("no folder of the cache can be written")


def _intact(entry: Path) -> bool:
    """Return whether a library matches its digest; loading a damaged one can end the process."""
    try:
        return Path(entry, DIGEST).read_text(encoding="ascii") == _digest(entry)
    except (OSError, ValueError):
        return False


def _digest(entry: Path) -> str:
    return hashlib.sha256(Path(entry, LIBRARY).read_bytes()).hexdigest()


def _compiler() -> list[str]:
    """The command of the C++ compiler: `CXX`, or the first one found."""
    if sys.platform == "win32":
        raise OSError("GCC on Windows lays wide registers at wrong addresses (its bug 54412), which ends the process")
    if named := shlex.split(os.environ.get("CXX", "")):
        return named
    for name in ("c++", "g++", "clang++"):
        if path := shutil.which(name):
            return [path]
    raise FileNotFoundError("no C++ compiler on the PATH, and CXX names none")


def _native(compiler: list[str]) -> tuple[tuple[str, ...], bytes]:
    """The flags for this machine's processor, and the macros that the compiler defines for it and for itself."""
    for flags in NATIVE:
        with suppress(subprocess.CalledProcessError):
            return flags, _run([*compiler, *flags, "-x", "c++", "-dM", "-E", os.devnull], None)
    raise ValueError(f"{shlex.join(compiler)} does not compile C++")


def _run(command: list[str], folder: Path | None) -> bytes:
    return subprocess.run(  # noqa: S603
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=COMPILE_SECONDS
    ).stdout


def _said(error: Exception) -> str:
    said = getattr(error, "stderr", None) or b""
    return f"{error} {said.decode(errors='replace')}".strip()


def _cache_folders() -> Iterator[Path]:
    """Yield folders for libraries, best first. Libraries are executed, so only the user may be able to write there."""
    for place in (_user_cache, _temporary_cache):
        with suppress(OSError, RuntimeError):  # not writable, or the user has no home folder
            folder = place()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _private(folder):
                yield folder
    yield Path(_process_folder().name)


@cache
def _process_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder of this process, used if no other is possible."""
    return tempfile.TemporaryDirectory(prefix="sonant-kernels-", ignore_cleanup_errors=True)


def _user_cache() -> Path:
    if named := os.environ.get("XDG_CACHE_HOME"):
        caches = Path(named)
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path.home() / ".cache"
    return caches / "sonant" / "kernels"


def _temporary_cache() -> Path:
    return Path(tempfile.gettempdir(), f"sonant-kernels-{os.getuid()}")


def _private(folder: Path) -> bool:
    """Return whether only the user can write to the folder."""
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
