"""Models optimized for a GPU: few and large kernels."""
