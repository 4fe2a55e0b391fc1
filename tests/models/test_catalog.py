"""The catalog: every row is whole and right, and names are found or near ones suggested."""

import re
from functools import cache

import pytest
import torch

from sonant.errors import UnknownName
from sonant.models import HuBERTConfig, Wav2Vec2Config, WavLMConfig, build, hubert, published_results
from sonant.models.catalog import CATALOG, OMNIASR_TOKENIZERS, Card, find
from sonant.models.families import FAMILIES, TITLES, presets

ORGANIZATIONS = {
    "WavLM": {"microsoft"},
    "HuBERT": {"facebook", "ntu-spml", "slprl"},
    "wav2vec 2.0": {"facebook"},
    "wav2vec 2.0 Conformer": {"facebook"},
    "data2vec": {"facebook"},
    "UniSpeech": {"microsoft"},
    "UniSpeech-SAT": {"microsoft"},
    "SEW": {"asapp"},
    "w2v-BERT 2.0": {"facebook"},
}  # of the hub
FRAME_RATES = {"wav2vec": 100.0, "vq-wav2vec": 100.0}

cards = pytest.mark.parametrize("card", CATALOG.values(), ids=lambda card: card.short_name)


@cache  # most rows share their shape with others
def parameters_of(config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


@cards
def test_the_parameters_are_those_of_the_configuration(card: Card):
    assert parameters_of(card.config) == card.parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    {
        # Counted once with the original code; the numbers that the papers round.
        "wavlm-base": 94_381_936,
        "wavlm-base-plus": 94_381_936,
        "wavlm-large": 315_453_120,
        "hubert-base-ls960": 94_371_712,
        "hubert-large-ll60k": 315_438_720,
        "hubert-xlarge-ll60k": 962_497_408,
        "distilhubert": 23_491_968,  # its config.json in transformers; the paper says 23.49 M
        "mhubert-base-25hz": 94_897_408,
        "wav2vec2-base": 94_371_712,
        "wav2vec2-large": 315_428_992,
        "wav2vec2-large-lv60": 315_438_720,
        "wav2vec2-large-xlsr-53": 315_438_720,
        "wav2vec2-xls-r-1b": 962_497_408,
        "wav2vec2-xls-r-2b": 2_159_259_648,
        "wav2vec2-conformer-rel-pos-large": 610_169_344,  # without the positional convolution, which is not used
        "wav2vec2-conformer-rope-large": 584_954_368,
        "sew-tiny-100k": 40_708_895,
        "sew-small-100k": 89_620_511,
        "sew-mid-100k": 174_674_975,
        "w2v-bert-2.0": 580_493_120,
        # fairseq2's classes with the configurations of omnilingual-asr, less the head of pretraining.
        "omniASR_W2V_300M": 317_390_592 - 1_951_872,
        "omniASR_W2V_1B": 965_514_752 - 3_017_344,
        "omniASR_W2V_3B": 3_064_124_672 - 3_803_776,
        "omniASR_W2V_7B": 6_488_487_168 - 3_803_776,
    }.items(),
)
def test_the_parameters_are_those_of_the_original_code(name: str, parameters: int):
    assert parameters_of(find(name).config) == parameters


@pytest.mark.parametrize(("config", "parameters"), [(hubert.LARGE, 315_435_136), (hubert.XLARGE, 962_493_824)])
def test_hubert_without_convolution_biases_as_its_authors_trained_it(config: HuBERTConfig, parameters: int):
    assert parameters_of(config) == parameters


@cards
def test_every_row_is_whole(card: Card):
    organization, _, short_name = card.name.partition("/")
    toolkits = {"fairseq2" if short_name.startswith("omniASR") else "fairseq"}
    assert organization in ({"sonant"} if card.shipped else toolkits if card.address else ORGANIZATIONS[card.family])
    assert short_name == card.short_name
    assert card.title
    assert card.data
    assert card.languages
    assert card.license
    assert card.shipped or card.hours is None or card.hours >= 960
    title, address = card.paper
    assert title
    assert re.fullmatch(r"https://arxiv\.org/abs/\d{4}\.\d{5}", address)
    assert card.frame_rate == FRAME_RATES.get(card.family, 25.0 if "25hz" in card.name else 50.0)
    assert card.config.sampling_rate == 16_000


@cards
def test_fine_tuned_models_name_the_model_they_come_from(card: Card):
    assert (card.labels is None) == (card.pretrained is None)
    if card.pretrained is not None:
        origin = CATALOG[card.pretrained]
        assert (origin.labels, origin.config, origin.data) == (None, card.config, card.data)


@cards
def test_a_file_that_is_on_no_hub_has_the_name_of_its_row(card: Card):
    if card.address is not None:
        name = card.short_name.replace("_", "-") if card.name.startswith("fairseq2/") else card.short_name
        assert re.fullmatch(rf"https://[\w./-]+/{re.escape(name)}\.(pt|tar)", card.address)
        assert card.license == ("Apache-2.0" if card.name.startswith("fairseq2/") else "MIT")


def test_recognizers_of_omniasr_name_their_tokenizer():
    for card in CATALOG.values():
        published = OMNIASR_TOKENIZERS.get("_v2" if card.name.endswith("_v2") else "")
        expected = f"https://dl.fbaipublicfiles.com/mms/{published}" if "omniASR_CTC" in card.name else None
        assert card.beside == expected


@pytest.mark.parametrize("card", [card for card in CATALOG.values() if hasattr(card.config, "extractor_norm")])
def test_normalization_follows_the_extractor(card: Card):
    """In the published models layer-norm extractors were trained on normalized waveforms, group-norm ones were not."""
    assert card.config.normalize == (card.config.extractor_norm == "layer")


def test_families_stand_together_and_fine_tuned_models_behind_theirs():
    families = [card.family for card in CATALOG.values()]
    assert list(dict.fromkeys(families)) == list(TITLES.values())
    assert families == sorted(families, key=list(TITLES.values()).index)
    names = list(CATALOG)
    for name, card in CATALOG.items():
        before = CATALOG[names[names.index(name) - 1]]
        assert card.pretrained in (None, before.name, before.pretrained)


@pytest.mark.parametrize(
    ("name", "parameters"),
    {"wav2vec_large": 32_537_088, "vq-wav2vec": 34_063_488, "vq-wav2vec_kmeans": 33_014_272}.items(),
)
def test_wav2vec_and_its_predictor_of_twelve_steps_have_the_parameters_of_the_original_code(name: str, parameters: int):
    dim, steps = 512, 12
    assert find(name).parameters + dim * dim * steps + dim == parameters


@cards
def test_presets_name_layers_that_exist(card: Card):
    assert list(card.presets) == ["speaker", "content", "emotion", "semantic"]
    for preset in card.presets.values():
        assert 1 <= preset.layer <= card.config.num_layers
        assert preset.pool in (None, "mean", "max", "mean+std")
        assert preset.why
    assert card.presets["speaker"].layer < card.presets["content"].layer <= card.presets["semantic"].layer


def test_presets_at_the_layers_their_sources_name():
    assert presets(HuBERTConfig())["content"].layer == 9
    assert presets(find("wavlm-large").config)["speaker"].layer == 6
    assert presets(WavLMConfig(num_layers=1))["speaker"].layer == 1
    learned = {family.title for family in FAMILIES.values() if family.is_learned}
    assert learned == {find(name).family for name in CATALOG}


def test_presets_differ_between_families():
    assert presets(Wav2Vec2Config())["content"].layer < presets(WavLMConfig())["content"].layer


@pytest.mark.parametrize("name", ["microsoft/wavlm-large", "wavlm-large", "WavLM-Large", "Microsoft/WavLM-large"])
def test_a_model_is_found_by_its_id_or_its_last_part(name: str):
    assert find(name) is CATALOG["microsoft/wavlm-large"]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("wavlm-lagre", "wavlm-large"),
        ("microsoft/wavlm-bas", "microsoft/wavlm-base"),
        ("hubert-base", "hubert-base-ls960"),
        ("xls-r-2b", "wav2vec2-xls-r-2b"),
    ],
)
def test_an_unknown_name_suggests_near_ones(name: str, suggestion: str):
    with pytest.raises(UnknownName) as caught:
        find(name)
    assert suggestion in str(caught.value)


@pytest.mark.parametrize(
    "table",
    """SUPERB LIBRISPEECH LIBRISPEECH_OF_CHECKPOINTS LIBRISPEECH_SOURCES WSJ TIMIT VOXCELEB1 LIBRICSS
    CALLHOME""".split(),
)
def test_the_tables_of_results_speak_of_models_in_the_catalog(table: str):
    names = set(getattr(published_results, table))
    assert names <= {card.short_name for card in CATALOG.values()}


@cards
def test_results_are_plausible_and_have_a_source(card: Card):
    for result in card.results:
        assert result.source
        assert result.scores
        assert all(0 < score < 100 for score in result.scores.values())


def test_every_benchmark_has_its_place_and_every_metric_a_direction():
    shown = {
        (result.benchmark, metric) for card in CATALOG.values() for result in card.results for metric in result.scores
    }
    assert {benchmark for benchmark, _ in shown} == set(published_results.BENCHMARKS)
    better = {metric for _, metric in shown if published_results.higher_is_better(metric)}
    assert better == {"KS acc", "IC acc", "SID acc", "ER acc", "QbE MTWV", "SF F1"}


def test_more_labels_and_better_language_models_never_hurt():
    """Published word error rates fall with more labeled speech: a slip of the pen would break the order."""
    for name, table in published_results.LIBRISPEECH.items():
        for model in ("none", "4-gram", "Transformer"):
            for subset in (0, 1):
                errors = [rates[subset] for (_, used), rates in table.items() if used == model]
                assert errors == sorted(errors, reverse=True), (name, model)


def test_the_shipped_model_has_the_shape_of_its_recipe():
    from sonant.recipes.wavlm_tiny import recipe  # here: the other tests need no recipe

    assert find("sonant/wavlm-tiny").config == recipe().model
