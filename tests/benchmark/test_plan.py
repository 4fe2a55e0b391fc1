"""What a run measures."""

import pytest

from sonant.benchmark import plan
from sonant.benchmark.machine import MachineLimits
from sonant.benchmark.plan import Step
from sonant.benchmark.subjects import known
from sonant.benchmark.systems import CODES, SYSTEMS, chosen
from sonant.errors import UnknownName

ALL = list(SYSTEMS.values())
LIMITS = MachineLimits({"float32": 200.0, "bfloat16": 400.0, "int8": 800.0}, {}, 20.0)


@pytest.mark.parametrize("name", plan.PLANS)
def test_the_plans_name_what_there_is(name: plan.PlanName):
    found = plan.steps(plan.rows(None, None, name=name), ALL)
    assert {step.model for step in found} >= {"wavlm-base", "wavlm-large"}
    for step in found:
        plan.case_names([step.case])
        known(step.model)
        assert plan.estimate(step, known(step.model)[1], LIMITS, started=False) > 0
    assert len({(step.model, step.case) for step in found}) == len(found), "no case is measured twice"


def test_the_quick_plan_takes_about_as_long_as_it_says():
    steps = plan.steps(plan.rows(None, None, name="quick"), chosen(CODES, plan.ON_CPU))
    seconds = sum(plan.estimate(step, known(step.model)[1], LIMITS, started=True) for step in steps)
    assert 0.5 < seconds / (60 * plan.MINUTES["quick"]) < 1


def test_named_models_and_cases_are_combined():
    rows = plan.rows(["tiny", "wavlm-base"], ["1s", "batch"], name="quick")
    steps = plan.steps(rows, chosen(["sonant"], ["float32"]))
    assert [(step.model, step.case) for step in steps] == [
        ("tiny", "1s"),
        ("tiny", "batch"),
        ("wavlm-base", "1s"),
        ("wavlm-base", "batch"),
    ]
    assert steps[1].title == "tiny, 16 clips of 2 to 15 s"


def test_a_system_takes_part_where_it_tells_something():
    def names(case: str) -> set[str]:
        (step,) = plan.steps(plan.rows(["tiny"], [case], name="quick"), ALL)
        return {system.code for system in step.systems}

    assert "padded" not in names("10s")
    assert "padded" in names("batch")
    assert names("corpus") == {"sonant"}


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="'batch'"):
        plan.rows(None, ["bath"], name="quick")
    with pytest.raises(UnknownName, match="bfloat16"):
        plan.precisions(["bf16"])


def test_more_costs_more():
    def seconds(model: str, case: str, name: str) -> float:
        return plan.estimate(Step(model, case, (SYSTEMS[name],)), known(model)[1], LIMITS, started=True)

    assert seconds("wavlm-base", "10s", "sonant") < seconds("wavlm-large", "10s", "sonant")
    assert seconds("wavlm-base", "10s", "sonant") < seconds("wavlm-base", "60s", "sonant")
    assert seconds("wavlm-base", "10s", "sonant-int8") < seconds("wavlm-base", "10s", "sonant")
    assert seconds("wavlm-base", "batch", "sonant") < seconds("wavlm-base", "batch", "padded")
