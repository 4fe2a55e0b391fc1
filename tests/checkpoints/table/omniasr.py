"""omniASR in the layout of fairseq2."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
