"""Presets of keras-hub: the candidate that names one, a local folder made here, and one line where something is amiss."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from comp.backbones import hub
from comp.backend import OFFLINE
from comp.candidates import parse_candidate
from comp.errors import BadInput
from comp.spec import Candidate
from comp.ways import Ways
from submissions.choose import choose
from tests.made import SQUARES

PIXELS = 32
SCALE, OFFSET = [1 / 58.0, 1 / 57.0, 1 / 57.5], [-2.1, -2.0, -1.8]


# ---- the candidate

GOOD = {
    "hub:./my_preset": Candidate("hub", "./my_preset"),
    "hub:resnet_50_imagenet:probe": Candidate("hub", "resnet_50_imagenet", "probe"),
    "hub:hf://owner/model": Candidate("hub", "hf://owner/model"),
    "hub:hf://owner/model:probe:224px": Candidate("hub", "hf://owner/model", "probe", 224),
    "hub:kaggle://keras/resnetv2/keras/resnet50_v2/2:64px": Candidate(
        "hub", "kaggle://keras/resnetv2/keras/resnet50_v2/2", pixels=64
    ),
    "hub:C:/presets/mine:full": Candidate("hub", "C:/presets/mine", "full"),
    "hub:tiny:scratch:32px": Candidate("hub", "tiny", "scratch", 32),
}
BAD = {
    "hub": "names no preset",
    "hub:": "'' is no variant",
    "hub:probe": "names no preset",
    "hub:32px": "names no preset",
    "hub:one:probe:two": "'two' is a second variant",
    "hub:one:probe:full": "'full' is a second fit",
    "hub:one:32px:64px": "'64px' is a second pixels",
    "hub:one:9999px": "'9999px' is out of range",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_preset_is_the_variant_whatever_it_holds(text: str) -> None:
    assert parse_candidate(text) == GOOD[text]
    assert str(GOOD[text]) == text


@pytest.mark.parametrize("text", BAD)
def test_bad_candidates_are_one_line_that_names_the_part(text: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_candidate(text)
    assert BAD[text] in str(refusal.value) and "\n" not in str(refusal.value)


def test_other_backbones_take_their_own_variants_only() -> None:
    with pytest.raises(BadInput, match="is no variant"):
        parse_candidate("scratch_cnn:hf://owner/model")


# ---- without keras-hub


@pytest.mark.parametrize("preset", ["tiny", ".", "hf://owner/model", "resnet_50_imagenet"])
def test_without_keras_hub_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    hub.preset_folder.cache_clear()
    with pytest.raises(BadInput, match="pip install keras-hub") as refusal:
        hub.build(PIXELS, preset)
    assert "\n" not in str(refusal.value)


# ---- what is known without it


@pytest.mark.parametrize(("kind", "pixels"), [("ViTBackbone", 224), ("ResNetBackbone", 0)])
def test_weights_that_know_places_fit_one_size(tmp_path: Path, kind: str, pixels: int) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"class_name": kind, "config": {"image_shape": [224, 224, 3]}}))
    (tmp_path / "model.weights.h5").touch()
    assert hub.BACKBONE.weights[str(tmp_path)].pixels == pixels


def test_offline_asked_for_in_a_plan_reaches_the_preset(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def give(name: str) -> str:
        asked.append(name)
        return str(in_folder)

    models = SimpleNamespace(Backbone=SimpleNamespace(presets={}))
    monkeypatch.setitem(sys.modules, "keras_hub", SimpleNamespace(models=models))  # type: ignore[arg-type]
    monkeypatch.setattr("comp.fetch.kaggle_model", give)
    monkeypatch.setenv(OFFLINE, "")  # as it was, after the test
    hub.preset_folder.cache_clear()
    for is_offline, expected in ((True, "OFFLINE=1 forbids to ask Kaggle"), (False, "no published weights")):
        with pytest.raises(BadInput, match=expected):
            choose("hub:kaggle://keras/resnetv2/keras/one:probe", SQUARES, "quick", Ways(is_offline=is_offline))
        assert asked == ([] if is_offline else ["keras/resnetv2/keras/one"])
    hub.preset_folder.cache_clear()


# ---- with it


@pytest.fixture(scope="module")
def keras_hub() -> Any:
    """Return the library, or skip."""
    return pytest.importorskip("keras_hub", reason="keras-hub is an optional extra and not installed")


@pytest.fixture(scope="module")
def preset(keras_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a preset folder of a small ResNet with random weights and a scaling of its own for each channel."""
    folder = tmp_path_factory.mktemp("presets") / "mine"
    keras.utils.set_random_seed(2)
    small(keras_hub).save_to_preset(str(folder))
    keras_hub.layers.ImageConverter(image_size=(64, 64), scale=SCALE, offset=OFFSET).save_to_preset(str(folder))
    return folder


def small(keras_hub: Any) -> Any:
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(64, 64, 3),
    )


def photos(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (2, PIXELS, PIXELS, channels)).astype("float32")


def test_a_preset_gives_the_features_of_keras_hub_on_pixels_scaled_as_it_says(keras_hub: Any, preset: Path) -> None:
    model = hub.build(PIXELS, str(preset), str(preset))
    theirs = keras_hub.models.Backbone.from_preset(str(preset), image_shape=(PIXELS, PIXELS, 3))
    expected = np.asarray(theirs((photos() * SCALE + OFFSET).astype("float32")))
    assert np.asarray(model(photos())) == pytest.approx(expected, abs=1e-4)
    assert expected.std() > 0


def test_from_scratch_it_has_the_architecture_and_not_the_weights(preset: Path) -> None:
    loaded, fresh = hub.build(PIXELS, str(preset), str(preset)), hub.build(PIXELS, str(preset))
    assert [w.shape for w in loaded.weights] == [w.shape for w in fresh.weights]
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(loaded.weights, fresh.weights, strict=True))


def test_grey_is_repeated(preset: Path) -> None:
    one, three = (hub.build(PIXELS, str(preset), str(preset), channels=channels) for channels in (1, 3))
    assert (np.asarray(one(photos(1))) == np.asarray(three(np.repeat(photos(1), 3, axis=3)))).all()


def test_the_weights_of_a_preset_are_the_file_in_its_folder(preset: Path, tmp_path: Path) -> None:
    facts = hub.BACKBONE.weights[str(preset)]
    assert Path(facts.file) == preset / "model.weights.h5" and facts.megabytes > 0.1
    assert hub.BACKBONE.weights.get("tiny") is None and hub.BACKBONE.weights.get(str(tmp_path)) is None


def test_weights_whose_scaling_is_unknown_are_refused(keras_hub: Any, tmp_path: Path) -> None:
    small(keras_hub).save_to_preset(str(tmp_path / "bare"))
    with pytest.raises(BadInput, match=r"image_converter\.json") as refusal:
        hub.build(PIXELS, str(tmp_path / "bare"), str(tmp_path / "bare"))
    assert "\n" not in str(refusal.value)
    assert hub.build(PIXELS, str(tmp_path / "bare")).output.shape[-1] == 64


def test_a_preset_for_texts_or_a_broken_one_is_one_line(keras_hub: Any, preset: Path, tmp_path: Path) -> None:
    text = keras_hub.models.BertBackbone(
        vocabulary_size=10, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=8
    )
    text.save_to_preset(str(tmp_path / "text"))
    (tmp_path / "broken").mkdir()
    config = json.loads((preset / "config.json").read_text())
    (tmp_path / "broken" / "config.json").write_text(json.dumps({**config, "registered_name": "Nothing>AtAll"}))
    (tmp_path / "empty").mkdir()
    for name in ("text", "broken", "empty"):
        with pytest.raises(BadInput, match=r"expected a preset of keras-hub for photos") as refusal:
            hub.build(PIXELS, str(tmp_path / name))
        assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("keras_hub")
@pytest.mark.parametrize("name", ["./no_such_folder", "no_such_name", "gs://bucket/preset"])
def test_what_is_no_folder_and_no_handle_is_one_line(name: str) -> None:
    with pytest.raises(BadInput, match="no such folder, and no handle") as refusal:
        hub.preset_folder(name)
    assert "\n" not in str(refusal.value)


@pytest.mark.usefixtures("keras_hub")
@pytest.mark.parametrize(
    "name", ["hf://owner/never-fetched", "kaggle://keras/resnetv2/keras/never_fetched", "resnet_50_imagenet"]
)
def test_offline_asks_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OFFLINE, "1")
    with pytest.raises(BadInput, match="name a local preset folder") as refusal:
        hub.preset_folder(name)
    assert "\n" not in str(refusal.value)
