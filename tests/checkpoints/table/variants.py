"""Variants of the known families."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
