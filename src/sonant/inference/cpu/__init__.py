"""Models optimized for a CPU: weights laid out once, work in pieces that stay in the cache."""
