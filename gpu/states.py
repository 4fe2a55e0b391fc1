"""States on the device against those of the CPU: the shipped model, CUDA graphs, and every family."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import torch
import torch.nn.functional as F
from contact import Contact, judged, relative
from facts import Fact
from row import Row
from torch import Tensor

import sonant
from sonant import audio
from sonant.inference.cuda import encoder as cuda_encoder
from sonant.inference.cuda.encoder import GraphedEncoder
from sonant.inference.cuda.exact_float32 import exact_float32
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.inference.precision import Precision
from sonant.layers.packed import Packed
from sonant.models import build
from sonant.recipes import pretraining_recipe

SECTION = "States against the CPU in float32"
SPEECH = Path(__file__).parents[1] / "examples" / "speech"
TOLERANCES: dict[Precision, float] = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 2e-2}
STALE = 0.1  # relative: products of another number of rows round otherwise, states of another recording differ by 1
TINY = ("wav2vec_tiny", "vq_wav2vec_tiny", "wav2vec2_tiny", "hubert_tiny", "wavlm_tiny", "w2v_bert_tiny")


def rows() -> Iterator[Row]:
    """Yield the rows of the most common uses."""
    for precision in ("float32", "bfloat16", "float16"):
        yield Row(f"states shipped {precision}", SECTION, 25, partial(shipped, precision=precision))
    yield Row("states recorded", "CUDA graphs, WavLM Base, bfloat16", 25, recorded)


def deviation_rows() -> Iterator[Row]:
    """Yield the rows of the deviations of each precision at the published shapes."""
    for model in ("WavLM Base", "WavLM Large"):
        for precision in ("float32", "bfloat16", "float16"):
            measure = partial(deviations, model=model, precision=precision)
            yield Row(f"deviations {model} {precision}", "Encoding against the plain model in float32", 30, measure)


def family_rows() -> Iterator[Row]:
    """Yield the rows of one small model of each family."""
    for recipe in TINY:
        yield Row(f"states {recipe}", "Families against the CPU, float32", 20, partial(family, recipe=recipe))


@torch.no_grad()
def shipped(contact: Contact, *, precision: Precision) -> Iterator[Fact]:
    """Test the shipped model on recordings: every layer against the CPU, and a clip alone against the batch."""
    plain = sonant.load("sonant/wavlm-tiny").model
    paths = sorted(SPEECH.glob("*.flac"))[: 2 if contact.trial else 8]
    clips = [torch.from_numpy(audio.read(path)) for path in paths]
    clips = [clip[:16_000] for clip in clips] if contact.trial else clips
    speech = Packed.pack(clips)
    expected = plain(speech)
    model = optimize_for_cuda(plain, precision, contact.device)
    on_device = speech.with_values(speech.values.to(contact.device))
    given = model(on_device)
    alone = model(Packed.pack([on_device.unpack()[1]]))
    first = int(given.lengths[0])
    frames = slice(first, first + int(given.lengths[1]))
    states = expected.hidden_states
    cosine = min(cosine_of(given.hidden_states[number], states[number]) for number in states)
    apart = relative(alone.last, given.last[frames])
    fact = {
        "model": "sonant/wavlm-tiny",
        "precision": precision,
        "worst layer, relative": max(relative(given.hidden_states[number], states[number]) for number in states),
        "lowest cosine of a frame": cosine,
        "alone against batch": apart,
    }
    yield judged(fact, TOLERANCES[precision], 1 - cosine, apart)


def cosine_of(ours: Tensor, reference: Tensor) -> float:
    """Return the lowest cosine of any frame."""
    return F.cosine_similarity(ours.cpu().double(), reference.cpu().double(), dim=-1).min().item()


@torch.no_grad()
def deviations(contact: Contact, *, model: str, precision: Precision) -> Iterator[Fact]:
    """Test every layer of the optimized model against the plain one, both on the device, with random weights."""
    speech = contact.clips([10.0, 3.3, 7.7])
    with exact_float32():
        expected = contact.plain(model)(speech).hidden_states
    given = contact.optimized(model, precision)(speech).hidden_states
    worst = max(relative(given[number], expected[number]) for number in expected)
    cosine = min(cosine_of(given[number], expected[number]) for number in expected)
    fact = {"model": model, "precision": precision, "worst layer, relative": worst, "lowest cosine of a frame": cosine}
    yield judged(fact, TOLERANCES[precision], 1 - cosine)


@torch.no_grad()
def recorded(contact: Contact) -> Iterator[Fact]:
    """Test three calls with different audio of one size, the second from a new thread, against calls without graphs."""
    model = optimize_for_cuda(contact.plain("WavLM Base"), "bfloat16")
    layers = model.encoder
    assert isinstance(layers, GraphedEncoder)
    for number in (1, 2, 3):
        speech = contact.clips([3.0, 2.0], seed=number)
        made: list[Tensor] = []

        def call(speech: Packed = speech, made: list[Tensor] = made) -> None:
            with torch.no_grad():  # which holds for a thread
                made.append(model(speech, layers=["last"]).last)

        if number == 2:
            thread = Thread(target=call)
            thread.start()
            thread.join()
        else:
            call()
        few, cuda_encoder.FEW_FRAMES = cuda_encoder.FEW_FRAMES, 0
        try:
            expected = model(speech, layers=["last"]).last
        finally:
            cuda_encoder.FEW_FRAMES = few
        fact = {"call": number, "from a new thread": number == 2, "CUDA graphs": layers.graphs.count}
        if not made:
            yield {**fact, "passed": False, "against launches one by one": "the call failed"}
            continue
        difference = relative(made[0], expected)
        missing = float("inf") if contact.on_gpu and number > 1 and layers.graphs.count != 1 else 0.0
        yield judged({**fact, "against launches one by one": difference}, STALE, difference, missing)


def family(contact: Contact, *, recipe: str) -> Iterator[Fact]:
    """Test a small model on the device against the CPU: states, a clip alone, and gradients."""
    torch.manual_seed(0)
    model = build(pretraining_recipe(recipe).model).eval()
    packed = contact.clips([5.0, 30.0, 17.0] if contact.trial else [0.5, 3.0, 1.7, 3.0])
    on_cpu = packed.with_values(packed.values.cpu())
    gradients = []
    results = []
    for speech, place in ((on_cpu, torch.device("cpu")), (packed, contact.device)):
        model.to(place)
        model.zero_grad()
        with exact_float32():
            result = model(speech)
            result.hidden_states[model.num_layers].square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None]))
        results.append({number: state.detach() for number, state in result.hidden_states.items()})
    expected, given = results
    with torch.no_grad(), exact_float32():
        alone = model(Packed.pack([packed.unpack()[2]])).hidden_states
    lengths = [model.num_frames(samples) for samples in packed.sizes]
    frames = slice(sum(lengths[:2]), sum(lengths[:3]))
    worst = max(relative(given[number], state) for number, state in expected.items())
    apart = max(relative(state, given[number][frames]) for number, state in alone.items())
    slope = relative(gradients[1], gradients[0])
    fact = {"model": recipe, "worst layer": worst, "alone against batch": apart, "gradients": slope}
    yield judged(fact, 1e-4, worst, apart, slope)
