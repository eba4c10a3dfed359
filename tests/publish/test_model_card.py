"""A card wants a licence that means something, and becomes a README whose front matter the Hub can read."""

import pytest
from huggingface_hub import ModelCard as HubCard
from hypothesis import given
from hypothesis import strategies as st

from nlreid.errors import InputError, UnknownNameError
from nlreid.hub.table.config import ACTIONS, PERSONS, Config
from nlreid.hub.table.licences import HUB_LICENCES, spdx_licence
from nlreid.hub.table.manifest import Score
from nlreid.publish.card import LIMITS, ModelCard, as_card
from nlreid.publish.readme import readme

CLIP = {"frames": 8, "stride": 4, "size": [256, 128], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
SCORE = {"dataset": "MARS", "metric": "rank-1", "value": 0.843, "by": "reported by Liao et al."}
DEEP = {}
for _ in range(5000):
    DEEP = {"a": DEEP}


def config(**changes):
    known = {
        "architecture": "r3d50_nl",
        "overrides": {},
        "clip": CLIP,
        "head": "bottleneck",
        "num_classes": 625,
        "licence": "MIT",
    }
    return Config(**(known | changes))


def text_of(card, **changes):
    card = as_card(card)
    return readme(config(licence=card.licence, **changes), card, "hf-hub:org/name")


# --- licences


@pytest.mark.parametrize("card", [{}, {"licence": ""}, {"licence": "  "}, {"licence": None}, {"licence": 3}, {"summary": "x"}])
def test_there_is_no_default_licence(card):
    with pytest.raises(InputError, match=r"SPDX identifier .* there is no default"):
        as_card(card)


def test_a_card_cannot_be_made_without_one_either():
    with pytest.raises(TypeError, match="licence"):
        ModelCard()
    with pytest.raises(InputError, match="there is no default"):
        ModelCard("")


@pytest.mark.parametrize(
    ("given", "spdx", "hub"),
    [
        ("Apache-2.0", "Apache-2.0", "apache-2.0"),
        ("mit", "MIT", "mit"),
        (" BSD-3-Clause ", "BSD-3-Clause", "bsd-3-clause"),
        ("CC-BY-NC-4.0", "CC-BY-NC-4.0", "cc-by-nc-4.0"),
        ("GPL-3.0-only", "GPL-3.0-only", "gpl-3.0"),
        ("agpl-3.0-or-later", "AGPL-3.0-or-later", "agpl-3.0"),
        ("ODbL-1.0", "ODbL-1.0", "odbl"),
    ],
)
def test_licences_have_a_name_in_spdx_and_one_on_the_hub(given, spdx, hub):
    assert spdx_licence(given) == spdx
    assert HUB_LICENCES[spdx] == hub
    assert HubCard(text_of({"licence": given})).data.license == hub


def test_every_licence_of_the_hub_is_spelt_as_there():
    assert len(set(HUB_LICENCES.values())) > 45
    assert all(name == name.lower() and " " not in name for name in HUB_LICENCES.values())
    assert all(spdx_licence(spdx.upper()) == spdx for spdx in HUB_LICENCES)


@pytest.mark.parametrize("licence", ["Apache 2.0", "apache2.0", "MIT License"])
def test_other_spellings_are_told_the_right_one(licence):
    with pytest.raises(UnknownNameError, match=r"did you mean '(Apache-2\.0|MIT)'\?|licence_name and licence_link"):
        as_card({"licence": licence})


def test_a_licence_of_ones_own_has_a_name_and_an_address():
    own = {"licence": "LicenseRef-ours", "licence_name": "ours", "licence_link": "https://example.org/licence"}
    data = HubCard(text_of(own)).data
    assert (data.license, data.license_name, data.license_link) == ("other", "ours", "https://example.org/licence")
    for missing in ("licence_name", "licence_link"):
        with pytest.raises(InputError, match="licence_name, in one line, and a licence_link"):
            as_card({**own, missing: ""})
    with pytest.raises(InputError, match="licence_name, in one line"):
        as_card({**own, "licence_name": "o\x85urs"})
    with pytest.raises(InputError, match="SPDX identifier"):
        as_card({**own, "licence": ""})
    with pytest.raises(InputError, match="begins with https"):
        as_card({**own, "licence_link": "LICENSE"})


# --- what else a card says


@pytest.mark.parametrize(
    ("card", "answer"),
    [
        ({"licence": "MIT", "license": "MIT"}, "unknown field of a card 'license'; did you mean 'licence'"),
        ({"licence": "MIT", "summary": 3}, "summary of a card is a text; got 3"),
        ({"licence": "MIT", "task": "detection"}, "unknown task of a card 'detection'"),
        ({"licence": "MIT", "scores": "high"}, "scores of a card are a list; got 'high'"),
        ({"licence": "MIT", "scores": ["high"]}, "scores of a card are"),
        ({"licence": "MIT", "scores": [{"dataset": "MARS"}]}, "a score has dataset, metric, value, by; got dataset"),
        (
            {"licence": "MIT", "origin": {"a": 10**5000}},
            "origin of a card is .* got something of type dict that cannot be written",
        ),
        ({"licence": "MIT", "origin": DEEP}, "origin of a card is .* got something of type dict that cannot be written"),
        (
            {"licence": "MIT", "scores": [SCORE | {"value": 10**5000}]},
            "value of a score .* type int that cannot be written",
        ),
        ({"licence": "MIT", "scores": [SCORE | {"value": 84.3}]}, "value of a score is a fraction of 1; got 84.3"),
        ({"licence": "MIT", "scores": [SCORE | {"by": "us"}]}, "by of a score is 'reported by"),
        ({"licence": "MIT", "origin": {"file": object()}}, "origin of a card is a mapping of texts"),
        ({"licence": "MIT", "origin": {"value": float("nan")}}, "origin of a card is a mapping of texts"),
        ({"licence": "MIT", "origin": []}, "origin of a card is a mapping of texts"),
        ("MIT", "card is a ModelCard, or a mapping"),
        (None, "card is a ModelCard, or a mapping"),
    ],
)
def test_what_does_not_fit_is_named(card, answer):
    with pytest.raises(InputError if "unknown" not in answer else UnknownNameError, match=answer) as caught:
        as_card(card)
    assert "\n" not in str(caught.value)


def test_a_card_stays_what_it_is():
    card = ModelCard("MIT", scores=(Score(**SCORE),))
    assert as_card(card) is card
    assert as_card({"licence": "MIT", "scores": [SCORE]}) == card


# --- the README


def test_the_readme_says_it_all():
    text = text_of(
        {
            "licence": "MIT",
            "summary": "A summary.",
            "training_data": "MARS.",
            "scores": [SCORE],
        },
        origin={"note": "initialised from there", "sha256": "0" * 64},
    )
    card = HubCard(text)
    assert card.data.library_name == "nlreid"
    assert card.data.tags == ["video", "3d-convolution", "person-re-identification"]
    assert card.data.pipeline_tag is None
    for part in (
        "# r3d50_nl\n\nA summary.",
        "| MARS | rank-1 | 0.843 | reported by Liao et al. |",
        "| clips | 8 frames, 4 apart in the video, 256x128 (height x width), RGB |",
        "nlreid.create_model('r3d50_nl', pretrained='hf-hub:org/name')",
        "head='bottleneck', num_classes=625",
        "## Training data\n\nMARS.",
        f"| sha256 | {'0' * 64} |",
        LIMITS,
    ):
        assert part in text
    assert "people who know and agree" in LIMITS


def test_what_nothing_is_said_about_has_no_section():
    text = text_of({"licence": "MIT"}, num_classes=0, head="none")
    assert "Training data" not in text
    assert "Scores" not in text
    assert "no classifier" in text


def test_the_hub_has_a_task_for_actions_only():
    assert HubCard(text_of({"licence": "MIT"}, task=ACTIONS)).data.pipeline_tag == "video-classification"
    assert HubCard(text_of({"licence": "MIT"}, task=PERSONS)).data.pipeline_tag is None


printable = st.text(min_size=1, max_size=20).filter(str.isprintable)


@given(texts=st.lists(st.text(max_size=30), min_size=4, max_size=4), name=printable)
def test_no_text_breaks_the_front_matter_or_a_table(texts, name):
    own = {"licence": "LicenseRef-ours", "licence_name": f"x{name}", "licence_link": "https://example.org/licence"}
    summary, data, by, key = texts
    score = SCORE | {"by": f"reported by x{' '.join(by.split())}"}
    card = {**own, "summary": summary, "training_data": data, "scores": [score], "origin": {"note": by, key: by}}
    text = text_of(card, origin=card["origin"])
    read = HubCard(text).data
    assert (read.license, read.license_name) == ("other", f"x{name}")
    row = next(line for line in text.split("\n") if "| MARS |" in line)
    assert row.replace("\\|", "").count("|") == 5
