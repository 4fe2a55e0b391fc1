"""Execution of a training of a Transformer language model."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from sonant.checkpoints.files import write_json
from sonant.checkpoints.transformer_lm import TextModel, load_transformer_lm, save_transformer_lm
from sonant.data.settings import json_values, write_or_check_settings
from sonant.data.text_tokenizers import TextTokenizer, make_tokenizer, read_tokenizer
from sonant.data.texts import Texts
from sonant.data.token_store import TokenStore
from sonant.errors import ConfigurationError
from sonant.models.identity import digest_of
from sonant.models.transformer_lm import TransformerLM
from sonant.training.curves import CurvesPicture
from sonant.training.log import Monitoring
from sonant.training.loop import train
from sonant.training.ranks import first_then_others, on_first, process_group, rank, world
from sonant.training.run_folder import held_folder
from sonant.training.state import MAY_DIFFER
from sonant.training.text.batches import TextBatches
from sonant.training.text.objective import NextToken
from sonant.training.text.settings import LanguageModelRun, check
from sonant.training.validation import evaluate, load_best

FREE = ("device", "output", "name", "data", "dev", "initial_model", "trackers", *(f"training.{x}" for x in MAY_DIFFER))


class Corpus(NamedTuple):
    """Texts of a run as tokens, and their tokenizer."""

    tokenizer: TextTokenizer
    train: TokenStore
    dev: TokenStore | None


def train_language_model(run: LanguageModelRun) -> Path:
    """Start or resume a run, and return the folder of the trained model; the processes of torchrun do it together.

    `output/name` gets `run.json`, the texts as `tokens`, state, metrics, `curves.png` if matplotlib is installed, and
    finally `result.json`, with the perplexity on the texts of `dev`, and `model`, in transformers' layout of GPT-2.

    Raises:
        ConfigurationError: the run cannot start (its files are removed), its folder is of other settings or texts, or
            another job uses it.
        ManifestError: texts cannot be read.
        CheckpointError: the initial model cannot be read.
        RankError: another process of the run failed.
    """
    check(run)
    with process_group(run.device), ExitStack() as lock:
        initial = first_then_others(lambda: load_transformer_lm(run.initial_model)) if run.initial_model else None
        corpus = on_first(lambda: _open(run, initial, lock))
        finished = run.folder / "model"
        if on_first(finished.is_dir):
            return finished
        torch.manual_seed(run.seed)
        if initial is None:
            model = TransformerLM(replace(run.model, vocabulary_size=len(corpus.tokenizer)))
        else:
            model = initial.model
        objective = NextToken(model)
        longest = model.config.max_positions + 1
        dev = None if corpus.dev is None else TextBatches(corpus.dev, longest=longest, batch_tokens=run.batch_tokens)
        train(
            objective,
            TextBatches(
                corpus.train,
                longest=longest,
                batch_tokens=run.batch_tokens,
                seed=run.seed,
                rank=rank(),
                world=world(),
            ),
            run.training,
            run.folder,
            held_out=dev,
            device=run.device,
            sampling_rate=None,
            monitoring=Monitoring(
                title=run.name,
                trackers=run.trackers,
                settings=json_values(run),
                picture=CurvesPicture({run.name: {run.name: run.folder}}, run.folder / "curves.png"),
            ),
        )
        load_best(run.folder, objective)
        if dev is not None:
            measured = evaluate(objective.to(run.device), dev, torch.device(run.device), precision="float32")
            on_first(lambda: write_json(run.folder / "result.json", measured))
        on_first(lambda: _save(run, model.cpu().eval(), corpus.tokenizer, initial))
    return finished


def _open(run: LanguageModelRun, initial: TextModel | None, lock: ExitStack) -> Corpus:
    """Lock the folder of a run, make its tokenizer and tokens, and check or write its settings."""
    folder = run.folder
    lock.enter_context(held_folder(folder))
    data, dev = (Texts(path, run.normalization, run.column) for path in (run.data, run.dev))
    if initial is not None and initial.normalization not in (None, run.normalization):
        raise ConfigurationError(
            f"{run.initial_model} was trained on text with the normalization {initial.normalization!r}, and "
            f"normalization={run.normalization!r} was given. Set normalization={initial.normalization}."
        )
    begun = (folder / "run.json").exists()
    made_of = {"data": data.digest(), "dev": dev.digest()}
    if initial is not None:
        made_of["initial_model"] = digest_of([repr(initial.model.config)], initial.model.state_dict())
    settings = json_values(run) | {"processes": world(), "made_of": made_of}
    write_or_check_settings(folder / "run.json", settings, has_results=begun, may_differ=FREE)
    if initial is not None:
        tokenizer = initial.tokenizer
    elif (folder / "tokenizer").is_dir():
        tokenizer = read_tokenizer(folder / "tokenizer", run.units)
    else:
        tokenizer = make_tokenizer(data, run.units, size=run.vocabulary_size)
        draft = folder / "tokenizer.part"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        tokenizer.save(draft)
        draft.rename(folder / "tokenizer")
    config = initial.model.config if initial else run.model

    def store(texts: Texts, name: str) -> TokenStore:
        return TokenStore.make(
            folder / "tokens" / name,
            map(tokenizer.encode, texts),
            source=texts.path,
            begin=config.begin,
            end=config.end,
            longest=config.max_positions + 1,
            num_tokens=len(tokenizer),
        )

    return Corpus(tokenizer, store(data, "train"), store(dev, "dev") if run.dev else None)


def _save(run: LanguageModelRun, model: TransformerLM, tokenizer: TextTokenizer, initial: TextModel | None) -> None:
    draft = run.folder / "model.part"
    shutil.rmtree(draft, ignore_errors=True)
    units = run.units if initial is None else initial.units
    save_transformer_lm(TextModel(model, tokenizer, units, run.normalization, run.name), draft)
    draft.rename(run.folder / "model")
