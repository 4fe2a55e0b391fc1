"""Scores by label from the outputs of a classification or regression head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

from torch import Tensor

from sonant.errors import CheckpointError

Problem = Literal["single_label_classification", "multi_label_classification", "regression"]
PROBLEMS: tuple[Problem, ...] = get_args(Problem)
YEARS = 100.0  # of one unit of the age output of audEERING's model (model card)


@dataclass(frozen=True)
class ClassLabels:
    """Labels of the outputs of a head, and the function that makes scores of outputs.

    Attributes:
        names: different labels, in the order of the outputs.
        problem: softmax ("single_label_classification"), sigmoid ("multi_label_classification"), no function
            ("regression"), or "age_gender": an age, and a softmax over the genders.
        temperature: outputs are divided by it before softmax or sigmoid, as a calibration.
        groups: number of labels of each group, by name, in their order: each group has a softmax of its own. Their
            labels are named "GROUP: LABEL". Empty: there are no groups.
    """

    names: tuple[str, ...]
    problem: Problem | Literal["age_gender"]
    temperature: float = 1.0
    groups: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        num_outputs: int,
        labels: Sequence[str] | None,
        problem: str | None,
        temperature: float = 1.0,
        groups: Mapping[str, int] | None = None,
    ) -> Self:
        """Make them from the metadata of a head.

        Args:
            labels: names in the order of the outputs; None: "LABEL_0" ..., as in transformers.
            problem: `problem_type` of transformers. None: "single_label_classification", or "regression" for one
                output.
            groups: number of labels of each group; None: there are no groups.

        Raises:
            CheckpointError: the number of labels is not that of the outputs, the problem type is unknown, or the
                temperature is not a positive number.
        """
        names = [f"LABEL_{number}" for number in range(num_outputs)] if labels is None else list(labels)
        if len(names) != num_outputs or len(set(names)) != len(names):
            raise CheckpointError(
                f"The head has {num_outputs} outputs and the labels {', '.join(names)}. Give id2label in config.json "
                "one label for each output, all of them different."
            )
        problem = problem or ("regression" if num_outputs == 1 else "single_label_classification")
        if problem not in PROBLEMS:
            raise CheckpointError(
                f"config.json says problem_type={problem!r}; known are {', '.join(PROBLEMS)}. Put one of these there."
            )
        if not (isinstance(temperature, int | float) and 0 < temperature < float("inf")):
            raise CheckpointError(
                f"config.json says temperature={temperature!r} of the head; expected a positive number, or none for "
                "probabilities that are not calibrated."
            )
        if groups and sum(groups.values()) != num_outputs:
            raise CheckpointError(
                f"config.json says groups={groups!r} of the head, which has {num_outputs} outputs. The two belong to "
                "different models."
            )
        return cls(tuple(names), problem, float(temperature), dict(groups or {}))

    @classmethod
    def of_age_and_gender(cls, num_outputs: int, genders: Sequence[str]) -> Self:
        """Make those of a head of age and gender: "age_years", and a label for each gender. Raises CheckpointError."""
        return cls(("age_years", *cls.of(num_outputs - 1, genders, None).names), "age_gender")

    @property
    def is_exclusive(self) -> bool:
        """True if a recording has one of the labels, and the scores are probabilities that add up to one."""
        return self.problem == "single_label_classification"

    @property
    def is_ranked(self) -> bool:
        """True if all scores are probabilities."""
        return self.problem in ("single_label_classification", "multi_label_classification")

    def scores(self, outputs: Tensor) -> dict[str, float]:
        """Compute the score of each label from outputs (outputs,), in their order."""
        exact = outputs.double()
        if self.groups:
            parts = exact.split(list(self.groups.values()))
            values = [value for part in parts for value in part.softmax(0).tolist()]
            return dict(zip(self.names, values, strict=True))
        match self.problem:
            case "single_label_classification":
                values = (exact / self.temperature).softmax(0).tolist()
            case "multi_label_classification":
                values = (exact / self.temperature).sigmoid().tolist()
            case "regression":
                values = exact.tolist()
            case "age_gender":
                values = [YEARS * float(exact[0]), *exact[1:].softmax(0).tolist()]
        return dict(zip(self.names, values, strict=True))

    def chosen(self, scores: Mapping[str, float]) -> dict[str, str]:
        """Return the most probable label of each group, by the name of the group; without groups nothing."""
        names = iter(self.names)
        found = {}
        for group, size in self.groups.items():
            best = max((next(names) for _ in range(size)), key=scores.__getitem__)
            found[group] = best.removeprefix(f"{group}: ")
        return found
