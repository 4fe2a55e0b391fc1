"""Families beside WavLM, HuBERT, wav2vec 2.0 and w2v-BERT 2.0."""

from tests.checkpoints.table.case import Case

CASES: tuple[Case, ...] = ()
