"""Programs of torch.export: read back, they give what the packed models give."""

import json

import pytest
import torch

from sonant.export import to_torch
from sonant.export.torch_program import FACTS
from tests.export.backbones import BACKBONES, backbone
from tests.export.test_padded import speech

families = pytest.mark.parametrize(
    "name", [name if name == "HuBERT" else pytest.param(name, marks=pytest.mark.slow) for name in BACKBONES]
)


@families
def test_a_program_gives_what_the_model_gives(name, tmp_path):
    model = backbone(name)
    exported = to_torch(model, tmp_path / "model.pt2", layers=None)
    assert exported.agreement.largest_difference < 1e-4
    assert exported.agreement.equal_codes == 1
    extra = {FACTS: ""}
    program = torch.export.load(exported.path, extra_files=extra).module()
    assert json.loads(extra[FACTS]) == exported.facts
    for lengths in ([model.receptive_field], [9_999], [5_000, 31_000, 700]):
        rows, _ = speech(lengths)
        outputs = program(rows, torch.tensor(lengths))
        assert set(outputs) == set(exported.outputs)
        assert outputs["frames"].tolist() == [model.num_frames(length) for length in lengths]
