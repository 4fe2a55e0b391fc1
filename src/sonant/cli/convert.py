"""`sonant convert`."""

import json as json_module
from dataclasses import asdict
from typing import Any, Literal

from sonant.errors import ConfigurationError


def convert(
    source: str,
    destination: str,
    *,
    to: Literal["hf", "sonant", "unilm", "fairseq", "torchaudio"],
    revision: str | None = None,
    offline: bool = False,
    override: str = "",
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Rewrite a checkpoint in another toolkit's format.

    The result is read back and compared with the source: every tensor bit for bit, every setting, and the hidden states
    of seeded noise. The exit code is 0 only if all of them are the same.

    Args:
        source (SRC): a folder of transformers; a file of unilm, fairseq, fairseq2, s3prl or torchaudio; or owner/name
            on the hub.
        destination (DST): a folder for hf and sonant, a file for the other formats.
        to: the format to write. sonant holds every family, hf those that transformers has, torchaudio and fairseq
            wav2vec 2.0, HuBERT and WavLM, fairseq also wav2vec and vq-wav2vec, unilm WavLM only.
        revision (REV): branch, tag or commit on the hub.
        offline: use the hub's cache, but not the network.
        override (SETTINGS): settings that win over what the source says, as 'name=value name=value'; files of
            torchaudio do not say everything.
        overwrite: replace DST if it exists.
        json: print the report as JSON.

    Examples:
        sonant convert WavLM-Large.pt wavlm-large --to hf
        sonant convert microsoft/wavlm-base-plus wavlm-base-plus.pt --to unilm
        sonant convert vq-wav2vec.pt vq-wav2vec --to sonant
        sonant convert hubert.pth hubert --to hf --override 'family=hubert num_heads=8'
    """
    from sonant.checkpoints.convert import convert_checkpoint

    report = convert_checkpoint(
        source,
        destination,
        to=to,
        revision=revision,
        local_files_only=offline,
        overrides=_settings(override),
        overwrite=overwrite,
    )
    if json:
        print(json_module.dumps({**asdict(report), "faithful": report.faithful}))
        return 0 if report.faithful else 1
    changed = [*report.changed_tensors, *report.changed_settings]
    heads = f", heads: {', '.join(report.heads)}" if report.heads else ""
    rows = {
        "read": f"{report.source} ({report.source_format}: {report.family}, {report.num_parameters / 1e6:.1f} M "
        f"parameters, {', '.join(report.dtypes)}{heads})",
        "written": f"{report.destination} ({report.format})",
        "normalise": f"{'yes' if report.normalize else 'no'}, according to {report.normalize_from}",
        "kept aside": ", ".join(report.aside) + f": {report.format} has no place for it; sonant reads it back"
        if report.aside
        else "",
        "tensors": f"{report.num_tensors - len(report.changed_tensors)} of {report.num_tensors} are the same, "
        "bit for bit",
        "outputs": f"largest difference {report.output_difference:g}, over every hidden state of "
        f"{len(report.clip_seconds)} noise clips of {report.clip_seconds[0]:g} to {report.clip_seconds[-1]:g} s",
        "CHANGED": "; ".join(changed[:20]) + (f" and {len(changed) - 20} more" if len(changed) > 20 else ""),
    }
    for name, text in rows.items():
        if text:
            print(f"{name:10}  {text}")
    return 0 if report.faithful else 1


def _settings(text: str) -> dict[str, Any]:
    """'num_heads=8 normalize=true conv_strides=[5,2]' as a dict; values are JSON, or words."""
    settings: dict[str, Any] = {}
    for part in text.split():
        name, equals, value = part.partition("=")
        if not name or not equals:
            raise ConfigurationError(
                f"--override was given {part!r}; expected name=value, several with blanks between."
            )
        try:
            settings[name] = json_module.loads(value)
        except ValueError:
            settings[name] = value
        if isinstance(settings[name], list):
            settings[name] = tuple(settings[name])
    return settings
