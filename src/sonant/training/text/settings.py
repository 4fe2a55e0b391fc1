"""Settings of a training of a Transformer language model."""

from dataclasses import dataclass, field

from sonant.data.text_normalization import Normalization
from sonant.data.text_tokenizers import Units
from sonant.errors import ConfigurationError
from sonant.models.devices import usable_devices
from sonant.models.transformer_lm import TransformerLMConfig
from sonant.training.named_run import SingleModelRun
from sonant.training.settings import Training
from sonant.training.trackers import TrackerName, check_trackers, installed_trackers


@dataclass(frozen=True, kw_only=True)
class LanguageModelRun(SingleModelRun):
    """Settings of a training of a Transformer language model.

    Attributes:
        name: of its folder under `output`.
        model: sizes; the vocabulary is that of the tokenizer.
        initial_model: a language model of GPT-2's layout to go on with, with its sizes and tokenizer.
        data: file of texts, see `sonant.data.texts.Texts`.
        dev: such a file, on which the perplexity is measured every `training.validate_every` steps; the run ends with
            the best weights. Without one it ends with the last ones.
        column: of manifests.
        normalization: of the texts, as in `normalize_text`; it is saved with the model, and applied to what is scored.
        units: tokens of the model.
        vocabulary_size: number of subwords, or the largest number of words, with four special tokens.
        batch_tokens: approximate number of tokens in a batch.
        seed: of weights and batches.
        trackers: where metrics are shown; by default TensorBoard, if it is installed.
    """

    name: str
    model: TransformerLMConfig = TransformerLMConfig()
    initial_model: str = ""
    data: str = ""
    dev: str = ""
    column: str = "text"
    normalization: Normalization = "none"
    units: Units = "subwords"
    vocabulary_size: int = 5_000
    batch_tokens: int = 4_096
    training: Training = Training()
    output: str = "runs"
    device: str = "cpu"
    seed: int = 0
    trackers: tuple[TrackerName, ...] = field(default_factory=installed_trackers)


def check(run: LanguageModelRun) -> None:
    """Raise ConfigurationError if a run cannot start with these settings."""
    if not run.data:
        raise ConfigurationError("The run has no texts to learn from. Name a file of them: data=TEXT")
    if run.batch_tokens < 1 or run.vocabulary_size < 5:
        raise ConfigurationError(
            f"batch_tokens={run.batch_tokens} and vocabulary_size={run.vocabulary_size} were given; expected at least "
            "one token in a batch, and one beside the four special ones."
        )
    if run.training.patience and not run.dev:
        raise ConfigurationError(
            f"training.patience={run.training.patience} was given without texts to evaluate. Name some: dev=TEXT; or "
            "set training.patience=0."
        )
    usable_devices(run.device)
    check_trackers(run.trackers)
