"""Models optimized for CPUs: weights laid out once, rows in pieces that fit into the cache."""
