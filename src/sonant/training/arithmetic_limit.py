"""Largest number of operations a second of a device, in products of matrices."""

import re
import time

import torch

from sonant.training.precision import computes_bfloat16

# Dense products in bfloat16 with sums in float32, operations a second, by a pattern of the name that torch gives. From
# NVIDIA's data sheets of each product, where figures "with sparsity" are halved.
GPUS = {
    r"B200\b": 2.25e15,
    r"(H100|H200|H800) NVL": 836e12,
    r"(H100|H800) PCIe": 756e12,
    r"(GH200|H100|H200|H800)\b": 989e12,
    r"(A100|A800)\b": 312e12,
    r"L40S\b": 362e12,
    r"L40\b": 181e12,
    r"L4\b": 121e12,
    r"RTX 6000 Ada": 364e12,
    r"RTX A6000": 155e12,
    r"RTX 4090$": 165e12,
    r"RTX 3090$": 71e12,
}
ROWS, SECONDS = 1024, 0.3  # of the products on a CPU


def arithmetic_limit(device: torch.device, precision: str) -> float | None:
    """Return the operations a second of a device: of a GPU from its data sheet, of a CPU measured now.

    None for a GPU that is not listed, for a part of one (MIG), and in float32, since its convolutions may use TF32.
    """
    if device.type == "cpu":
        return _measured(torch.bfloat16 if precision == "bfloat16" and computes_bfloat16(device) else torch.float32)
    if device.type != "cuda" or precision != "bfloat16":
        return None
    name = torch.cuda.get_device_name(device)
    return None if "MIG" in name else next((limit for known, limit in GPUS.items() if re.search(known, name)), None)


def _measured(kind: torch.dtype) -> float:
    """Operations a second of the fastest of some products of square matrices, with the threads of torch."""
    matrix = torch.ones(ROWS, ROWS, dtype=kind)
    fastest, began = float("inf"), time.perf_counter()
    while True:
        start = time.perf_counter()
        matrix @ matrix
        now = time.perf_counter()
        fastest = min(fastest, now - start)
        if now - began > SECONDS:
            return 2 * ROWS**3 / fastest
