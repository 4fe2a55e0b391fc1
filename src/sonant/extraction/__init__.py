"""Extraction of features from recordings, in memory or into files, independently of the model family."""
