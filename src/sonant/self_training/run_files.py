"""Folder of a self-training run: what its stages have left, and what of it another stage takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sonant.api import SpeechEncoder, load
from sonant.data.settings import write_settings
from sonant.data.text_normalization import Normalization
from sonant.errors import ConfigurationError
from sonant.extraction.decoder_options import DecoderOptions
from sonant.training.self_training import STAGES, SelfTrainingRun, StageName
from sonant.training.tasks import CTCTask

RESULT, TABLE = "stage.json", "stages.md"


@dataclass(frozen=True)
class StageResult:
    """Result of a stage.

    Attributes:
        did: in words, with counts.
        found: how good it was, in words; "" where nothing measures it.
        facts: the same as JSON values.
    """

    did: str
    found: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class RunFiles:
    """Files of a run, which has a folder for each stage."""

    run: SelfTrainingRun

    def folder(self, stage: StageName) -> Path:
        """Return the folder of a stage."""
        return self.run.folder / stage

    def is_finished(self, stage: StageName) -> bool:
        """Return True if this call or an earlier one has finished a stage."""
        return (self.folder(stage) / RESULT).is_file()

    def finish(self, stage: StageName, result: StageResult, seconds: float) -> None:
        """Write the result of a stage, and the table of all results."""
        about = {"stage": stage, "did": result.did, "found": result.found, "seconds": round(seconds, 1)}
        self.folder(stage).mkdir(parents=True, exist_ok=True)
        write_settings(self.folder(stage) / RESULT, about | dict(result.facts))
        self.write_table()

    def results(self) -> dict[StageName, Mapping[str, Any]]:
        """Return the results of the finished stages, as JSON values."""
        done = [stage for stage in STAGES if self.is_finished(stage)]
        return {stage: json.loads((self.folder(stage) / RESULT).read_text(encoding="utf-8")) for stage in done}

    def write_table(self) -> None:
        """Write a Markdown table, with a line for each finished stage."""
        lines = ["| stage | did | result | seconds |", "|---|---|---|---|"]
        lines += [
            f"| {each['stage']} | {each['did']} | {each['found']} | {each['seconds']:.0f} |"
            for each in self.results().values()
        ]
        (self.run.folder / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def needed(self, stage: StageName, of: StageName, otherwise: str) -> Path:
        """Return the folder of a stage that another one needs. Raises ConfigurationError if it is not finished."""
        if not self.is_finished(stage):
            raise ConfigurationError(
                f"The stage {of!r} needs what the stage {stage!r} makes, and that was not carried out. Add it to "
                f"stages{otherwise}."
            )
        return self.folder(stage)

    def teacher(self, of: StageName) -> str:
        """Return the model that labels, for a stage."""
        return self.run.teacher or str(self.needed("teacher", of, ", or name a model: teacher=MODEL") / "model")

    def loaded(self, model: str) -> SpeechEncoder:
        """Return a model on the device of the run."""
        return load(model, device=self.run.device)

    @property
    def decoder(self) -> DecoderOptions:
        """Options of the beam search with the language models that there are, before tuning."""
        run = self.run
        lm = Path(run.lm).expanduser() if run.lm else self._made("ngram", "lm.arpa.gz")
        scorer = Path(run.transformer_lm).expanduser() if run.transformer_lm else self._made("transformer_lm", "model")
        options = replace(run.decoder, lm=lm, rescoring_lm=scorer)
        if lm is None:
            options = replace(options, lm_weight=None)
        return options if scorer is not None else without_rescoring(options)

    def _made(self, stage: StageName, name: str) -> Path | None:
        return self.folder(stage) / name if self.is_finished(stage) else None

    @property
    def normalization(self) -> Normalization:
        """Form of the transcripts."""
        task = self.run.fine_tuning.task
        return task.normalize if isinstance(task, CTCTask) else "none"


def without_rescoring(options: DecoderOptions) -> DecoderOptions:
    """Return options of a search whose texts are not ranked again."""
    return replace(options, rescoring_lm=None, rescoring_lm_weight=None, rescoring_word_score=None)
