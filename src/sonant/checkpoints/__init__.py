"""Reading and writing of checkpoints of transformers, unilm, fairseq, s3prl and torchaudio; see `load_checkpoint`."""

from sonant.checkpoints.checkpoint import Checkpoint, CheckpointFormat, Head, differing
from sonant.checkpoints.codes_to_text import load_codes_to_text, save_codes_to_text
from sonant.checkpoints.load import load_backbone, load_checkpoint, make_backbone
from sonant.checkpoints.save import Saved, save_checkpoint, save_pretrained
from sonant.checkpoints.sonant_folder import note_int8_groups, note_presets

__all__ = [
    "Checkpoint",
    "CheckpointFormat",
    "Head",
    "Saved",
    "differing",
    "load_backbone",
    "load_checkpoint",
    "load_codes_to_text",
    "make_backbone",
    "note_int8_groups",
    "note_presets",
    "save_checkpoint",
    "save_codes_to_text",
    "save_pretrained",
]
