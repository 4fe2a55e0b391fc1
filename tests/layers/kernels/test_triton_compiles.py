"""Triton compiles every kernel for a GPU, as it is launched, where there is none."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="Triton is not installed: pip install '.[triton]' (Linux)")

# Beside the compiler there can be no interpreter: a process of its own.
SCRIPT = '''
import json, re, subprocess, tempfile
from pathlib import Path
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from sonant.layers.kernels import triton_attention, triton_norm_programs, triton_programs
from sonant.layers.kernels.triton_clip_norm import norm_gelu
from sonant.layers.kernels.triton_convolution import convolve
from sonant.layers.kernels.triton_norm import norm_triton
from sonant.layers.kernels.biases import RelativeBias, RelativeKeyBias

TYPES = {torch.bfloat16: "*bf16", torch.float16: "*fp16", torch.float32: "*fp32", torch.int32: "*i32",
    torch.int64: "*i64"}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
built = []


def stack(cubin):
    """Bytes of the stack, where registers spill; None where the tool that reads them is not there."""
    if not CUOBJDUMP.exists():
        return None
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return int(re.search("STACK:([0-9]+)", told)[1])


class Compiled:
    """In place of a kernel: what it is launched with is compiled, not run."""

    def __init__(self, programs, name):
        self.name, self.kernel = name, getattr(programs, name)

    def __getitem__(self, grid):
        return self

    def __call__(self, *given, num_warps, num_stages=3, **named):
        names = self.kernel.arg_names
        values = {**dict(zip(names, given)), **named}
        signature, constants, attributes = {}, {}, {}
        for number, name in enumerate(names):
            value = values[name]
            if value is None or name in named:
                signature[name], constants[number,] = "constexpr", value
            elif isinstance(value, torch.Tensor):
                signature[name], attributes[number,] = TYPES[value.dtype], [["tt.divisibility", 16]]
            else:
                signature[name] = "fp32" if isinstance(value, float) else "i32"
        source = ASTSource(self.kernel, signature, constants, attributes)
        options = {"num_warps": num_warps, "num_stages": num_stages}
        made = triton.compile(source, target=GPUTarget("cuda", %(capability)d, 32), options=options)
        wide = "query" in values and values["query"].dtype == torch.float32
        products = len(re.findall("mma", made.asm["ptx"]))
        built.append([self.name + " float32" * wide, made.metadata.shared, products, stack(made.asm["cubin"])])


for name in ("forward", "query_gradient", "key_gradient", "table_gradient", "convolution", "taps_gradient", "norm"):
    setattr(triton_programs, name, Compiled(triton_programs, name))
for name in ("clip_norm_gelu", "clip_norm_gelu_gradient"):
    setattr(triton_norm_programs, name, Compiled(triton_norm_programs, name))


def attend(bias, dropout=0.0, dtype=torch.bfloat16):
    query, key, value = torch.randn(3, 9, 2, 64).to(dtype)
    mixed = triton_attention.attend_triton(query.requires_grad_(), key, value, [4, 5], bias, dropout=dropout)
    mixed.sum().backward()


gate, table = torch.rand(9, 2), torch.rand(2, 9).requires_grad_()
attend(RelativeBias(table, gate), dropout=0.1)
attend(RelativeKeyBias(torch.rand(9, 2, 73).to(torch.bfloat16), 64))
attend(None)
attend(RelativeBias(gate=gate, table=table), dtype=torch.float32)
frames, weight, bias = torch.randn(9, 96), torch.randn(96, 48, 128), torch.randn(96)
half = [part.to(torch.bfloat16).requires_grad_() for part in (frames, weight, bias)]
convolve(*half, [4, 5]).sum().backward()
x, ones = torch.randn(9, 512), torch.ones(512)
norm_triton(x, ones, ones, 1e-5, torch.bfloat16, added=x.to(torch.bfloat16), kept="sum")
norm_triton(x, None, None, 0.0, torch.bfloat16, gelu=True)
stream = torch.randn(1, 512, 99).to(torch.bfloat16).requires_grad_()
norm_gelu(stream, ones, ones, [0, 64], [60, 30]).sum().backward()
print(json.dumps(built))
'''
STACK = 16  # bytes: what one kernel takes without spilling in its loop
SHARED_MEMORY = {80: 163 * 1024, 90: 227 * 1024}  # of a program, at most


@pytest.mark.slow
@pytest.mark.parametrize("capability", SHARED_MEMORY)
def test_every_kernel_compiles(capability: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT % {"capability": capability}]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout.splitlines()[-1])
    names = [name for name, *_ in built]
    assert names.count("forward") == names.count("query_gradient") == names.count("key_gradient") == 3
    assert {"table_gradient", "convolution", "taps_gradient", "norm", "forward float32"} <= set(names)
    assert {"clip_norm_gelu", "clip_norm_gelu_gradient"} <= set(names)
    for name, shared, products, stack in built:
        assert shared <= SHARED_MEMORY[capability], name
        exact = "norm" in name or name.endswith("float32")
        assert products > 0 or exact, f"{name} multiplies without matrix units"
        assert capability < 90 or stack is None or stack <= STACK, f"{name} spills registers"
