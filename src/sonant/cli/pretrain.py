"""`sonant pretrain`: train a model on raw speech, without labels."""


def pretrain(recipe: str, *overrides: str, dry_run: bool = False, json_: bool = False) -> int:
    """Train a model on raw speech, without labels.

    The run makes its own targets, trains stage after stage, and goes on where it left off when it is called again.
    Settings of the recipe are changed by dotted key=value pairs or a YAML file of them.

    Args:
        recipe: name of the run: wavlm_tiny, wavlm_base, wavlm_base_plus or wavlm_large.
        overrides (KEY=VALUE): settings to change, such as data=PATH, device=cuda or stages.0.training.steps=1000.
        dry_run: print the whole configuration and the size of the model, and stop.
        json_: print the folder of the pretrained model as JSON.

    Examples:
        sonant pretrain wavlm_tiny data=corpus
        sonant pretrain wavlm_base data=corpus device=cuda output=runs/base stages.0.training.accumulate=8
    """
    import json
    from dataclasses import asdict

    import torch
    import yaml

    from sonant.models import build
    from sonant.recipes import pretraining_recipe
    from sonant.recipes.overrides import override
    from sonant.recipes.pretraining import pretrain as carry_out

    run = override(pretraining_recipe(recipe), overrides)
    if dry_run:
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in build(run.model).parameters())
        plan = {"parameters": parameters, **asdict(run)}
        print(json.dumps(plan) if json_ else yaml.safe_dump(json.loads(json.dumps(plan)), sort_keys=False), end="")
        return 0
    folder = carry_out(run)
    print(json.dumps({"model": str(folder)}) if json_ else f"The pretrained model is in {folder}")
    return 0
