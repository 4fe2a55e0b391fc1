"""Scores by label from the outputs of a classification or regression head."""

from collections.abc import Sequence
from typing import Literal, get_args

from torch import Tensor

from sonant.errors import CheckpointError

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
YEARS = 100.0  # of one unit of the age output of audEERING's model (model card)


def class_scores(outputs: Tensor, labels: Sequence[str] | None, problem: str | None) -> dict[str, float]:
    """Convert outputs (outputs,) of a classifier or a regression to scores by label.

    Args:
        labels: names in the order of the outputs; None: "LABEL_0" ..., as in transformers.
        problem: `problem_type` of transformers: softmax ("single_label_classification"), sigmoid
            ("multi_label_classification") or no function ("regression"). None: softmax, or regression for one output.

    Raises:
        CheckpointError: the number of labels is not that of the outputs, or the problem type is unknown.
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
    """Convert outputs (1 + genders,) to "age_years" and the probability of each gender."""
    return {"age_years": YEARS * float(outputs[0]), **class_scores(outputs[1:], genders, None)}
