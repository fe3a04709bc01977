"""BiT against its paper: published counts and names, a forward pass in plain numpy, and BiT-HyperRule's table."""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from comp import hyperrule
from comp.backbones import bit
from comp.errors import BadInput
from comp.layers import GroupNormalization, StandardisedConv2D, standardised

HEAD_OF_1000 = 2048 * 1000 + 1000
PIXELS = 16


def published_shapes(units: tuple[int, ...], width: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a published file without its head, written from the authors' naming."""
    shapes: dict[str, tuple[int, ...]] = {"resnet/root_block/standardized_conv2d/kernel": (7, 7, 3, width)}
    channels = width
    for block, n_units in enumerate(units, start=1):
        narrow = width * 2 ** (block - 1)
        for unit in range(1, n_units + 1):
            at = f"resnet/block{block}/unit{unit:02d}"
            for part, side, taken, given in (
                ("a", 1, channels, narrow),
                ("b", 3, narrow, narrow),
                ("c", 1, narrow, 4 * narrow),
            ):
                shapes[f"{at}/{part}/standardized_conv2d/kernel"] = (side, side, taken, given)
                shapes[f"{at}/{part}/group_norm/gamma"] = shapes[f"{at}/{part}/group_norm/beta"] = (taken,)
            if unit == 1:
                shapes[f"{at}/a/proj/standardized_conv2d/kernel"] = (1, 1, channels, 4 * narrow)
            channels = 4 * narrow
    shapes["resnet/group_norm/gamma"] = shapes["resnet/group_norm/beta"] = (channels,)
    return shapes


@functools.cache
def published(variant: str) -> keras.Model:
    """Return a published size with random weights; tests only look at it."""
    return bit.build(32, variant)


def made_arrays(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {name: random.normal(0.3, 0.5, shape).astype("float32") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Return the arrays of a file for `tiny`, drawn at random."""
    return made_arrays(published_shapes((1, 1), 32))


def saved(folder: Path, arrays: dict[str, np.ndarray], **more: np.ndarray) -> Path:
    head = {"resnet/head/conv2d/kernel": np.zeros((1, 1, 256, 7)), "resnet/head/conv2d/bias": np.zeros(7)}
    np.savez(folder / "BiT.npz", **arrays, **head, **more)
    return folder / "BiT.npz"


# ---- truths


@pytest.mark.parametrize(
    ("variant", "with_head"), [("R50x1", 25_549_352), pytest.param("R101x1", 44_541_480, marks=pytest.mark.slow)]
)
def test_parameters_are_the_published_number(variant: str, with_head: int) -> None:
    model = published(variant)
    assert model.count_params() == with_head - HEAD_OF_1000 == bit.BACKBONE.parameters[variant]
    assert set(bit.BACKBONE.cuts[variant]) <= {layer.name for layer in model.layers}


def test_a_published_file_has_exactly_the_names_that_the_model_wants() -> None:
    from comp.npz import published_names

    wanted = published_names(published("R50x1"), {}, "resnet/")
    assert {name: tuple(variable.shape) for name, variable in wanted.items()} == published_shapes((3, 4, 6, 3), 64)


def test_kernels_are_standardised_as_numpy_does(random: np.random.Generator) -> None:
    kernel = random.normal(5, 2, (3, 3, 8, 4)).astype("float32")
    ours = np.asarray(standardised(kernel))
    flat = kernel.reshape(-1, 4)
    assert ours.reshape(-1, 4) == pytest.approx((flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-10), abs=1e-5)


def test_kernels_are_standardised_in_float32_under_a_16_bit_policy(random: np.random.Generator) -> None:
    layer = StandardisedConv2D(4, 1, dtype="mixed_bfloat16")
    layer.build((None, 1, 1, 64))
    kernel = (200 + random.normal(0, 0.1, (1, 1, 64, 4))).astype("float32")  # in bfloat16 all of it is 200
    layer.kernel.assign(kernel)
    photo = np.eye(64, dtype="float32").reshape(64, 1, 1, 64)
    out = np.asarray(keras.ops.cast(layer(photo), "float32")).reshape(64, 4)
    assert out == pytest.approx(
        (kernel - kernel.mean((0, 1, 2))).reshape(64, 4) / kernel.std((0, 1, 2)), rel=0.02, abs=0.02
    )


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_groups_are_normalised_as_numpy_and_keras_do(random: np.random.Generator, dtype: str) -> None:
    x = random.normal(3, 2, (2, 5, 4, 64)).astype("float32")
    gamma, beta = random.normal(size=(2, 64)).astype("float32")
    ours, theirs = (
        kind(32, epsilon=1e-5, dtype=dtype) for kind in (GroupNormalization, keras.layers.GroupNormalization)
    )
    for layer in (ours, theirs):
        layer.build(x.shape)
        layer.set_weights([gamma, beta])
    tolerance = 2e-5 if dtype == "float32" else 0.05
    assert in_numpy(ours(x)) == pytest.approx(group_norm(x, gamma, beta), abs=tolerance)
    assert in_numpy(ours(x)) == pytest.approx(in_numpy(theirs(x)), abs=tolerance)


def in_numpy(x: object) -> np.ndarray:
    return np.asarray(keras.ops.cast(x, "float32"))


def group_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> np.ndarray:
    grouped = x.reshape(*x.shape[:3], 32, -1)
    mean, var = grouped.mean((1, 2, 4), keepdims=True), grouped.var((1, 2, 4), keepdims=True)
    return ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(x.shape) * gamma + beta


def windows(x: np.ndarray, side: int, strides: int) -> Iterator[tuple[int, int, np.ndarray]]:
    x = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2), (0, 0)))
    for i in range(0, x.shape[1] - side + 1, strides):
        for j in range(0, x.shape[2] - side + 1, strides):
            yield i // strides, j // strides, x[:, i : i + side, j : j + side]


def convolved(x: np.ndarray, kernel: np.ndarray, strides: int = 1) -> np.ndarray:
    side = -(-x.shape[1] // strides)
    out = np.zeros((len(x), side, side, kernel.shape[3]))
    kernel = (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + 1e-10)
    for i, j, window in windows(x, kernel.shape[0], strides):
        out[:, i, j] = np.tensordot(window, kernel, 3)
    return out


def numpy_bit(photos: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the features of `tiny`, computed from the paper's figure with loops."""

    def active(x: np.ndarray, name: str) -> np.ndarray:
        return np.maximum(group_norm(x, arrays[f"{name}/gamma"], arrays[f"{name}/beta"]), 0)

    def kernel(name: str) -> np.ndarray:
        return arrays[f"resnet/{name}/standardized_conv2d/kernel"].astype("float64")

    root = convolved(photos / 127.5 - 1, kernel("root_block"), 2)
    x = np.zeros((len(root), root.shape[1] // 2, root.shape[2] // 2, root.shape[3]))
    for i, j, window in windows(root, 3, 2):
        x[:, i, j] = window.max((1, 2))
    for block, strides in ((1, 1), (2, 2)):
        unit = f"block{block}/unit01"
        y = active(x, f"resnet/{unit}/a/group_norm")
        x = convolved(y, kernel(f"{unit}/a/proj"), strides)
        y = convolved(y, kernel(f"{unit}/a"))
        y = convolved(active(y, f"resnet/{unit}/b/group_norm"), kernel(f"{unit}/b"), strides)
        x = x + convolved(active(y, f"resnet/{unit}/c/group_norm"), kernel(f"{unit}/c"))
    return active(x, "resnet/group_norm")


@pytest.mark.parametrize("pixels", [PIXELS, 20])
def test_a_made_file_gives_the_features_of_a_forward_pass_in_numpy(
    arrays: dict[str, np.ndarray], tmp_path: Path, random: np.random.Generator, pixels: int
) -> None:
    photos = random.integers(0, 256, (2, pixels, pixels, 3)).astype("float32")
    model = bit.build(pixels, "tiny", saved(tmp_path, arrays))
    assert np.asarray(model(photos)) == pytest.approx(numpy_bit(photos, arrays), abs=2e-3)


# ---- files


def test_a_made_file_of_r50_arrives_in_every_layer(tmp_path: Path) -> None:
    made = made_arrays(published_shapes((3, 4, 6, 3), 64))
    model = bit.build(32, "R50x1", saved(tmp_path, made))
    assert sum(array.size for array in made.values()) == model.count_params()
    for name, array in made.items():
        layer, _, variable = name.removeprefix("resnet/").rpartition("/")
        arrived = getattr(model.get_layer(layer.replace("/", ".")), variable)
        assert (np.asarray(arrived) == array).all(), name


def test_grey_is_repeated(arrays: dict[str, np.ndarray], tmp_path: Path, random: np.random.Generator) -> None:
    grey = random.integers(0, 256, (1, PIXELS, PIXELS, 1)).astype("float32")
    file = saved(tmp_path, arrays)
    one, three = (bit.build(PIXELS, "tiny", file, channels=channels) for channels in (1, 3))
    assert (np.asarray(one(grey)) == np.asarray(three(np.repeat(grey, 3, axis=3)))).all()


FIRST, LAST = "resnet/root_block/standardized_conv2d/kernel", "resnet/group_norm/beta"
NOT_FITTING = {
    "missing": ({FIRST: None, LAST: None}, f"expected an array {FIRST}"),
    "foreign": (
        {"resnet/block1/unit02/a/group_norm/gamma": np.ones(128)},
        "holds resnet/block1/unit02/a/group_norm/gamma",
    ),
    "optimizer": ({"momentum/" + FIRST: np.ones(3)}, "holds momentum/resnet/root_block"),
    "shape": ({LAST: np.ones(255)}, rf"{LAST} has shape \(255,\), expected \(256,\)"),
    "transposed": ({FIRST: np.ones((32, 3, 7, 7))}, rf"{FIRST} has shape \(32, 3, 7, 7\), expected \(7, 7, 3, 32\)"),
    "pickled": ({LAST: np.array([{"a": 1}])}, "cannot be read"),
}


@pytest.mark.parametrize("case", NOT_FITTING)
def test_a_file_that_does_not_fit_is_one_line_that_names_the_first_array(
    arrays: dict[str, np.ndarray], tmp_path: Path, case: str
) -> None:
    changed, expected = NOT_FITTING[case]
    file = saved(tmp_path, {name: array for name, array in {**arrays, **changed}.items() if array is not None})
    with pytest.raises(BadInput, match=expected) as refusal:
        bit.build(PIXELS, "tiny", file)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("spoil", ["cut short", "text", "no such file"])
def test_a_file_that_cannot_be_read_is_one_line(arrays: dict[str, np.ndarray], tmp_path: Path, spoil: str) -> None:
    file = saved(tmp_path, arrays)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if spoil == "cut short" else b"not an archive")
    path = tmp_path / "none.npz" if spoil == "no such file" else file
    with pytest.raises(BadInput, match="cannot be read") as refusal:
        bit.build(PIXELS, "tiny", path)
    assert "\n" not in str(refusal.value)


def test_a_flipped_byte_in_the_file_is_found(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = saved(tmp_path, arrays)
    with zipfile.ZipFile(file) as archive:
        middle = archive.getinfo("resnet/block2/unit01/b/standardized_conv2d/kernel.npy").header_offset + 5_000
    whole = bytearray(file.read_bytes())
    whole[middle] ^= 255
    file.write_bytes(whole)
    with pytest.raises(BadInput, match="cannot be read"):
        bit.build(PIXELS, "tiny", file)


def test_a_whole_saved_model_comes_back(tmp_path: Path, random: np.random.Generator) -> None:
    photos = random.integers(0, 256, (2, PIXELS, PIXELS, 3)).astype("float32")
    model = bit.build(PIXELS, "tiny")
    model.save(tmp_path / "whole.keras")
    again = keras.saving.load_model(tmp_path / "whole.keras", safe_mode=True)
    assert (np.asarray(again(photos)) == np.asarray(model(photos))).all()


def test_an_unknown_variant_is_one_line() -> None:
    with pytest.raises(BadInput, match="no variant 'R50x3', expected one of tiny, R50x1, R101x1"):
        bit.build(32, "R50x3")


# ---- BiT-HyperRule: examples -> (steps, falls of the rate, mixup), as the paper's section 3.3 and the authors' file say

TABLE = {
    "VTAB-1k": (1_000, 500, (200, 300, 400), 0.0),
    "Flowers": (1_020, 500, (200, 300, 400), 0.0),
    "just small": (19_999, 500, (200, 300, 400), 0.0),
    "just medium": (20_000, 10_000, (3_000, 6_000, 9_000), 0.1),
    "CIFAR-10": (50_000, 10_000, (3_000, 6_000, 9_000), 0.1),
    "just large": (500_000, 20_000, (6_000, 12_000, 18_000), 0.1),
    "ImageNet": (1_281_167, 20_000, (6_000, 12_000, 18_000), 0.1),
}


@pytest.mark.parametrize("name", TABLE)
def test_schedule_and_mixup_follow_the_table(name: str) -> None:
    n_examples, steps, falls, alpha = TABLE[name]
    assert hyperrule.schedule(n_examples)[1:] == (*falls, steps)
    assert hyperrule.mixup(n_examples) == alpha


@pytest.mark.parametrize(
    ("size", "expected"),
    [((32, 32), (160, 128)), ((95, 96), (160, 128)), ((96, 96), (512, 480)), ((40, 300), (512, 480))],
)
def test_resolution_follows_the_area(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert hyperrule.resolution(*size) == expected


def test_rate_warms_up_and_falls_by_tens() -> None:
    rates = {
        step: hyperrule.learning_rate(step, 50_000) for step in (0, 250, 500, 3_000, 3_001, 6_001, 9_001, 9_999, 10_000)
    }
    assert list(rates.values()) == pytest.approx([0, 0.0015, 0.003, 0.003, 3e-4, 3e-5, 3e-6, 3e-6, 0])
    assert hyperrule.learning_rate(100, 1_000, peak=0.1) == 0.1
    assert (hyperrule.LEARNING_RATE, hyperrule.BATCH_SIZE) == (0.003, 512)
