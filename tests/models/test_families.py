"""One row a family: it builds what its configuration says, and everything that asks for a family finds it."""

from types import SimpleNamespace

import pytest
import torch

from sonant.errors import UnknownName
from sonant.models import Backbone, build
from sonant.models.families import FAMILIES, TITLES, Family, family_of

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@families
def test_a_row_builds_the_models_of_its_configuration(family: Family):
    config = family.config()
    assert family_of(config) is family
    with torch.device("meta"):
        model = build(config)
    assert isinstance(model, Backbone)
    assert model.config == config


@families
def test_a_row_describes_and_counts_a_model(family: Family):
    config = family.config()
    assert len(family.shape.parts(config)) >= 2
    flops = family.shape.flops(config, 16_000)
    assert flops.extractor > 0
    assert flops.feed_forward < flops.context or not family.is_learned


def test_no_two_families_have_a_key_or_a_configuration_in_common():
    assert len({family.config for family in FAMILIES.values()}) == len(FAMILIES)
    assert all(family.key == key for key, family in FAMILIES.items())
    assert len(set(TITLES.values())) == len(TITLES)
    assert len(TITLES) == len(FAMILIES) - 2  # vq-wav2vec and the BERT on its codes have one name, mel features none


@families
def test_the_peer_is_a_class_of_transformers(family: Family):
    transformers = pytest.importorskip("transformers")
    assert family.peer is None or hasattr(transformers, family.peer)


def test_a_configuration_of_no_family_is_refused():
    with pytest.raises(UnknownName, match="SimpleNamespace.*WavLMConfig"):
        family_of(SimpleNamespace())
