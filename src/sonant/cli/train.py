"""`sonant train`: train a model on labels, or a language model on text."""

from sonant.recipes import LANGUAGE_MODELS, TASKS


def train(task: str, *overrides: str, dry_run: bool = False, sources: bool = False, json_: bool = False) -> int:
    """Train a model on labels of recordings, or a language model on text.

    The head of the task is trained over the states of a model, which stays as it is or is trained too. The run goes on
    where it left off when it is called again with the same settings. Settings are changed by dotted key=value pairs or
    a YAML file of them. Several processes, such as one for each GPU, are started by torchrun --nproc-per-node N -m
    sonant train ...

    Args:
        task (TASK): what to learn, or a published run of it: {tasks}. A language model of text: {language_models}.
        overrides (KEY=VALUE): settings to change. model=MODEL (hub id, folder, file) and data=MANIFEST are needed;
            dev=MANIFEST chooses the best weights; label=FIELD names the labels. A language model needs data=TEXT alone,
            a text in each line.
        dry_run: print what would be trained, on what, for how long and in how much disk space, and stop. Labels are
            checked and some steps measured; nothing is written. The exit code is 1 if the run would fail.
        sources: print where the value of every setting is from (paper, released code, our choice), and stop.
        json_: print the folder of the trained model as JSON; with --dry-run every setting and what was found; with
            --sources every setting and its source.

    Examples:
        sonant train utterance model=microsoft/wavlm-base-plus data=train.jsonl dev=dev.jsonl label=emotion
        sonant train ctc model=facebook/wav2vec2-base data=train.jsonl dev=dev.jsonl label=text device=cuda
        sonant train ctc_base_10min model=microsoft/wavlm-base-plus data=train.jsonl dev=dev.jsonl device=cuda
        sonant train seq2seq model=sonant/wavlm-tiny data=train.jsonl dev=dev.jsonl task.vocabulary=subwords
        sonant train utterance model=sonant/wavlm-tiny data=words.csv label=word frozen=extractor training.steps=5000
        sonant train transformer_lm data=train.txt dev=dev.txt normalization=upper
    """
    if task in LANGUAGE_MODELS:
        from sonant.cli.transformer_lm import train_transformer

        return train_transformer(task, overrides, dry_run=dry_run, sources=sources, as_json=json_)
    from sonant.cli.trained_model import print_model
    from sonant.recipes.tasks import task_run
    from sonant.training.ranks import on_first, process_group
    from sonant.training.tasks.run import train_task

    run = task_run(task, overrides)
    if sources:
        from sonant.cli.recipe_sources import print_sources

        print_sources(task, run, as_json=json_)
        return 0
    if dry_run:
        from sonant.cli.task_plan import print_task_plan
        from sonant.training.tasks.inspection import inspect_task

        seen = inspect_task(run)
        print_task_plan(task, run, seen, as_json=json_)
        return 1 if seen.problems else 0
    with process_group(run.device):
        was_trained = run.is_trained
        folder = train_task(run)
        on_first(lambda: print_model(folder, "trained", was_finished=was_trained, as_json=json_))
    return 0


train.__doc__ = (
    (train.__doc__ or "").replace("{tasks}", ", ".join(TASKS)).replace("{language_models}", ", ".join(LANGUAGE_MODELS))
)
