"""Runs of stages: finished ones are loaded, the others done in order."""

import pytest

from sonant.errors import ConfigurationError
from sonant.training.stages import carry_out, check_folder_names


def test_the_finished_stages_are_loaded_and_the_others_done() -> None:
    done = carry_out(
        ["a", "b", "c"],
        (),
        is_finished=lambda stage: stage == "b",
        load=lambda stage, before: (*before, f"loaded {stage}"),
        work=lambda stage, before: (*before, f"done {stage}"),
    )
    assert done == ("done a", "loaded b", "done c")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b"])
def test_names_that_no_folder_can_have_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name folders"):
        check_folder_names("fine", name)
