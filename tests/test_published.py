"""Published models: their parameters, their scaling, their files; and the real MobileNetV2 weights where they are."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from comp.decode import bring_to_size, decode
from comp.errors import BadInput
from comp.registry import load_backbone, names
from comp.spec import Weights

PIXELS = 32
LARGE = 30_000_000
PARAMETERS = [
    pytest.param(name, variant, n, marks=[pytest.mark.slow] if n > LARGE else [], id=f"{name}-{variant}")
    for name in names("comp.backbones")
    for variant, n in load_backbone(name).parameters.items()
]
# made of what keras.applications has
APPLICATIONS = {
    "convnext": {size: f"ConvNeXt{word}" for size, word in zip("TSB", ["Tiny", "Small", "Base"], strict=True)}
    | {"L": "ConvNeXtLarge", "XL": "ConvNeXtXLarge"},
    "efficientnet_v2": {size: f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    "mobilenet": {"V2": "MobileNetV2", "V3-small": "MobileNetV3Small", "V3-large": "MobileNetV3Large"},
    "resnet": {size: f"ResNet{size}V2" for size in ("50", "101", "152")},
    "vgg16": {"16": "VGG16"},
}


def build(name: str, variant: str, weights: Path | None = None, pixels: int = PIXELS) -> keras.Model:
    model: keras.Model = load_backbone(name).build(pixels, variant, weights)
    return model


def randomised(model: keras.Model) -> keras.Model:
    """Give every weight another value, so that two that are swapped are told apart."""
    random = np.random.default_rng(3)
    model.set_weights([random.random(weight.shape, dtype=np.float32) for weight in model.weights])
    return model


def write_published_layout(model: keras.Model, path: Path) -> Path:
    """Write weights as Keras 2 did and the published files are: by layer, with the names in attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            group.attrs["weight_names"] = [f"{layer.name}/{i}:0".encode() for i in range(len(weights))]
            for i, weight in enumerate(weights):
                group.create_dataset(f"{layer.name}/{i}:0", data=np.asarray(weight))
    return path


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all((a == b).all() for a, b in pairs)


@pytest.mark.parametrize(("name", "variant", "n"), PARAMETERS)
def test_parameters_are_the_published_number(name: str, variant: str, n: int) -> None:
    with keras.StatelessScope():  # shapes only: nothing is allocated
        model = build(name, variant, pixels=224)
    assert model.count_params() == n


IMAGENET_RED = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
RED_IS = {
    ("vgg16", "tiny"): [-103.939, -116.779, 255 - 123.68],  # blue, green, red
    ("squeezenet", "tiny"): [-103.939, -116.779, 255 - 123.68],
    ("resnet", "tiny"): [1, -1, -1],
    ("mobilenet", "tiny"): [1, -1, -1],
    ("mobilenet", "V3-small"): [1, -1, -1],
    ("efficientnet_v2", "tiny"): [255 / 128 - 1, -1, -1],
    ("efficientnet_v2", "B0"): IMAGENET_RED,
    ("convnext", "tiny"): IMAGENET_RED,
}


@pytest.mark.parametrize(("name", "variant"), RED_IS)
def test_the_scaling_is_inside(name: str, variant: str) -> None:
    model = build(name, variant)
    kinds = (keras.layers.Conv2D, keras.layers.ZeroPadding2D, keras.Sequential)
    first = next(layer for layer in model.layers if isinstance(layer, kinds))
    arrives = first._inbound_nodes[0].input_tensors[0]
    red = np.zeros((1, PIXELS, PIXELS, 3), np.uint8)
    red[..., 0] = 255
    scaled = np.asarray(keras.Model(model.input, arrives)(red))[0]
    assert scaled.reshape(-1, 3) == pytest.approx(np.tile(RED_IS[name, variant], (PIXELS**2, 1)), abs=1e-4)


@pytest.mark.parametrize("name", [*APPLICATIONS, "squeezenet"])
def test_a_file_arrives_whole(name: str, tmp_path: Path) -> None:
    model = randomised(build(name, "tiny"))
    model.save_weights(tmp_path / "new.weights.h5")
    old = write_published_layout(model, tmp_path / "old.h5")
    assert same_weights(build(name, "tiny", tmp_path / "new.weights.h5"), model)
    assert same_weights(build(name, "tiny", old), model)


@pytest.mark.parametrize(("name", "variant"), [("vgg16", "16"), ("resnet", "50")])
def test_a_file_of_the_published_layout_arrives_whole(name: str, variant: str, tmp_path: Path) -> None:
    file = load_backbone(name).weights[variant].file
    published = getattr(keras.applications, APPLICATIONS[name][variant])
    model = randomised(published(include_top=False, weights=None, input_shape=(PIXELS, PIXELS, 3)))
    write_published_layout(model, tmp_path / file)
    assert same_weights(build(name, variant, tmp_path / file), model)


def _text(folder: Path) -> Path:
    (folder / "text.h5").write_text("no weights")
    return folder / "text.h5"


def _with_head(folder: Path) -> Path:
    model = build("vgg16", "tiny")
    keras.Model(model.input, keras.layers.Dense(3)(model.output)).save_weights(folder / "head.weights.h5")
    return folder / "head.weights.h5"


def _another_variant(folder: Path) -> Path:
    build("resnet", "tiny").save_weights(folder / "resnet.weights.h5")
    return folder / "resnet.weights.h5"


def _another_variant_of_old(folder: Path) -> Path:
    return write_published_layout(build("resnet", "tiny"), folder / "resnet.h5")


def _old_with_head(folder: Path) -> Path:
    model = build("vgg16", "tiny")
    whole = keras.Model(model.input, keras.layers.Dense(3)(model.output))
    return write_published_layout(whole, folder / "head.h5")


def _turned_kernel(folder: Path) -> Path:
    path = write_published_layout(build("vgg16", "tiny"), folder / "turned.h5")
    with h5py.File(path, "a") as file:
        kernel = file["block2_conv1/block2_conv1/0:0"]
        turned = np.transpose(kernel[()])
        del file["block2_conv1/block2_conv1/0:0"]
        file["block2_conv1/block2_conv1/0:0"] = turned
    return path


def _cut_short(folder: Path) -> Path:
    path = write_published_layout(build("vgg16", "tiny"), folder / "short.h5")
    path.write_bytes(path.read_bytes()[:100_000])
    return path


def _missing(folder: Path) -> Path:
    return folder / "missing.h5"


def _other_ending(folder: Path) -> Path:
    (folder / "weights.npz").write_bytes(b"")
    return folder / "weights.npz"


WRONG = {
    _text: "no HDF5 file",
    _cut_short: "cut short",
    _missing: "no such file",
    _other_ending: r"ends with \.h5",
    _with_head: "with a head",
    _another_variant: "another variant",
    _another_variant_of_old: "another layout",
    _old_with_head: "another layout",
    _turned_kernel: "another layout",
}


@pytest.mark.parametrize("make", WRONG)
def test_a_wrong_file_is_one_line_that_names_it(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(BadInput, match=WRONG[make]) as caught:
        build("vgg16", "tiny", path)
    line = str(caught.value)
    assert str(path) in line and "\n" not in line and "281,952 numbers" in line and line.endswith("WEIGHTS=none")


def test_averages_settle_fast_from_scratch_and_stay_as_published_with_weights(tmp_path: Path) -> None:
    scratch = build("mobilenet", "tiny")
    scratch.save_weights(tmp_path / "a.weights.h5")
    loaded = build("mobilenet", "tiny", tmp_path / "a.weights.h5")
    momenta = [
        {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
        for model in (scratch, loaded)
    ]
    assert momenta == [{0.9}, {0.999}]


class Asked(Exception):
    """What keras.applications wanted to download."""


WEIGHTS = [
    pytest.param(
        name,
        variant,
        marks=[] if variant == load_backbone(name).default_variant else [pytest.mark.slow],
        id=f"{name}-{variant}",
    )
    for name, variants in APPLICATIONS.items()
    for variant in variants
]


@pytest.mark.parametrize(("name", "variant"), WEIGHTS)
def test_file_address_and_hash_are_those_of_keras(name: str, variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_file(file: str, url: str, file_hash: str | None = None, **rest: Any) -> None:
        raise Asked(file, url, file_hash or "")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(Asked) as asked, keras.StatelessScope():
        make = getattr(keras.applications, APPLICATIONS[name][variant])
        make(include_top=False, weights="imagenet", input_shape=(224, 224, 3))
    weights = load_backbone(name).weights[variant]
    assert asked.value.args == (weights.file, weights.url, weights.md5 or weights.sha256)
    assert weights.megabytes == pytest.approx(load_backbone(name).parameters[variant] * 4e-6, rel=0.16)


def five_families(folder: Path, each: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return photos (N, 96, 96, 3) of the five families that have most, and their labels."""
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    most = [family for family, _ in Counter(row["family"] for row in rows).most_common(5)]
    chosen = [row for family in most for row in [row for row in rows if row["family"] == family][:each]]
    photos = [bring_to_size(decode((folder / row["file_path"]).read_bytes()).pixels, 96, 3, "squash") for row in chosen]
    return np.stack(photos), np.array([most.index(row["family"]) for row in chosen])


def agreement_of_neighbours(features: np.ndarray, labels: Sequence[int] | np.ndarray) -> float:
    """Return the share of rows whose five nearest others vote for their label."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = np.asarray(labels)[np.argsort(-likeness, axis=1)[:, :5]]
    votes = np.array([np.bincount(row).argmax() for row in nearest])
    return float((votes == labels).mean())


@pytest.fixture
def real_weights(real_data: Path) -> Path:
    published: Weights = load_backbone("mobilenet").weights["V2"]
    found = [real_data.parent / "weights" / name for name in (published.file, *published.aliases)]
    return next((path for path in found if path.is_file()), None) or pytest.skip("no weights of MobileNetV2 here")


def test_real_weights_know_animals(real_weights: Path, real_data: Path) -> None:
    photos, labels = five_families(real_data / "animal-families")
    scores = []
    for weights in (real_weights, None):
        keras.utils.set_random_seed(1)
        model = build("mobilenet", "V2", weights, pixels=96)
        features = model.predict(photos, verbose=0).mean(axis=(1, 2))
        assert features.shape == (len(photos), 1280) and np.isfinite(features).all()
        scores.append(agreement_of_neighbours(features, labels))
    assert scores[0] > 0.7 and scores[0] > scores[1] + 0.3
