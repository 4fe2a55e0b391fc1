"""VoiceBank-DEMAND (Valentini-Botinhao et al. 2016): speech in noise, beside the same speech without."""

from pathlib import Path

from sonant.data.corpora.listing import CorpusSets, Listing, existing, files

LAYOUT = (
    "VoiceBank-DEMAND: noisy_trainset_28spk_wav, clean_trainset_28spk_wav, noisy_testset_wav and clean_testset_wav "
    "(or with the ending _16k)"
)
DEV_SPEAKERS = ("p226", "p287")  # of the training set; source: SpeechBrain, recipes/Voicebank/voicebank_prepare.py


def enhancement(folder: Path) -> CorpusSets:
    """Read noisy recordings with the path of the `clean` one, and `speaker`. Raises ManifestError."""
    listing = Listing(folder)
    for whole in ("trainset_28spk", "testset"):
        endings = [end for end in ("_wav_16k", "_wav") if (folder / f"noisy_{whole}{end}").is_dir()] or ["_wav"]
        names = [f"{kind}_{whole}{endings[0]}" for kind in ("noisy", "clean")]
        noisy, clean = existing(folder, *names, layout=LAYOUT)
        for path in files(noisy, "*.wav"):
            speaker = path.stem.partition("_")[0]
            part = "test" if whole == "testset" else "dev" if speaker in DEV_SPEAKERS else "train"
            if (clean / path.name).is_file():
                listing.add(part, path, clean=str(clean / path.name), speaker=speaker)
            else:
                listing.problem("noisy recordings have no clean one", listing.name(path))
        listing.unlabeled(path for path in files(clean, "*.wav") if not (noisy / path.name).is_file())
    return listing.finish()
