"""Miniatures of corpora in their official layouts: every recording is a second of noise or less."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

Say = Callable[[Path, str], None]  # writes the recording of a label


def noise(path: Path, label: str = "", *, seconds: float = 0.2) -> None:
    """Write a recording; that of a label is a tone of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * 16_000)) / 16_000
    pitch = 200 + 150 * (sum(label.encode()) % 13)
    wave = 0.3 * np.sin(2 * np.pi * pitch * time) + np.random.default_rng(len(str(path))).normal(0, 0.02, len(time))
    soundfile.write(path, wave.astype(np.float32), 16_000, format=path.suffix[1:].upper().replace("MP3", "WAV"))


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def librispeech(folder: Path, say: Say = noise) -> Path:
    for part, speaker in (("train-clean-100", "19"), ("dev-clean", "84"), ("test-clean", "61")):
        chapter = folder / "LibriSpeech" / part / speaker / "198"
        names = [f"{speaker}-198-{number:04}" for number in range(2)]
        write_lines(chapter / f"{speaker}-198.trans.txt", *(f"{name} GO ON" for name in names))
        for name in names:
            say(chapter / f"{name}.flac", "GO ON")
    write_lines(folder / "librispeech-lexicon.txt", "GO  G OW1", "ON  AA1 N")
    return folder


def speech_commands(folder: Path, say: Say = noise) -> Path:
    root = folder / "speech_commands_v0.01"
    words = ("yes", "no", "bed")
    for word in words:
        for speaker in ("0a", "0b", "0c", "0d"):
            say(root / word / f"{speaker}_nohash_0.wav", word)
    write_lines(root / "validation_list.txt", *(f"{word}/0c_nohash_0.wav" for word in words))
    write_lines(root / "testing_list.txt", *(f"{word}/0d_nohash_0.wav" for word in words))
    noise(root / "_background_noise_" / "hum.wav", seconds=10)
    return folder


def fluent_speech_commands(folder: Path, say: Say = noise) -> Path:
    head = ",path,speakerId,transcription,action,object,location"
    for part, speaker in (("train", "a"), ("valid", "b"), ("test", "c")):
        rows = []
        for number, action in enumerate(("increase", "decrease")):
            path = f"wavs/speakers/{speaker}/{number}.wav"
            say(folder / path, action)
            rows.append(f'{number},{path},{speaker},"Turn it, please",{action},volume,none')
        write_lines(folder / "data" / f"{part}_data.csv", head, *rows)
    return folder


def snips(folder: Path, say: Say = noise) -> Path:
    lines = []
    for part, speaker in (("train", "Ivy"), ("valid", "Amy"), ("test", "Emma")):
        name = f"{speaker}-snips-{part}-0"
        lines.append(f"{name} BOS play new york times EOS\tO O B-album I-album I-album PlayMusic")
        say(folder / part / f"{name}.wav", "play")
        lines.append(f"Brian-snips-{part}-0 BOS play EOS\tO O PlayMusic")
        say(folder / part / f"Brian-snips-{part}-0.wav", "play")
    write_lines(folder / "all.iob.snips.txt", *lines)
    return folder


def iemocap(folder: Path, say: Say = noise) -> Path:
    for number in range(1, 6):
        session, dialogue = folder / "IEMOCAP_full_release" / f"Session{number}", f"Ses0{number}F_impro01"
        emotions = ("neu", "exc", "sad", "ang", "hap", "fru")
        lines = []
        for turn, emotion in enumerate(emotions):
            name = f"{dialogue}_{'FM'[turn % 2]}{turn:03}"
            lines.append(f"[6.2901 - 8.2357]\t{name}\t{emotion}\t[2.5, 2.5, 2.5]")
            lines.append("C-E2:\tNeutral;\t()")
            say(session / "sentences" / "wav" / dialogue / f"{name}.wav", emotion)
        write_lines(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", "% [START - END]", *lines)
    return folder


def voxceleb1(folder: Path, say: Say = noise) -> Path:
    split = []
    for speaker, place in (("id10001", "dev"), ("id10002", "dev"), ("id10270", "test"), ("id10271", "test")):
        for video, number in enumerate((1, 2, 3, 2), 1):
            name = f"{speaker}/vid{video}/00001.wav"
            say(folder / place / "wav" / name, speaker)
            split.append(f"{number} {name}")
    write_lines(folder / "iden_split.txt", *split)
    one, same, other = "id10270/vid1/00001.wav", "id10270/vid2/00001.wav", "id10271/vid1/00001.wav"
    write_lines(folder / "veri_test2.txt", f"1 {one} {same}", f"0 {one} {other}")
    return folder


def libri2mix(folder: Path, say: Say = noise) -> Path:
    for part in ("train-100", "dev", "test"):
        for number in range(2):
            for kind in ("mix_clean", "s1", "s2"):
                say(folder / "Libri2Mix" / "wav16k" / "min" / part / kind / f"{number}.wav", kind)
    return folder


def libri2mix_diarization(folder: Path, say: Say = noise) -> Path:
    for part in ("train", "dev", "test"):
        say(folder / "audio" / f"{part}.wav", part)
        write_lines(folder / part / "wav.scp", f"mix-{part} audio/{part}.wav")
        turns = (f"SPEAKER mix-{part} 1 {start} 0.1 <NA> <NA> {name} <NA>" for start, name in ((0, "a"), (0.05, "b")))
        write_lines(folder / part / "rttm", *turns)
    return folder


def quesst14(folder: Path, say: Say = noise) -> Path:
    root = folder / "quesst14Database"
    documents = [f"quesst14_{number:05}" for number in range(3)]
    for name in documents:
        say(root / "Audio" / f"{name}.wav", name)
    keys = [f"quesst14Database/Audio/{name}.wav nnenglish" for name in documents[:2]]
    keys.append(f"quesst14Database/Audio/{documents[2]}.wav czech")
    write_lines(root / "scoring" / "language_key_utterances.lst", *keys)
    for part in ("dev", "eval"):
        query = f"quesst14_{part}_0001"
        say(root / f"{part}_queries" / f"{query}.wav", query)
        write_lines(
            root / "scoring" / f"language_key_{part}.lst", f"quesst14Database/{part}_queries/{query}.wav nnenglish"
        )
        truth = root / "scoring" / f"groundtruth_quesst14_{part}" / f"quesst14_{part}.rttm"
        write_lines(
            truth,
            *(f"LEXEME {name} 1 0.0 0.1 {query} lex sys 0.5" for name in (documents[1], documents[2])),
            "LEXEME quesst14_00000 1 0.0 0.1 NO_KEYWORD lex sys 0.5",
        )
    return folder


def voicebank_demand(folder: Path, say: Say = noise) -> Path:
    for kind in ("noisy", "clean"):
        for speaker in ("p226", "p228"):
            say(folder / f"{kind}_trainset_28spk_wav" / f"{speaker}_001.wav", kind)
        say(folder / f"{kind}_testset_wav" / "p232_001.wav", kind)
    return folder


def covost2(folder: Path, say: Say = noise) -> Path:
    for part in ("train", "dev", "test"):
        clip = f"common_voice_en_{part}.mp3"
        say(folder / "en" / "clips" / clip, part)
        row = f'{clip}\tHe said "no.\tEr sagte "nein.\tclient-{part}'
        write_lines(folder / "en" / f"covost_v2.en_de.{part}.tsv", "path\tsentence\ttranslation\tclient_id", row)
    return folder


LAYOUTS: dict[str, Callable[..., Path]] = {
    each.__name__: each
    for each in (
        librispeech, speech_commands, fluent_speech_commands, snips, iemocap, voxceleb1, libri2mix,
        libri2mix_diarization, quesst14, voicebank_demand, covost2,
    )
}  # fmt: skip
