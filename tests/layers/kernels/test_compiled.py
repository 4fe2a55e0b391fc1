"""Kernels are built once, by whatever compiler there is; where that fails, there are none, and no noise."""

import ctypes
import logging
import multiprocessing
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sonant.layers.kernels import compiled as builder
from sonant.layers.kernels.compiled import DIGEST, LIBRARY, Kernel, build, compiled

SOURCE = """
extern "C" int count(int threads) {
    int counted = 0;
    #pragma omp parallel num_threads(threads) reduction(+ : counted)
    counted += 1;
    return counted;
}
extern "C" int is_nan(float x) { return x != x; }
"""

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="this machine has no C++ compiler"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    builder._process_folder.cache_clear()
    yield tmp_path / "cache" / "sonant" / "kernels"
    builder._process_folder.cache_clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "little.cpp"
    path.write_text(SOURCE)
    return path


def works(kernel: Kernel | None) -> bool:
    return kernel is not None and kernel.library.count(1) == 1


@needs_compiler
def test_is_built_once_and_found_again(source: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert works(build(source))
    (entry,) = own_cache.iterdir()
    assert {file.name for file in entry.iterdir()} == {LIBRARY, DIGEST}
    made = (entry / LIBRARY).stat().st_ino
    assert works(build(source))
    assert (entry / LIBRARY).stat().st_ino == made
    assert [path.name for path in own_cache.iterdir()] == [entry.name]


@needs_compiler
def test_another_text_is_another_library(source: Path, own_cache: Path) -> None:
    build(source)
    source.write_text(SOURCE.replace("+= 1", "+= 2"))
    kernel = build(source)
    assert kernel is not None
    assert kernel.library.count(1) == 2
    assert len(list(own_cache.iterdir())) == 2


@needs_compiler
def test_nan_stays_nan(source: Path) -> None:
    kernel = build(source)
    assert kernel is not None
    kernel.library.is_nan.argtypes = [ctypes.c_float]
    assert kernel.library.is_nan(float("nan")) == 1
    assert kernel.library.is_nan(1.0) == 0


def openmp_loaded() -> set[str]:
    """The libraries of OpenMP in this process."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").split()
    return {path for path in maps if "libgomp" in path or "libomp" in path or "libiomp" in path}


@needs_compiler
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's list of loaded libraries")
def test_threads_are_those_of_torch(source: Path) -> None:
    """The kernel brings no OpenMP of its own; without torch's, it is built for one thread."""
    before = openmp_loaded()  # other packages of the tests bring their own
    kernel = build(source)
    assert kernel is not None
    assert openmp_loaded() == before
    if kernel.parallel:
        assert kernel.library.count(2) == 2


@needs_compiler
def test_without_openmp_serves_one_thread_only(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "THREADS", (("-f-no-such-flag",), ()))
    kernel = build(source)
    assert kernel is not None
    assert not kernel.parallel
    monkeypatch.setattr(builder, "_kernel", lambda _: kernel)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert compiled("little") is None
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert compiled("little") is kernel.library


@pytest.mark.parametrize("compiler", ["/nonexistent/c++", "true", "false", "'"])
def test_without_a_compiler_there_is_no_kernel_and_no_noise(
    compiler: str, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("CXX", compiler)
    with caplog.at_level(logging.DEBUG, logger=builder.__name__):
        assert build(source) is None
    assert capfd.readouterr() == ("", "")
    assert {record.levelno for record in caplog.records} == {logging.DEBUG}


def test_with_an_empty_path_there_is_no_kernel(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert build(source) is None


@needs_compiler
def test_a_broken_source_gives_no_kernel(source: Path, own_cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source.write_text("this is not C++")
    assert build(source) is None
    assert capfd.readouterr() == ("", "")
    assert list(own_cache.iterdir()) == []


@needs_compiler
def test_a_slow_compiler_is_given_up(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o700)
    monkeypatch.setenv("CXX", str(slow))
    monkeypatch.setattr(builder, "COMPILE_SECONDS", 0.1)
    assert build(source) is None


def test_a_missing_source_gives_no_kernel() -> None:
    assert compiled("no_such_kernel") is None


def test_can_be_turned_off(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_kernel", lambda _: pytest.fail("looked for a kernel"))
    monkeypatch.setenv("SONANT_KERNELS", "0")
    assert compiled("little") is None


@needs_compiler
@pytest.mark.parametrize("damage", [b"", b"\x7fELF and nothing more", None])
def test_a_damaged_library_is_built_again(damage: bytes | None, source: Path, own_cache: Path) -> None:
    """As a full disk or a stopped process leaves it; half a library must not be loaded, which can end the process."""
    assert works(build(source))
    (entry,) = own_cache.iterdir()
    library = entry / LIBRARY
    whole = library.read_bytes()
    library.unlink()  # and not written over: this process has it loaded
    library.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert works(build(source))
    assert library.read_bytes() == whole


@needs_compiler
def test_a_cache_that_cannot_be_written_is_passed_by(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert works(build(source))
    (folder,) = (tmp_path / "temporary").iterdir()
    assert folder.name.startswith("sonant-kernels-")
    assert len(list(folder.iterdir())) == 1


@needs_compiler
def test_a_cache_that_others_may_write_is_passed_by(source: Path, own_cache: Path, tmp_path: Path) -> None:
    own_cache.mkdir(parents=True)
    own_cache.chmod(0o777)
    assert works(build(source))
    assert list(own_cache.iterdir()) == []
    (folder,) = (tmp_path / "temporary").iterdir()
    folder.chmod(0o777)
    assert works(build(source))
    assert len(list((tmp_path / "temporary").iterdir())) == 2  # one more, for this process alone


@needs_compiler
def test_a_home_that_is_not_there_is_passed_by(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert works(build(source))


@needs_compiler
def test_the_cache_is_the_users_alone(source: Path, own_cache: Path) -> None:
    build(source)
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700


def _build_and_count(source: Path) -> bool:
    return works(build(source))


@needs_compiler
def test_processes_build_at_once(source: Path, own_cache: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map(_build_and_count, [source] * 4) == [True] * 4
    assert len(list(own_cache.iterdir())) == 1
