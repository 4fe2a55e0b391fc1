"""Compilation of every kernel that the rows need, in separate processes, before the first is timed."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "src"), str(HERE)]

import torch
from contact import Contact
from facts import Fact
from kernels import ATTENTION, WIDE_HEADS, bias_of, parts_of
from machine import cache_folder
from tilings import CUTS, one_kernel, using

from sonant.layers.kernels.triton_attention import Tiling, attend_triton
from sonant.layers.kernels.triton_clip_norm import norm_gelu
from sonant.layers.kernels.triton_convolution import convolve
from sonant.layers.kernels.triton_norm import norm_triton

PROCESSES = 12


def compile_all(contact: Contact) -> Iterator[Fact]:
    """Start the processes, and wait for them; each fills Triton's cache on the disk."""
    processes = 2 if contact.trial else min(PROCESSES, os.cpu_count() or 1)
    trial = ["--trial"] if contact.trial else []
    start = time.monotonic()
    running = [
        subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, __file__, "--share", str(share), "--of", str(processes), *trial],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for share in range(processes)
    ]  # fmt: skip
    for share, process in enumerate(running):
        errors = process.communicate()[1]
        if process.returncode:
            yield {"what": f"share {share} of {processes}", "passed": False, "error": errors[-300:]}
    kernels = sum(1 for _ in cache_folder().glob("*/*.cubin"))
    seconds = round(time.monotonic() - start, 1)
    yield {"what": f"{len(jobs(contact))} variants in {processes} processes", "seconds": seconds, "kernels": kernels}


def jobs(contact: Contact) -> list[Callable[[], object]]:
    """Return calls, each of which compiles a few kernels; neighbors go to different processes."""
    sorts = [(*sort, dropout) for sort in (*ATTENTION, *WIDE_HEADS) for dropout in (0.0, 0.3)]
    return [
        *(partial(both_ways, contact, *sort) for sort in sorts),
        *(partial(positions, contact, channels) for channels in (48, 64)),
        partial(norms, contact),
        partial(clip_norms, contact),
        *(partial(cut, contact, *one) for one in CUTS),
    ]


def both_ways(contact: Contact, kind: str, dtype: torch.dtype, head_dim: int, dropout: float) -> None:
    """Compile attention of one kind, forward and backward, on a clip of 16 frames."""
    if contact.trial:
        head_dim, dtype = 16, contact.half if dtype == torch.bfloat16 else dtype
    parts = parts_of(contact, [16], 16, head_dim, kind, dtype)
    attend_triton(*parts[:3], [16], bias_of(parts), dropout=dropout).sum().backward()


def positions(contact: Contact, channels: int) -> None:
    """Compile the positional convolution, forward and backward."""
    groups, taps = (2, 4) if contact.trial else (16, 128)
    shapes = (16, channels * groups), (channels * groups, channels, taps), (channels * groups,)
    parts = [torch.randn(shape, device=contact.device).to(contact.half).requires_grad_() for shape in shapes]
    convolve(*parts, [16]).sum().backward()


def norms(contact: Contact) -> None:
    """Compile the norms and activations of the published shapes in bfloat16 and float32."""
    for dim in (512, 768, 1024):
        x, ones = torch.randn(16, dim, device=contact.device), torch.ones(dim, device=contact.device)
        for dtype in (contact.half, torch.float32):
            for added in (None, x, x.to(dtype)):
                for kept in ("sum", "norm", None):
                    norm_triton(x, ones, ones, 1e-5, dtype, added=added, kept=kept)  # type: ignore[arg-type]
            norm_triton(x, None, None, 0.0, dtype, gelu=True)
            norm_triton(x.to(dtype), ones, ones, 1e-5, dtype, gelu=True)


def clip_norms(contact: Contact) -> None:
    """Compile the norm of channels over clips, forward and backward."""
    ones = torch.ones(4, device=contact.device)
    for dtype in (contact.half, torch.float32):
        stream = torch.randn(1, 4, 60, device=contact.device).to(dtype).requires_grad_()
        norm_gelu(stream, ones, ones, [0], [60]).sum().backward()


def cut(contact: Contact, kernel: str, precision: str, tiling: Tiling) -> None:
    """Compile one kernel with another tiling; one that does not fit the device fails again where it is timed."""
    try:
        with using(kernel, precision, tiling):
            one_kernel(contact, kernel, precision, [16])()
    except Exception as error:  # noqa: BLE001
        print(kernel, tiling, error, file=sys.stderr)


def main() -> None:
    """Compile a share of the jobs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=int, required=True)
    parser.add_argument("--of", type=int, required=True)
    parser.add_argument("--trial", action="store_true")
    options = parser.parse_args()
    contact = Contact(Path(), trial=options.trial)
    mine = jobs(contact)[options.share :: options.of]
    for job in mine[:2] if options.trial else mine:
        job()


if __name__ == "__main__":
    main()
