"""Heads that are no class of transformers."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
