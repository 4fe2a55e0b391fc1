"""Transcripts with slots, by CTC; needs model=MODEL and data=MANIFEST, with the fields `text` and `slots`.

Slots are `[name, value]` in the order of the text; or label=text takes texts with marks, as SUPERB writes them
(arXiv 2105.01051): "fly to B-city new york E-city". Settings are those of `ctc`; SUPERB itself trains recurrent layers
over a frozen model.
"""

from dataclasses import replace

from sonant.recipes import ctc
from sonant.recipes.sources import Sources
from sonant.training.tasks import TaskRun
from sonant.training.tasks.slots import SlotTask


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    return ctc.sources(name)


def recipe(name: str) -> TaskRun:
    """The run of `ctc` with the marks of slots among its tokens."""
    return replace(ctc.recipe(name), task=SlotTask(), label=("text", "slots"))
