"""Utterance mixing and reverberation: what they change, and what they never touch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.audio.augment import Mixing, gain_for_snr, mix_utterances, reverberate
from sonant.errors import ConfigurationError

ALWAYS = Mixing(probability=1.0)


def batch(lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal(length) * rng.uniform(0.01, 1)).astype(np.float32) for length in lengths]


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.flatnonzero(before != after)


@given(
    lengths=st.lists(st.integers(400, 3_000), min_size=1, max_size=6),
    seed=st.integers(0, 2**31),
    noise_probability=st.sampled_from([0.0, 0.5, 1.0]),
    from_clean=st.booleans(),
)
def test_lengths_order_and_inputs_stay_and_at_most_half_is_covered(
    lengths: list[int], seed: int, noise_probability: float, from_clean: bool
) -> None:
    clean = batch(lengths, seed)
    kept = [clip.copy() for clip in clean]
    mixing = Mixing(probability=1.0, noise_probability=noise_probability, from_clean=from_clean)
    mixed = mix_utterances(clean, mixing, np.random.default_rng(seed), noises=batch([700, 5_000], 1))
    assert [len(clip) for clip in mixed] == lengths
    for before, original, after in zip(clean, kept, mixed, strict=True):
        np.testing.assert_array_equal(before, original)
        covered = changed(before, after)
        assert len(covered) == 0 or covered[-1] - covered[0] < len(before) / 2
        assert after.dtype == np.float32
        assert np.isfinite(after).all()


def test_what_is_added_is_a_scaled_part_of_another_utterance_at_the_drawn_ratio() -> None:
    clean = batch([4_000, 4_000])
    mixing = Mixing(probability=1.0, from_clean=True)
    ratios = []
    for seed in range(300):
        for i, after in enumerate(mix_utterances(clean, mixing, np.random.default_rng(seed))):
            covered = changed(clean[i], after)
            if len(covered) < 50:
                continue
            part = (after - clean[i])[covered[0] : covered[-1] + 1]
            other = clean[1 - i]
            windows = np.lib.stride_tricks.sliding_window_view(other, len(part))
            scores = windows @ part / np.linalg.norm(windows, axis=1) / np.linalg.norm(part)
            best = int(scores.argmax())
            assert scores[best] > 0.9999
            gain = np.linalg.norm(part) / np.linalg.norm(windows[best])
            ratios.append(10 * np.log10(np.mean(clean[i] ** 2) / (gain**2 * np.mean(other**2))))
    assert -5 <= min(ratios) < -4
    assert 4 < max(ratios) <= 5
    assert abs(np.mean(ratios)) < 0.5


def test_noise_has_its_own_range_of_ratios() -> None:
    gains = [gain_for_snr(np.ones(100), np.full(50, 2.0), snr) for snr in (-5.0, 0.0, 20.0)]
    np.testing.assert_allclose(gains, [10**0.25 / 2, 0.5, 0.05], rtol=1e-5)


def test_the_length_of_a_mixed_part_does_not_depend_on_its_source_but_ends_with_it() -> None:
    """The original draws up to half of the utterance, and cuts at the end of a shorter noise."""
    clean, noise = [np.zeros(4_000, np.float32) + 1], [np.ones(500, np.float32)]
    mixing = Mixing(probability=1.0, noise_probability=1.0)
    drawn = [mix_utterances(clean, mixing, np.random.default_rng(seed), noises=noise)[0] for seed in range(800)]
    lengths = np.array([len(changed(clean[0], mixed)) for mixed in drawn])
    assert lengths.max() == 500
    assert np.mean(lengths == 500) == pytest.approx(0.75, abs=0.05)


def test_an_utterance_alone_is_mixed_with_itself_only_if_asked() -> None:
    clean = batch([2_000])
    assert all(
        len(changed(clean[0], mix_utterances(clean, ALWAYS, np.random.default_rng(seed))[0])) == 0 for seed in range(20)
    )
    mixing = Mixing(probability=1.0, allow_self=True)
    assert any(
        len(changed(clean[0], mix_utterances(clean, mixing, np.random.default_rng(seed))[0])) for seed in range(20)
    )


def test_the_share_of_mixed_utterances_is_the_probability() -> None:
    clean = batch([1_000] * 10)
    touched = [
        len(changed(before, after)) > 0
        for seed in range(200)
        for before, after in zip(
            clean, mix_utterances(clean, Mixing(probability=0.2), np.random.default_rng(seed)), strict=True
        )
    ]
    assert 0.17 < np.mean(touched) < 0.23


def test_mixed_speech_spreads_only_where_the_original_code_lets_it() -> None:
    """With `from_clean` off, a later utterance may receive what an earlier one received."""
    clean = [np.ones(2_000, np.float32), np.zeros(2_000, np.float32), np.zeros(2_000, np.float32)]
    clean[0][:] = batch([2_000])[0]

    def received(from_clean: bool) -> bool:
        mixing = Mixing(probability=1.0, from_clean=from_clean)
        return any(
            np.abs(mix_utterances(clean, mixing, np.random.default_rng(seed))[2]).sum() > 0 for seed in range(50)
        )

    # Silent utterances have no power to set a ratio against, so nothing is ever added to them.
    assert not received(from_clean=True)
    assert not received(from_clean=False)
    loud = batch([2_000, 2_000, 2_000], 3)
    results = {
        from_clean: mix_utterances(loud, Mixing(probability=1.0, from_clean=from_clean), np.random.default_rng(5))
        for from_clean in (True, False)
    }
    np.testing.assert_array_equal(results[True][0], results[False][0])
    assert any(len(changed(a, b)) for a, b in zip(results[True], results[False], strict=True))


def test_a_silent_partner_changes_nothing() -> None:
    clean = [batch([1_000])[0], np.zeros(1_000, np.float32)]
    for seed in range(20):
        np.testing.assert_array_equal(mix_utterances(clean, ALWAYS, np.random.default_rng(seed))[0], clean[0])


def test_noise_without_noises_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="noises"):
        mix_utterances(batch([1_000]), Mixing(noise_probability=0.1), np.random.default_rng(0))


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="probability"):
        Mixing(probability=1.5)


@given(delay=st.integers(0, 60), length=st.integers(500, 3_000))
def test_a_room_that_is_an_echo_free_delay_changes_nothing(delay: int, length: int) -> None:
    impulse = np.zeros(100, np.float32)
    impulse[delay] = 0.9
    clip = batch([length])[0]
    np.testing.assert_allclose(reverberate(clip, impulse), clip, atol=1e-5)


def test_reverberation_keeps_length_and_energy_and_equals_direct_convolution() -> None:
    clip, room = batch([3_000, 500])
    room *= np.exp(-np.arange(500) / 80, dtype=np.float32)
    wet = reverberate(clip, room)
    direct = int(np.abs(room).argmax())
    expected = np.convolve(clip, room)[direct : direct + len(clip)]
    expected *= np.sqrt(np.mean(clip**2) / np.mean(expected**2))
    assert wet.dtype == np.float32
    np.testing.assert_allclose(wet, expected, atol=1e-4)
