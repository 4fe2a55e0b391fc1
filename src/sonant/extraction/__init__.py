"""Recordings to features, in memory or in files: knows protocols and arrays, no model family."""
