"""Every family on a GPU, in one call: agreement with the CPU, gradients, embedding speed, one pretraining step.

    python gpu/families.py --out gpu_families            # on a GPU, about five minutes
    python gpu/families.py --out smoke --tiny --device cpu

Random weights. The models and objectives are those of the published recipes, or with --tiny of the small ones. Writes
families.json and families.md into the folder and prints the tables.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).parent))

from report import RATE, Row, clips_of, markdown, measure, relative

from sonant.layers.packed import Packed
from sonant.models import Backbone, build
from sonant.pretraining import (
    FutureContrast,
    FutureContrastConfig,
    MaskedContrast,
    MaskedContrastConfig,
    MaskedPrediction,
    MaskedPredictionConfig,
    SpeechBatch,
    W2vBERTObjective,
    W2vBERTObjectiveConfig,
)
from sonant.recipes import pretraining_recipe

OBJECTIVES: dict[type, type[nn.Module]] = {
    FutureContrastConfig: FutureContrast,
    MaskedContrastConfig: MaskedContrast,
    MaskedPredictionConfig: MaskedPrediction,
    W2vBERTObjectiveConfig: W2vBERTObjective,
}
PUBLISHED = (
    "wav2vec_large", "vq_wav2vec_gumbel", "wav2vec2_base", "wav2vec2_large_lv60", "hubert_base", "wavlm_base",
    "w2v_bert2",
)  # fmt: skip
TINY = ("wav2vec_tiny", "vq_wav2vec_tiny", "wav2vec2_tiny", "hubert_tiny", "wavlm_tiny", "w2v_bert_tiny")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="the small recipes, to try the script")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    recipes = TINY if options.tiny else PUBLISHED
    tables = {
        "Agreement with the CPU, float32": [agreement(recipe, device) for recipe in recipes],
        "Embedding, bfloat16, clips of 10 s": [
            embedding(recipe, device, 2 if options.tiny else 32, options.repeats) for recipe in recipes
        ],
        "Pretraining step, bfloat16": [
            pretraining(recipe, device, 4.0 if options.tiny else 350.0, options.repeats) for recipe in recipes
        ],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    document = {"device": name, "torch": torch.__version__, **tables}
    (options.out / "families.json").write_text(json.dumps(document, indent=1))
    text = f"# {name}, torch {torch.__version__}\n\n" + "\n".join(map(markdown, tables, tables.values()))
    (options.out / "families.md").write_text(text)
    print(text)


def model_of(recipe: str) -> Backbone:
    torch.manual_seed(0)
    return build(pretraining_recipe(recipe).model)


def step_of(recipe: str, backbone: Backbone, lengths: list[float]) -> tuple[nn.Module, SpeechBatch]:
    """The objective of a recipe's first stage, and a batch of noise with half of its frames masked."""
    config = pretraining_recipe(recipe).stages[0].objective
    torch.manual_seed(0)
    speech = clips_of(lengths, torch.device("cpu"))
    frames = sum(backbone.num_frames(samples) for samples in speech.sizes)
    clusters = config.targets.num_clusters if isinstance(config, MaskedPredictionConfig) else 0
    targets = torch.randint(clusters, (frames,)) if clusters else None
    build_objective: Any = OBJECTIVES[type(config)]
    return build_objective(backbone, config), SpeechBatch(speech, torch.rand(frames) < 0.5, targets)


def agreement(recipe: str, device: torch.device) -> Row:
    """Hidden states, and the gradients of a masked loss without random draws, on the device against the CPU."""
    model = model_of(recipe).eval()
    seconds = [0.5, 3.0, 1.7, 3.0]
    with torch.no_grad():
        reference = model(clips_of(seconds, torch.device("cpu")))
        model.to(device)
        packed = clips_of(seconds, device)
        ours = model(packed)
        alone = model(Packed.pack([packed.unpack()[2]]))
    first = int(ours.lengths[:2].sum())
    frames = slice(first, first + int(ours.lengths[2]))
    gradients = []
    for place in (torch.device("cpu"), device):
        model.zero_grad()
        model.to(place)
        states = model(clips_of(seconds, place)).hidden_states[model.num_layers]
        states.square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None]))
    return {
        "model": recipe,
        "worst layer, relative": max(relative(ours.hidden_states[i], s) for i, s in reference.hidden_states.items()),
        "alone against batch": max(relative(s, ours.hidden_states[i][frames]) for i, s in alone.hidden_states.items()),
        "gradients, relative": relative(gradients[1], gradients[0]),
    }


@torch.no_grad()
def embedding(recipe: str, device: torch.device, clips: int, repeats: int) -> Row:
    model = model_of(recipe).eval().to(device, torch.bfloat16)
    packed = clips_of([10.0] * clips, device, torch.bfloat16)
    ((seconds, memory),) = measure({recipe: lambda: model(packed, layers=["last"])}, device, repeats).values()
    return {"model": recipe, "clips": clips, "audio s / s": 10 * clips / seconds, "peak GB": memory}


def pretraining(recipe: str, device: torch.device, seconds: float, repeats: int) -> Row:
    """Forward, backward and optimiser on clips of 10 s, or shorter ones for a small batch."""
    length = min(10.0, seconds / 2)
    objective, batch = step_of(recipe, model_of(recipe), [length] * round(seconds / length))
    objective.to(device).train()
    batch = batch.to(device)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = objective.loss(batch)
        loss.sum.backward()
        optimizer.step()
        optimizer.zero_grad()

    ((time_, memory),) = measure({"step": step}, device, repeats).values()
    return {
        "model": recipe,
        "batch s": seconds,
        "audio s / s": len(batch.speech.values) / RATE / time_,
        "peak GB": memory,
    }


if __name__ == "__main__":
    main()
