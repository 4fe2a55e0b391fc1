"""Extraction of features from recordings, in memory or into files, for models of any family."""
