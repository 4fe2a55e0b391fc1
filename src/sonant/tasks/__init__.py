"""Objectives that need labels."""

from sonant.tasks.codes_to_text import TranscribedCodes, TranscribedCodesBatches, WriteText

__all__ = ["TranscribedCodes", "TranscribedCodesBatches", "WriteText"]
