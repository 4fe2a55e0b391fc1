"""The table of formats has an entry for every family, and its entries agree with the families' rows."""

import pytest

from sonant.checkpoints.fairseq import fairseq_heads
from sonant.checkpoints.families import FORMATS, LAYOUTS, head_maps
from sonant.checkpoints.save import WRITERS, formats_of
from sonant.models.families import FAMILIES


def test_every_family_has_an_entry():
    assert set(FORMATS) == set(FAMILIES)


def test_families_that_transformers_has_name_its_class():
    assert {key for key, family in FAMILIES.items() if family.peer is not None} == set(LAYOUTS)
    assert len({layout.model_type for layout in LAYOUTS.values()}) == len(LAYOUTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_format_of_a_family_has_a_writer(family: str):
    assert set(formats_of(family)) <= set(WRITERS)
    assert "sonant" in formats_of(family)
    assert ("hf" in formats_of(family)) == (family in LAYOUTS)
    assert "pretraining" in head_maps(family)


@pytest.mark.parametrize("family", [key for key, formats in FORMATS.items() if formats.fairseq is not None])
def test_a_transformer_in_a_file_of_fairseq_has_the_heads_of_its_family(family: str):
    assert fairseq_heads(family)["pretraining"] is head_maps(family)["pretraining"]


@pytest.mark.parametrize("family", LAYOUTS)
def test_tensors_alone_either_tell_the_configuration_or_have_a_mark(family: str):
    assert (FORMATS[family].deduce is None) == (FORMATS[family].mark is not None)
