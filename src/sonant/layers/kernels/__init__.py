"""Kernels for one machine or another; beside each stands the plain function that it must equal."""
