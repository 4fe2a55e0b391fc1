"""Adapters inside the layers and behind the encoder."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
