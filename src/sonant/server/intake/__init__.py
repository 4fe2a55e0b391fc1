"""Recordings from strangers: within limits, decoded where they can do no harm."""
