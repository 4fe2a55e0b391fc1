"""Loading costs what the file's header costs: the numbers stay on disk, in the memory that the system maps them to."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sonant.checkpoints import load_backbone, load_checkpoint, save_checkpoint, save_pretrained
from sonant.models import build, wavlm

FORMATS = ["hf", "sonant", "unilm", "fairseq", "torchaudio"]


def mappings(path: Path) -> Iterator[range]:
    """The addresses at which this process sees a file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, _, _, _, _, *name = line.split(maxsplit=5)
        if name == [str(path)]:
            begin, end = (int(address, 16) for address in addresses.split("-"))
            yield range(begin, end)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the kernel does not say what is mapped where")
@pytest.mark.parametrize("to", FORMATS)
def test_weights_are_the_mapped_file_itself(tmp_path, checkpoint_of, to):
    save_checkpoint(tmp_path / "x", checkpoint_of("wavlm"), to=to)
    backbone = load_backbone(tmp_path / "x")
    file = tmp_path / "x" if (tmp_path / "x").is_file() else tmp_path / "x" / "model.safetensors"
    mapped = list(mappings(file.resolve()))
    elsewhere = [
        name
        for name, tensor in backbone.state_dict().items()
        if not any(tensor.data_ptr() in addresses for addresses in mapped)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("module", ["sonant", "sonant.cli"])
def test_neither_the_package_nor_its_commands_import_torch(module):
    assert not imported_by(module) & {"torch", "numpy", "huggingface_hub", "transformers"}


def test_the_hub_is_imported_when_it_is_asked():
    assert "huggingface_hub" not in imported_by("sonant.api")


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
def test_loading_is_quicker_than_reading_the_file(tmp_path):
    save_pretrained(build(wavlm.WavLMConfig()), tmp_path)
    began = time.perf_counter()
    (tmp_path / "model.safetensors").read_bytes()  # 378 MB
    reading = time.perf_counter() - began
    load_checkpoint(tmp_path)  # once, so that what it imports and compiles is not counted
    began = time.perf_counter()
    load_backbone(tmp_path)
    assert time.perf_counter() - began < 1.5 * reading
