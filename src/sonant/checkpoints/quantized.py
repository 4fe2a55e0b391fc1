"""Detection and refusal of weights that other tools have quantized."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.parameter_names import grouped
from sonant.errors import UnsupportedCheckpoint

COUNTERS = ("num_batches_tracked", "position_ids", "num_updates")  # suffixes of names of integers that are no weights
# Suffixes of names that each tool writes with or instead of a weight; the most specific first.
TOOLS: Mapping[str, tuple[str, ...]] = {
    "bitsandbytes": (".SCB", ".weight_format", ".absmax", ".quant_map", ".bitsandbytes__nf4", ".bitsandbytes__fp4"),
    "GPTQ or AWQ": (".qweight", ".qzeros", ".g_idx"),
    "PyTorch's dynamic quantization": ("._packed_params", "_packed_params.dtype", ".zero_point"),
    "a tool that keeps scales beside the weights": (".weight_scale", ".weight_scale_inv", ".input_scale", ".CB"),
}


def refuse_quantized(state: Mapping[str, Tensor], config: Mapping[str, Any], source: object) -> None:
    """Raise UnsupportedCheckpoint if weights are integers or have scales."""
    whole = [
        name
        for name, tensor in state.items()
        if not (tensor.is_floating_point() or name.endswith(COUNTERS) or tensor.ndim == 0)
    ]
    marked = {tool: [name for name in state if name.endswith(ends)] for tool, ends in TOOLS.items()}
    tool = _tool_in(config) or next((tool for tool, names in marked.items() if names), None)
    names = [*whole, *(name for names in marked.values() for name in names if name not in whole)]
    if not names:
        return
    kinds = ", ".join(sorted({str(state[name].dtype).removeprefix("torch.") for name in whole})) or "numbers"
    who = f"quantized by {tool}" if tool else f"{kinds}, and nothing says how they are scaled"
    raise UnsupportedCheckpoint(
        f"{source}: its weights are {who} ({grouped(names)}). sonant reads weights in floating point: load the "
        "original that was quantized, and give precision='int8' if integers of eight bits are wanted."
    )


def _tool_in(config: Mapping[str, Any]) -> str | None:
    said = config.get("quantization_config")
    method = said.get("quant_method") if isinstance(said, Mapping) else None
    return str(method) if method else "the tool of its quantization_config" if said else None
