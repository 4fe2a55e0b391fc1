"""Every checkpoint of the table loads as it says, or is refused as it says; the table in the pages is this one."""

import warnings

import pytest
import torch

from sonant.checkpoints import load_checkpoint, make_backbone
from sonant.errors import ModelWarning, SonantWarning
from sonant.layers.packed import Packed
from tests.checkpoints.table.cases import CASES, PAGE, table, written

pytest.importorskip("transformers")

CLIPS = (3000, 12_000, 1600)  # samples


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] * case.slow) for case in CASES],
    ids=[case.name for case in CASES],
)
def test_a_checkpoint_loads_as_the_table_says(case, tmp_path):
    made = case.make(tmp_path)
    if case.refused:
        with pytest.raises(case.refused, match=case.says) as raised:
            load_checkpoint(made.source, overrides=made.overrides)
        assert type(raised.value) is case.refused
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SonantWarning)
        checkpoint = load_checkpoint(made.source, overrides=made.overrides)
    words = "\n".join(str(warning.message) for warning in told if issubclass(warning.category, ModelWarning))
    assert bool(words) is bool(case.aside), words
    for name in case.aside:
        assert name.strip("`") in words
    assert sorted(checkpoint.heads) == sorted(case.heads)
    if made.check:
        made.check(checkpoint)
    backbone = make_backbone(checkpoint)
    clips = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in CLIPS]
    alone = [_states(backbone, [clip])[0] for clip in clips]
    for together, single in zip(_states(backbone, clips), alone, strict=True):
        _assert_equal(together, single, tolerance=1e-5)
    assert bool(made.reference) is bool(case.parity)
    if made.reference:
        normalized = backbone.normalized(Packed.pack(clips[:1])).values
        _assert_equal(alone[0], made.reference(normalized), tolerance=1e-5)


def _states(backbone, clips):
    """Every hidden state and the last of each clip, computed in one batch."""
    with torch.no_grad():
        encoded = backbone(Packed.pack(clips))
    states = [*encoded.hidden_states.values(), encoded.last]
    lengths = encoded.lengths.tolist()
    assert all(lengths)
    return [list(parts) for parts in zip(*(state.split(lengths) for state in states), strict=True)]


def _assert_equal(ours, expected, tolerance):
    assert len(ours) == len(expected)
    for got, state in zip(ours, expected, strict=True):
        torch.testing.assert_close(got, state, rtol=1e-4, atol=tolerance * float(state.abs().max()))


def test_the_page_has_this_table():
    assert written(PAGE.read_text(encoding="utf-8"))[1] == table(), (
        "docs/checkpoints.md is behind; write its table anew: python -m tests.checkpoints.table.cases"
    )


def test_no_two_cases_have_one_name():
    assert len({case.name for case in CASES}) == len(CASES)
