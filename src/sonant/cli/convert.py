"""`sonant convert`: checkpoints to other formats, and to graphs."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sonant.cli.json_output import print_json
from sonant.cli.options import CheckpointFlags
from sonant.errors import ConfigurationError, SonantWarning, warn

if TYPE_CHECKING:
    from sonant.checkpoints import Checkpoint
    from sonant.export import Exported
    from sonant.export.padded_head import ExportableHead

Layers = int | list[int | Literal["last"]] | Literal["last", "all"]


def convert(
    source: str,
    destination: str,
    *,
    to: Literal["hf", "sonant", "unilm", "fairseq", "torchaudio", "onnx", "torch"],
    layer: Layers | None = None,
    int8: bool = False,
    int8_speech: str | None = None,
    offline: bool = False,
    overwrite: bool = False,
    json: bool = False,
    checkpoint: CheckpointFlags,
) -> int:
    """Rewrite a checkpoint in another toolkit's format, or as a graph that runs without sonant.

    A checkpoint is read back and compared with the source: every tensor bit for bit, every setting, and the hidden
    states of seeded noise. The exit code is 0 only if all of them are the same. A graph, for onnxruntime or of
    torch.export, is run on clips of several lengths, alone and in batches, and kept if it gives what the model gives.

    Args:
        source (SRC): a folder of transformers; a file of unilm, fairseq, fairseq2, s3prl or torchaudio; or owner/name
            on the hub.
        destination (DST): a folder for hf and sonant, a file for the other formats.
        to: the format to write. sonant holds every family, hf those that transformers has, torchaudio and fairseq
            wav2vec 2.0, HuBERT and WavLM, fairseq also wav2vec and vq-wav2vec, unilm WavLM only. onnx and torch are
            graphs, of every family.
        layer (-l LAYER): of a graph: what it gives: a number, several with commas between, last or all; 0 is the input
            of the first block. Without it: last.
        int8: of an onnx graph: multiply the feed-forward layers in integers of eight bits.
        int8_speech (RECORDINGS): of hf and sonant: a file, folder or manifest of speech, of which a minute is used to
            find the linear layers that can be multiplied in integers of eight bits, as --precision int8 then does.
            Without it: the feed-forward layers, untried.
        offline: use the hub's cache, but not the network.
        overwrite: replace DST if it exists.
        json: print the report as JSON.

    Examples:
        sonant convert WavLM-Large.pt wavlm-large --to hf
        sonant convert microsoft/wavlm-base-plus wavlm-base-plus.pt --to unilm
        sonant convert vq-wav2vec.pt vq-wav2vec --to sonant
        sonant convert hubert.pth hubert --to hf --override 'family=hubert num_heads=8'
        sonant convert microsoft/wavlm-base-plus wavlm-base-plus --to hf --int8-speech recordings/
        sonant convert microsoft/wavlm-base-plus wavlm.onnx --to onnx --layer 6,last
    """
    match to:
        case "onnx" | "torch":
            from sonant.checkpoints import load_checkpoint

            loaded = load_checkpoint(
                source,
                revision=checkpoint.revision,
                local_files_only=offline,
                overrides=checkpoint.overrides,
                language=checkpoint.language,
            )
            exported = _export(loaded, Path(destination), to=to, layer=layer, int8=int8, overwrite=overwrite)
            _print_exported(source, exported, json=json)
            return 0
    if int8 or layer is not None:
        raise ConfigurationError(f"--layer and --int8 are for graphs, --to onnx or torch; {to} is a set of weights.")
    if int8_speech is not None and to not in ("hf", "sonant"):
        raise ConfigurationError(f"--int8-speech is noted in a folder of hf or sonant; {to} has no place for it.")
    from sonant.checkpoints.convert import convert_checkpoint

    report = convert_checkpoint(
        source,
        destination,
        to=to,
        revision=checkpoint.revision,
        local_files_only=offline,
        overrides=checkpoint.overrides,
        language=checkpoint.language,
        overwrite=overwrite,
    )
    groups = None if int8_speech is None else _find_int8_groups(Path(destination), int8_speech)
    if json:
        print_json({**asdict(report), "faithful": report.faithful, "int8_groups": groups})
        return 0 if report.faithful else 1
    changed = [*report.changed_tensors, *report.changed_settings]
    heads = f", heads: {', '.join(report.heads)}" if report.heads else ""
    rows = {
        "read": f"{report.source} ({report.source_format}: {report.family}, {report.num_parameters / 1e6:.1f} M "
        f"parameters, {', '.join(report.dtypes)}{heads})",
        "written": f"{report.destination} ({report.format})",
        "normalize": f"{f'yes, {report.normalize_epsilon:g} added to the variance' if report.normalize else 'no'}, "
        f"according to {report.normalize_from}",
        "kept aside": ", ".join(report.aside) + f": {report.format} has no place for it; sonant reads it back"
        if report.aside
        else "",
        "tensors": f"{report.num_tensors - len(report.changed_tensors)} of {report.num_tensors} are the same, "
        "bit for bit",
        "outputs": f"largest difference {report.output_difference:g}, over every hidden state of "
        f"{len(report.clip_seconds)} noise clips of {report.clip_seconds[0]:g} to {report.clip_seconds[-1]:g} s",
        "int8": "" if groups is None else f"{' and '.join(groups).replace('_', '-') or 'no'} layers",
        "CHANGED": "; ".join(changed[:20]) + (f" and {len(changed) - 20} more" if len(changed) > 20 else ""),
    }
    _print_rows(rows)
    return 0 if report.faithful else 1


def _find_int8_groups(folder: Path, recordings: str) -> list[str]:
    """Find the linear layers that can be computed in int8, tested on recordings, and note them in the folder."""
    from sonant.checkpoints import load_backbone, note_int8_groups
    from sonant.extraction.inputs import gather
    from sonant.extraction.int8_groups import find_int8_groups

    backbone = load_backbone(folder)
    rate, shortest = backbone.sampling_rate, backbone.receptive_field
    groups = find_int8_groups(
        backbone, gather(recordings, sampling_rate=rate, min_samples=shortest, stdin=sys.stdin.buffer)
    )
    note_int8_groups(folder, groups)
    return list(groups)


def _export(
    checkpoint: "Checkpoint",
    destination: Path,
    *,
    to: Literal["onnx", "torch"],
    layer: Layers | None,
    int8: bool,
    overwrite: bool,
) -> "Exported":
    from sonant.checkpoints import make_backbone
    from sonant.export import to_onnx, to_torch

    layers: list[int | str] | None
    match layer:
        case None:
            layers = ["last"]
        case "all":
            layers = None
        case list():
            layers = list(layer)
        case _:
            layers = [layer]
    backbone, head, notes = make_backbone(checkpoint), *_exportable_head(checkpoint)
    match to:
        case "onnx":
            return to_onnx(backbone, destination, head=head, notes=notes, layers=layers, int8=int8, overwrite=overwrite)
        case "torch" if int8:
            raise ConfigurationError("--int8 is for --to onnx; a graph of torch.export is float32.")
        case "torch":
            return to_torch(backbone, destination, head=head, notes=notes, layers=layers, overwrite=overwrite)


def _exportable_head(checkpoint: "Checkpoint") -> "tuple[ExportableHead | None, Mapping[str, Any]]":
    """Return the head for the graph, and its notes; a warning names those that a graph cannot have."""
    from sonant.export import is_exportable
    from sonant.extraction.head_store import Heads

    heads = Heads(checkpoint.heads)
    for kind in heads.runnable:
        if is_exportable(head := heads.made(kind)):
            return head, checkpoint.heads[kind].metadata
        warn(
            f"The graph gives the states of the model, without its head {kind}, which has no form in a graph.",
            SonantWarning,
        )
    return None, {}


def _print_exported(source: str, exported: "Exported", *, json: bool) -> None:
    agreement = exported.agreement
    if json:
        print_json({"source": source, **asdict(exported)}, default=str)
        return
    graph = {"onnx": "an ONNX graph", "torch": "a graph of torch.export"}[exported.format]
    normalize = exported.facts["normalize"]
    rows = {
        "read": f"{source} ({exported.facts['family']})",
        "written": f"{', '.join(map(str, exported.files))} ({graph}{', int8' if exported.int8 else ''}, "
        f"{exported.num_bytes / 1e6:.1f} MB)",
        "inputs": f"waveforms (batch, samples) at {exported.facts['sampling_rate']} Hz, lengths (batch,)",
        "outputs": ", ".join(exported.outputs),
        "normalize": normalize,
        "checked": f"on {agreement.clips} clips, alone and in batches: largest difference "
        f"{agreement.largest_difference:.2g} of a state's root mean square, lowest cosine of a frame "
        f"{agreement.lowest_cosine:.6f}",
        "codes": f"{agreement.equal_codes:.2%} of the frames have the same" if "codes" in exported.outputs else "",
    }
    _print_rows(rows)


def _print_rows(rows: dict[str, str]) -> None:
    for name, text in rows.items():
        if text:
            print(f"{name:10}  {text}")
