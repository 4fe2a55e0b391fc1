"""Forced alignment of a text with a recording: its times, their scores, and files of them."""
