"""Make the recordings in examples/speech from the sound packages of the Asterisk telephone exchange in Debian.

Run by hand, once; the results are in the repository. It needs PyAV (the extra `audio`) for G.722:

    for l in en es fr it ru; do
        apt-get download asterisk-core-sounds-$l asterisk-core-sounds-$l-g722
    done
    for f in asterisk-core-sounds-*.deb; do dpkg -x $f unpacked; done
    python examples/make_speech.py unpacked

The recordings are decoded from G.722 (16 kHz, mono) and written as 16-bit FLAC: nothing is cut, filtered or scaled.
"""

import gzip
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

OUT = Path(__file__).parent / "speech"


@dataclass(frozen=True)
class Voice:
    """One language of the packages: its folder, who speaks, and what the packages' copyright file asks for."""

    folder: str
    speaker: str
    credit: str
    license: str


VOICES = {
    "en": Voice("en_US_f_Allison", "allison", "Allison Smith, http://www.theivrvoice.com", "CC-BY-SA-3.0"),
    "es": Voice("es_MX_f_Allison", "allison", "Allison Smith, http://www.theivrvoice.com", "CC-BY-SA-3.0"),
    "fr": Voice("fr_CA_f_June", "june", "June Wallack, http://www.junewallack.com", "CC-BY-SA-3.0"),
    "it": Voice("it_IT_m_Carlo", "carlo", "Carlo Flora, http://www.carloflora.com", "CC-BY-3.0"),
    "ru": Voice("ru_RU_f_IvrvoiceRU", "ivrvoice", "Maxim Topal, http://www.ivrvoice.ru", "CC-BY-3.0"),
}

# (language, name in the package, our name); "queue" says the same in every language: speakers differ there, words less.
RECORDINGS = (
    ("en", "queue-periodic-announce", "queue"),
    ("en", "tt-allbusy", "busy"),
    ("en", "vm-newuser", "welcome"),
    ("es", "queue-periodic-announce", "queue"),
    ("es", "followme/status", "away"),
    ("es", "ss-noservice", "noservice"),
    ("fr", "queue-periodic-announce", "queue"),
    ("fr", "tt-allbusy", "busy"),
    ("it", "queue-periodic-announce", "queue"),
    ("it", "tt-allbusy", "busy"),
    ("ru", "queue-periodic-announce", "queue"),
    ("ru", "tt-allbusy", "busy"),
)

# The packages' texts were typed in a hurry: slips of spelling and lost accents, put right.
SPELLING = {
    "represenatives": "representatives",
    "Intentare": "Intentaré",
    "numero": "número",
    "esta fuera": "está fuera",
    "presentement occupes": "présentement occupés",
    "demeurez": "demeurer",
}


def main(unpacked: Path) -> None:
    """Write the recordings, the manifest and the packages' copyright file."""
    OUT.mkdir(exist_ok=True)
    lines = []
    for language, source, name in RECORDINGS:
        voice = VOICES[language]
        path = unpacked / "usr/share/asterisk/sounds" / voice.folder / f"{source}.g722"
        samples = decode_g722(path)
        target = OUT / f"{language}-{voice.speaker}-{name}.flac"
        soundfile.write(target, samples, 16000, subtype="PCM_16")
        lines.append(
            {
                "path": target.name,
                "duration": len(samples) / 16000,
                "speaker": voice.speaker,
                "language": language,
                "text": texts(unpacked, language)[source],
                "license": voice.license,
                "credit": voice.credit,
                "source": f"asterisk-core-sounds-{language}-g722: {voice.folder}/{source}.g722",
            }
        )
    manifest = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (OUT / "manifest.jsonl").write_text(manifest, encoding="utf-8")
    shutil.copyfile(unpacked / "usr/share/doc/asterisk-core-sounds-en-g722/copyright", OUT / "COPYRIGHT")


def decode_g722(path: Path) -> np.ndarray:
    """The samples of a raw G.722 file, int16 (samples,)."""
    with av.open(path, format="g722") as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def texts(unpacked: Path, language: str) -> dict[str, str]:
    """What is said in each recording of a language, by its name in the package."""
    path = unpacked / f"usr/share/doc/asterisk-core-sounds-{language}/core-sounds-{language}.txt.gz"
    said = {}
    for line in gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines():
        name, colon, text = line.partition(":")
        if colon and not line.startswith(";"):
            for slip, right in SPELLING.items():
                text = text.replace(slip, right)
            said[name.strip()] = " ".join(text.split())
    return said


if __name__ == "__main__":
    main(Path(sys.argv[1]))
