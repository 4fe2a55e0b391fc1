"""Kernels for CPUs and GPUs, each beside the plain function that it must equal; nothing here imports other layers.

Ours, as no library has attention with WavLM's gated bias, or over packed clips on a CPU; each is kept for as long as it
is measured to be faster than PyTorch's own operations.
"""
