"""Kernels for CPUs and GPUs, each beside the plain function that it must equal; nothing here imports other layers."""
