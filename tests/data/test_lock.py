import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sonant.data import lock
from sonant.data.lock import output_lock
from sonant.errors import ConfigurationError, SonantWarning

HOLDER = """
import sys, time
from pathlib import Path
from sonant.data.lock import output_lock
with output_lock(Path(sys.argv[1]), is_folder=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_released_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "out.npy.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "out.npy")], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with (
        pytest.raises(ConfigurationError, match=rf"out\.npy is being written by process {process.pid} on"),
        output_lock(tmp_path / "out.npy", is_folder=False),
    ):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert path.exists()
    with output_lock(tmp_path / "out.npy", is_folder=False):
        pass
    assert not path.exists()


def test_a_lock_file_that_was_removed_is_no_lock(tmp_path: Path, monkeypatch) -> None:
    """The holder before removed it after it was opened and before it was locked."""
    path, take = tmp_path / "running.lock", lock._lock
    removals = [True]

    def late(descriptor: int) -> None:
        if removals:
            removals.pop()
            path.unlink()
        take(descriptor)

    monkeypatch.setattr(lock, "_lock", late)
    with output_lock(tmp_path, is_folder=True):
        assert path.exists()
        with pytest.raises(ConfigurationError), output_lock(tmp_path, is_folder=True):
            pass


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch) -> None:
    def none(_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock, "_lock", none)
    with pytest.warns(SonantWarning, match="no locks"), output_lock(tmp_path, is_folder=True):
        pass


@pytest.mark.filterwarnings("ignore:.*waits until it is done")
def test_a_job_may_wait_for_another(tmp_path: Path) -> None:
    def hold() -> None:
        with output_lock(tmp_path, is_folder=True, wait=True):
            pass

    with ThreadPoolExecutor() as pool:
        with output_lock(tmp_path, is_folder=True):
            waiting = pool.submit(hold)
            time.sleep(0.2)
            assert not waiting.done()
        waiting.result(timeout=5)
