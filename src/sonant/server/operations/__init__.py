"""Start and stop, health, metrics and logs."""
