"""Request limits, request ids, health and logs."""
