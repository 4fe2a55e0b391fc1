"""Scores by label, from the outputs of a head for whole recordings."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from sonant.errors import CheckpointError

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
YEARS = 100.0  # that one unit of audEERING's age stands for (its model card)


def class_scores(outputs: Tensor, labels: Sequence[str] | None, problem: str | None) -> dict[str, float]:
    """Name each output (outputs,) of a classifier or a regression.

    Args:
        labels: names, in the order of the outputs; None: "LABEL_0" ..., as transformers calls them.
        problem: as `problem_type` of transformers says: probabilities that add up to one, a probability for each label
            by itself, or the numbers as they are. None: the first; the last where there is one output.

    Raises:
        CheckpointError: the labels are not one for each output, or the problem is another.
    """
    names = [f"LABEL_{number}" for number in range(len(outputs))] if labels is None else list(labels)
    if len(names) != len(outputs) or len(set(names)) != len(names):
        raise CheckpointError(
            f"The head has {len(outputs)} outputs and the labels {', '.join(names)}. Give id2label in config.json one "
            "label for each output, all of them different."
        )
    match problem or ("regression" if len(outputs) == 1 else "single_label_classification"):
        case "single_label_classification":
            values = outputs.double().softmax(0)
        case "multi_label_classification":
            values = outputs.double().sigmoid()
        case "regression":
            values = outputs.double()
        case other:
            raise CheckpointError(
                f"config.json says problem_type={other!r}; known are {', '.join(PROBLEMS)}. Put one of these there."
            )
    return dict(zip(names, values.tolist(), strict=True))


def age_and_gender(outputs: Tensor, genders: Sequence[str]) -> dict[str, float]:
    """Name the outputs (1 + genders,): "age_years", and the probability of each gender."""
    return {"age_years": YEARS * float(outputs[0]), **class_scores(outputs[1:], genders, None)}
