"""Exact float32 products on a GPU: TF32 (11 bits), the default of PyTorch in convolutions, is turned off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import nn

T = TypeVar("T")


class _Switch:
    """The TF32 settings of PyTorch, which are process-wide: off while any thread needs them off."""

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0
        self._restore: Callable[[], None] = lambda: None

    def off(self) -> None:
        """Turn TF32 off, or increase the number of users."""
        with self._lock:
            if self._users == 0:
                self._restore = _turn_off()
            self._users += 1

    def release(self) -> None:
        """Decrease the number of users; the last restores the settings."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore()


_TF32 = _Switch()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Turn TF32 off in convolutions and matrix products, in every thread, until the last such block ends.

    PyTorch has no setting for one thread. Blocks of several threads are counted, so that none restores TF32 within
    another; settings made meanwhile are lost when the last block ends.
    """
    _TF32.off()
    try:
        yield
    finally:
        _TF32.release()


def run_exactly(module: nn.Module) -> None:
    """Run each call of the module in an `exact_float32` block."""
    module.register_forward_pre_hook(_begin)
    module.register_forward_hook(_end, always_call=True)  # also when the call raises


def _begin(*_: Any) -> None:
    _TF32.off()


def _end(*_: Any) -> None:
    _TF32.release()


def _turn_off() -> Callable[[], None]:
    """Turn TF32 off, and return a function that restores the settings.

    Older names of a setting are set before newer ones: only the newer can represent every state, and PyTorch refuses to
    read an older one that contradicts a newer one.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    newer: list[Any] = [cudnn.conv, cudnn.rnn, matmul]  # type: ignore[attr-defined]
    known = [part.fp32_precision for part in newer]
    allowed, precision = _readable(lambda: cudnn.allow_tf32), _readable(torch.get_float32_matmul_precision)
    cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    for part in newer:
        part.fp32_precision = "ieee"

    def restore() -> None:
        if allowed is not None:
            cudnn.allow_tf32 = allowed
        if precision is not None:
            torch.set_float32_matmul_precision(precision)
        for part, value in zip(newer, known, strict=True):
            part.fp32_precision = value

    return restore


def _readable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except RuntimeError:  # the newer settings contradict it
        return None
