"""Resident memory of this process, in bytes."""

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

STATUS = Path("/proc/self/status")


def held() -> int:
    """Return the current resident memory."""
    return _status("VmRSS") if STATUS.exists() else _highest()


def peak() -> int:
    """Return the peak since the start or since `forget_peak`."""
    return _status("VmHWM") if STATUS.exists() else _highest()


def forget_peak() -> None:
    """Return free memory to the system and reset the peak, on Linux; no effect on the peak elsewhere."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def limit(num_bytes: int) -> None:
    """Limit the memory of this process, so that allocations fail before the machine swaps or kills processes."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (num_bytes, num_bytes))


def go_first() -> None:
    """Make the system kill this process rather than its parent if memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


def _highest() -> int:
    """Return the peak since the start, on systems without /proc; 0 if unknown (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
