"""Self-supervised speech: pretrain, load and use WavLM, HuBERT and wav2vec 2.0.

    encoder = sonant.load("sonant/wavlm-tiny")
    frames = encoder.encode("speech.wav")          # (frames, dim)

The public names live in `sonant.api`, `train` in `sonant.recipes.tasks`, `self_train` in `sonant.self_training`,
`evaluate_superb` in `sonant.superb`, and `evaluate_maeb` in `sonant.integrations`. They, and the packages below this
one (`sonant.audio`), are imported when first used, so that `import sonant` stays quick.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sonant import (  # noqa: F401 - so that type checkers know them as attributes
        analysis,
        api,
        audio,
        benchmark,
        checkpoints,
        configuration,
        data,
        decoding,
        errors,
        evaluation,
        export,
        extraction,
        inference,
        integrations,
        layers,
        loss,
        models,
        pages,
        pretraining,
        recipes,
        self_training,
        superb,
        tasks,
        training,
    )
    from sonant.api import (
        Alignment,
        BulkOptions,
        Enrollment,
        Identification,
        InferenceOptions,
        Person,
        SpeakerTurn,
        SpeechEncoder,
        SpokenMatch,
        SpokenSlot,
        Transcript,
        Verification,
        VoiceMatch,
        Voices,
        Word,
        align,
        analyze,
        classify,
        diarize,
        enhance,
        evaluate_asr,
        evaluate_asv,
        load,
        search,
        separate,
        transcribe,
        units,
        verify,
    )
    from sonant.integrations import evaluate_maeb
    from sonant.recipes.tasks import train
    from sonant.self_training import self_train
    from sonant.superb import evaluate_superb

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "BulkOptions",
    "Enrollment",
    "Identification",
    "InferenceOptions",
    "Person",
    "SpeakerTurn",
    "SpeechEncoder",
    "SpokenMatch",
    "SpokenSlot",
    "Transcript",
    "Verification",
    "VoiceMatch",
    "Voices",
    "Word",
    "__version__",
    "align",
    "analyze",
    "classify",
    "diarize",
    "enhance",
    "evaluate_asr",
    "evaluate_asv",
    "evaluate_maeb",
    "evaluate_superb",
    "load",
    "search",
    "self_train",
    "separate",
    "train",
    "transcribe",
    "units",
    "verify",
]


def __getattr__(name: str) -> object:
    from importlib import import_module
    from importlib.util import find_spec

    if name == "train":
        from sonant.recipes.tasks import train

        return train
    if name == "evaluate_superb":
        from sonant.superb import evaluate_superb

        return evaluate_superb
    if name == "evaluate_maeb":
        from sonant.integrations import evaluate_maeb

        return evaluate_maeb
    if name == "self_train":
        from sonant.self_training import self_train

        return self_train
    if name in __all__:
        from sonant import api

        return getattr(api, name)
    if not name.startswith("_") and find_spec(f"sonant.{name}") is not None:
        return import_module(f"sonant.{name}")
    raise AttributeError(f"module 'sonant' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    from pkgutil import iter_modules

    modules = (module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return sorted({*globals(), *__all__, *modules})
