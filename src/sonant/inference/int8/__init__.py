"""Int8 inference: smoothed inputs, a check against float32, and blocks that stay in floats where it fails."""
