"""Names of tensors with something before them, and tensors inside other containers."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
