"""LoRA, in a folder of its own or inside a checkpoint."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
