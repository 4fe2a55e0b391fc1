"""Classification losses whose logits have a margin: AM-softmax and AAM-softmax."""

from math import cos, pi, sin
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

SpeakerLoss = Literal["softmax", "am_softmax", "aam_softmax"]


def margin_softmax(scores: Tensor, labels: Tensor, kind: SpeakerLoss, *, scale: float, margin: float) -> Tensor:
    """Sum the cross-entropy of scores (batch, classes) with labels int64 (batch,).

    With `softmax` the scores are logits. Otherwise they are cosines of the angles t between an embedding and the vector
    of each class; logits are `scale` times

        am_softmax    cos t - margin     for the labeled class, cos t for others
        aam_softmax   cos(t + margin)    likewise; beyond t = pi - margin, where it would rise again, the tangent
                                         cos t - margin * sin(margin)

    Sources: Wang et al., arXiv 1801.05599; Deng et al., ArcFace, arXiv 1801.07698, and its released code for the
    tangent.
    """
    if kind == "softmax":
        return F.cross_entropy(scores, labels, reduction="sum")
    rows = torch.arange(len(labels), device=scores.device)
    labeled = scores[rows, labels]
    if kind == "am_softmax":
        reduced = labeled - margin
    else:
        across = (1 - labeled.square()).clamp(min=1e-12).sqrt()
        turned = labeled * cos(margin) - across * sin(margin)
        reduced = torch.where(labeled > cos(pi - margin), turned, labeled - margin * sin(margin))
    logits = scores.index_put((rows, labels), reduced)
    return F.cross_entropy(scale * logits, labels, reduction="sum")
