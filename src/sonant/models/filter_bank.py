"""Features without weights, the baselines of the field: log-mel energies and MFCC, as models of one state."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sonant.audio.mel import window_and_shift
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Encoded
from sonant.models.fbank import FilterBank
from sonant.models.normalization import ORIGINAL_EPSILON, RecordingStatistics, check_epsilon


@dataclass(frozen=True, kw_only=True)
class FilterBankConfig:
    """Settings of mel features, 100 times a second; the defaults are 80 log energies with deltas.

    Attributes:
        num_bins: mel bins from 20 Hz to the Nyquist frequency, of windows of 25 ms every 10 ms.
        num_coefficients: of the cepstrum of the bins, C0 first; 0: the energies themselves.
        with_deltas: append deltas and delta-deltas over 5 frames.
        by_clip: normalize to zero mean and unit variance over each clip; otherwise by constants.
    """

    num_bins: int = 80
    num_coefficients: int = 0
    with_deltas: bool = True
    by_clip: bool = False
    normalize: bool = False  # the waveform
    normalize_epsilon: float = ORIGINAL_EPSILON
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        if not 0 <= self.num_coefficients <= self.num_bins:
            raise ConfigurationError(
                f"num_coefficients={self.num_coefficients} of {self.num_bins} mel bins was given; expected 0, for the "
                f"energies themselves, to {self.num_bins}."
            )
        check_epsilon(self.normalize_epsilon)

    @property
    def dim(self) -> int:
        """Numbers of a frame."""
        return (self.num_coefficients or self.num_bins) * (3 if self.with_deltas else 1)

    @property
    def num_layers(self) -> int:
        """None: the features are the only state."""
        return 0

    @property
    def receptive_field(self) -> int:
        """Samples of the window of a frame; its deltas reach further."""
        return window_and_shift(self.sampling_rate)[0]

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return window_and_shift(self.sampling_rate)[1]


# By the name that stands for a model. "mfcc": those of HuBERT's first targets, 13 of Kaldi's 23 bins. "fbank": SUPERB's
# baseline, s3prl/upstream/baseline/fbank.yaml. Its mean over a clip is 0, so that linear layers around a mean over time
# learn nothing from it.
FILTER_BANKS: Mapping[str, FilterBankConfig] = {
    "mfcc": FilterBankConfig(num_bins=23, num_coefficients=13),
    "log_mel": FilterBankConfig(),
    "fbank": FilterBankConfig(by_clip=True),
}


class FilterBankModel(Backbone):
    """Mel features of waveforms as hidden state 0, which is the output too."""

    config: FilterBankConfig
    extractor: FilterBank

    def __init__(self, config: FilterBankConfig) -> None:
        super().__init__()
        self.config = config
        self.extractor = FilterBank(
            num_bins=config.num_bins,
            num_coefficients=config.num_coefficients,
            with_deltas=config.with_deltas,
            by_clip=config.by_clip,
            sampling_rate=config.sampling_rate,
        )

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Compute features of waveforms (total_samples,); the arguments are those of `Backbone`."""
        keep, last = self.wanted(layers)
        frames = self.features(speech, statistics=statistics)
        return Encoded(
            dict.fromkeys(keep, frames.values), frames.values if last else None, frames.lengths, self.frame_rate
        )
