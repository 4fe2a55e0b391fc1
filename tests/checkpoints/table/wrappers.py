"""Names of tensors with something before them, and tensors inside other containers."""

import argparse
import pathlib
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file

from sonant.errors import CheckpointMismatch, ConfigurationError
from tests.checkpoints import tiny
from tests.checkpoints.table.case import Case, Made, states_of


def _prefixed(prefix, state, *, beside=()):
    """A state dict whose names begin with `prefix`, and some tensors of other parts."""
    renamed = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    return renamed | {name: torch.randn(3) for name in beside}


def _in_folder(prefix, *, kind="Model", beside=(), heads=(), container="model.safetensors", **settings):
    """A folder of transformers, whose config.json is that of the model before somebody wrapped it."""

    def make(folder):
        theirs = tiny.theirs("wavlm", kind)
        theirs.save_pretrained(folder)
        (folder / "model.safetensors").unlink()
        state = _prefixed(prefix, theirs.state_dict(), beside=beside)
        if container == "model.safetensors":
            save_file(state, folder / container)
        else:
            torch.save({"state_dict": state}, folder / container)
        return Made(source=folder, reference=states_of(theirs), **settings)

    words = f"`WavLM{kind}`, `{container}`"
    return Case(
        layout=words,
        wrapper=f"`{prefix}`" if container == "model.safetensors" else f'`{{"state_dict": {prefix}…}}`',
        make=make,
        heads=heads,
        parity=f"WavLM{kind}",
        aside=tuple(f"`{name}`" for name in beside),
    )


def _in_file(words, wrap, *, kind="Model", beside=(), heads=(), config=True, overrides=None):
    """A pickle; `config`: the config.json of the model lies beside it."""

    def make(folder):
        theirs = tiny.theirs("hubert", kind)
        if config:
            theirs.config.save_pretrained(folder)
        torch.save(wrap(theirs.state_dict()), folder / "last.ckpt")
        return Made(source=folder / "last.ckpt", reference=states_of(theirs), overrides=overrides)

    return Case(
        layout=f"`Hubert{kind}`, a pickle{' beside `config.json`' if config else ', nothing beside it'}",
        wrapper=words,
        make=make,
        heads=heads,
        parity=f"Hubert{kind}",
        aside=tuple(f"`{name}`" for name in beside),
    )


def _lightning(state):
    """A file as Lightning's trainer saves it, with settings of several kinds."""
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict(_prefixed("model.hubert.", state, beside=["loss.weight", "model.head.weight"])),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5), "dirpath": "x"}},
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.randn(3)}}, "param_groups": []}
        ],
        "lr_schedulers": [{"last_epoch": 3, "_last_lr": [np.float64(1e-4)]}],
        "hparams_name": "config",
        "hyper_parameters": {
            "args": argparse.Namespace(lr=1e-4, root=pathlib.Path("runs")),
            "device": torch.device("cpu"),
            "shape": torch.Size([3]),
            "dtype": torch.float32,
            "loss": torch.nn.CrossEntropyLoss(),
            "optimizer": torch.optim.AdamW,
            "seed": np.int64(3),
            "rates": np.arange(3.0),
        },
    }


def _student_and_teacher(state):
    return _prefixed("student.", state) | {f"teacher.{name}": tensor + 1 for name, tensor in state.items()}


def _refused(case, error, says):
    return Case(layout=case.layout, wrapper=case.wrapper, make=case.make, refused=error, says=says)


CASES = (
    *(
        _in_folder(prefix)
        for prefix in (
            "module.",
            "_orig_mod.",
            "backbone.",
            "model.",
            "module.model.wavlm.",
            "base_model.model.",
            "encoder.",
            "ssl_model.",
            "models.0.",
        )
    ),
    _in_folder("model.", kind="ForCTC", heads=("ctc",)),
    _in_folder("model.wavlm.", beside=("model.pooling.weight", "classifier.weight")),
    _in_folder("module.", container="pytorch_model.bin"),
    _in_file("Lightning", _lightning, beside=("loss.weight", "model.head.weight")),
    _in_file(
        '`{"model_state_dict": …}`', lambda state: {"model_state_dict": state, "optimizer": {"state": {}}, "step": 3}
    ),
    _in_file('`{"model": …}`', lambda state: {"model": state}),
    _in_file('`{"model": …, "args": …}`', lambda state: {"model": state, "args": argparse.Namespace(lr=1)}),
    _in_file('`{"net": {"module.…"}}`', lambda state: {"net": _prefixed("module.", state)}),
    _in_file(
        '`{"generator": …, "discriminator": …}`',
        lambda state: {"generator": {"ssl": state}, "discriminator": {"weight": torch.randn(3)}},
        beside=("discriminator.weight",),
    ),
    _in_file(
        '`{"ema": {"state_dict": {"module.…"}}}`', lambda state: {"ema": {"state_dict": _prefixed("module.", state)}}
    ),
    _in_file(
        "two names of one module",
        lambda state: _prefixed("ssl.", state) | _prefixed("model.encoder.", state),
        beside=("model.encoder.",),
    ),
    _in_file(
        "`module.`",
        lambda state: _prefixed("module.", state),
        config=False,
        overrides={"family": "hubert", "normalize": False, "num_heads": 2},
    ),
    _refused(
        _in_file("`module.`", lambda state: _prefixed("module.", state), config=False),
        ConfigurationError,
        r"overrides=\{'family': 'hubert', 'normalize': False\}",
    ),
    _in_file(
        "`student.`, `teacher.`, the user says which",
        _student_and_teacher,
        overrides={"prefix": "student"},
        beside=("teacher.",),
    ),
    _refused(
        _in_file("`student.`, `teacher.`", _student_and_teacher),
        CheckpointMismatch,
        r"2 models of this family.*'student\.' \(\d+ tensors\), 'teacher\.' .*overrides=",
    ),
    _refused(
        _in_file("names of another model", lambda state: {f"x{i}": tensor for i, tensor in enumerate(state.values())}),
        CheckpointMismatch,
        r"among the names of its \d+ tensors are not those of a hubert. There are x0, x1",
    ),
)
