"""The k-means quantizer: the nearest code vector, its gradient and its two losses."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.kmeans_quantizer import KMeansQuantizer
from sonant.layers.packed import Packed

shared_or_not = pytest.mark.parametrize("shared", [True, False])


def quantizer(*, shared: bool) -> KMeansQuantizer:
    torch.manual_seed(0)
    made = KMeansQuantizer(6, num_codebooks=2, codebook_size=5, shared_codebook=shared)
    with torch.no_grad():
        made.codebook.mul_(100)  # of the size of the frames, so that every code has some
        made.norm.weight.normal_(1, 0.3)
        made.norm.bias.normal_()
    return made


def speech(*sizes: int) -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.pack([torch.randn(size, 6, generator=generator) * size for size in sizes])


def projected(made: KMeansQuantizer, clip: Tensor) -> Tensor:
    """By definition: a grouped convolution and torch's own group norm of one clip."""
    x = F.conv1d(clip.T[None], made.projection.weight, groups=2)
    return F.group_norm(x, 2, made.norm.weight, made.norm.bias)[0].T


@shared_or_not
def test_shapes_of_the_published_layout(shared: bool) -> None:
    shapes = {name: tuple(parameter.shape) for name, parameter in quantizer(shared=shared).named_parameters()}
    codebook = (5, 1 if shared else 2, 3)
    assert shapes == {
        "codebook": codebook, "projection.weight": (6, 3, 1), "norm.weight": (6,), "norm.bias": (6,),
    }  # fmt: skip


@shared_or_not
def test_the_nearest_of_each_group(shared: bool) -> None:
    made, clips = quantizer(shared=shared), speech(40, 7, 1)
    with torch.no_grad():
        clustered = made(clips)
        books = made.codebook.detach().expand(5, 2, 3)
        frames = torch.cat([projected(made, clip) for clip in clips])
    latent = 0.0
    for row, frame in enumerate(frames):
        for group in range(2):
            part = frame[3 * group : 3 * group + 3]
            distances = [(part - books[code, group]).norm() for code in range(5)]
            code = int(torch.stack(distances).argmin())
            assert int(clustered.codes[row, group]) == code
            assert torch.equal(clustered.values[row, 3 * group : 3 * group + 3], books[code, group])
            latent += float(distances[code] ** 2)
    expected = latent / (len(frames) * 6)
    assert clustered.codebook_loss.item() == pytest.approx(expected, rel=1e-4)
    assert clustered.commitment_loss.item() == pytest.approx(expected, rel=1e-4)
    assert len(clustered.codes.unique()) == 5


@shared_or_not
def test_where_gradients_go(shared: bool) -> None:
    """Straight through to the frames; the codebook learns from its own loss alone, the frames from commitment."""
    made, clips = quantizer(shared=shared).double(), speech(9, 4)
    values = clips.values.double().requires_grad_()
    towards = torch.randn(13, 6, dtype=torch.float64)
    clustered = made(clips.with_values(values))
    frames = torch.cat([projected(made, clip) for clip in clips.with_values(values)])
    vectors = clustered.values.detach()

    def gradients(what: Tensor) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(what, [values, made.codebook], retain_graph=True, allow_unused=True)

    through, codebook = gradients((clustered.values * towards).sum())
    torch.testing.assert_close(through, torch.autograd.grad((frames * towards).sum(), values, retain_graph=True)[0])
    assert codebook is None
    through, codebook = gradients(clustered.commitment_loss)
    expected = torch.autograd.grad((frames - vectors).square().mean(), values, retain_graph=True)[0]
    torch.testing.assert_close(through, expected, rtol=1e-5, atol=1e-9)
    assert codebook is None
    through, codebook = gradients(clustered.codebook_loss)
    assert through is None
    again = made.vectors(clustered.codes)
    expected = torch.autograd.grad((again - frames.detach()).square().mean(), made.codebook)[0]
    torch.testing.assert_close(codebook, expected, rtol=1e-5, atol=1e-9)


@shared_or_not
def test_each_clip_as_if_alone(shared: bool) -> None:
    made, clips = quantizer(shared=shared), speech(12, 3, 25)
    with torch.no_grad():
        together = made(clips)
        values, codes = clips.with_values(together.values), clips.with_values(together.codes)
        for clip, clip_values, clip_codes in zip(clips, values, codes, strict=True):
            alone = made(Packed.pack([clip]))
            torch.testing.assert_close(alone.values, clip_values)
            assert torch.equal(alone.codes, clip_codes)


@shared_or_not
def test_a_start_from_frames(shared: bool) -> None:
    """Different frames, where there are enough; of each group its own, unless the groups share their codes."""
    made, clips = quantizer(shared=shared), speech(12, 9)
    made.start_from(clips)
    with torch.no_grad():
        frames = torch.cat([projected(made, clip) for clip in clips]).unflatten(1, (2, 3))
    rows = frames.flatten(0, 1)[:, None] if shared else frames
    chosen = [int((rows - vectors).abs().flatten(1).sum(1).argmin()) for vectors in made.codebook]
    torch.testing.assert_close(made.codebook.detach(), rows[chosen])
    assert len(set(chosen)) == 5
    made.start_from(speech(1))  # fewer frames than codes: some are the same
    assert made.codebook.isfinite().all()


def test_init() -> None:
    made = KMeansQuantizer(64, num_codebooks=2, codebook_size=320, shared_codebook=True)
    assert abs(made.codebook.std().item() - 0.01) < 5e-4
    with pytest.raises(ConfigurationError, match="7.*2 codebooks"):
        KMeansQuantizer(7, num_codebooks=2, codebook_size=5)
