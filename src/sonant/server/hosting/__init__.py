"""Models in memory, and the queue before each of them."""
