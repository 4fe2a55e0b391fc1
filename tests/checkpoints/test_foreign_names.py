"""Names that other toolkits give to parameters occur in checkpoints/ alone, and heads of earlier versions load."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import sonant
from sonant.checkpoints import Checkpoint, Head, load_checkpoint, save_checkpoint
from sonant.checkpoints.extra_data import FORMER_NAMES, present_name
from sonant.checkpoints.name_maps import fairseq, fairseq2, hf, torchaudio
from sonant.checkpoints.parameter_names import HeadMap, Row
from sonant.models import WavLMConfig, build
from tests.shapes import TINY

SOURCE = Path(sonant.__file__).parent
# Benchmarks run the models of other toolkits; transformers calls a preprocessor `feature_extractor`.
EXEMPT = ("checkpoints", "benchmark")


def rows() -> Iterator[Row]:
    for module in (fairseq, fairseq2, hf, torchaudio):
        for value in vars(module).values():
            found = value.rows if isinstance(value, HeadMap) else value
            if isinstance(found, tuple):
                yield from (row for row in found if isinstance(row, Row))
    yield from fairseq.fairseq_gumbel(2)


def words(pattern: str) -> set[str]:
    """The parts of a name that consist of several words: single ones may mean anything."""
    return {part for part in pattern.split(".") if re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", part)}


OURS = {word for row in rows() for native in row.natives for word in words(native)}
FOREIGN = {word for row in rows() for word in words(row.foreign)} - OURS


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The strings of a module, without what stands alone: docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value


def test_there_are_foreign_names():
    assert {"project_q", "post_extract_proj", "masked_spec_embed", "label_embs_concat", "rel_attn_embed"} <= FOREIGN


def test_foreign_names_stay_in_checkpoints():
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {word}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).parts[0] not in EXEMPT
        for line, text in strings(path)
        for word in re.findall(r"[a-z0-9_]+", text)
        if word in FOREIGN
    ]
    assert not wrong, wrong


def test_no_name_of_a_head_is_a_former_one():
    assert all(present_name(native) == native for row in rows() for native in row.natives)


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_heads_of_earlier_versions_load(tmp_path: Path, former: str):
    config, ending = WavLMConfig(**TINY), "weight" if former.endswith(".") else ""
    heads = {"pretraining": Head({"extra": torch.ones(3)})}
    save_checkpoint(tmp_path, Checkpoint(config, build(config).state_dict(), heads), to="sonant")
    file = tmp_path / "sonant_heads.safetensors"
    save_file(load_file(file) | {f"pretraining/{former}{ending}": torch.ones(2, 2)}, file, {"pretraining": "{}"})
    tensors = load_checkpoint(tmp_path).heads["pretraining"].tensors
    assert tensors.keys() == {"extra", f"{FORMER_NAMES[former]}{ending}"}
