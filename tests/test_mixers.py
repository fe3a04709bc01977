"""MLP-Mixer, gMLP and FNet against their papers: published counts and names, what mixes tokens and what does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np
import pytest

from comp.backbones import fnet, gmlp, mlp_mixer
from comp.errors import BadInput
from comp.layers import FourierMixing

MIXERS = [mlp_mixer, gmlp, fnet]
NAMES = ["mlp_mixer", "gmlp", "fnet"]
PROJECT = Path(__file__).resolve().parents[1]


def photos(pixels: int, channels: int = 3, n: int = 2) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, pixels, pixels, channels)).astype("float32")


def pooled(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.asarray(model(x)).mean(axis=1)


# ---- parameters


@pytest.mark.parametrize(("variant", "width", "with_head"), [("S/16", 512, 18_528_264), ("B/16", 768, 59_880_472)])
def test_mixer_has_the_published_parameters(variant: str, width: int, with_head: int) -> None:
    n_parameters = mlp_mixer.build(224, variant).count_params()
    assert n_parameters == with_head - (width + 1) * 1000 == mlp_mixer.BACKBONE.parameters[variant]


@pytest.mark.parametrize(
    ("variant", "width", "millions", "timm"),
    [("Ti/16", 128, 6, 5.87), ("S/16", 256, 20, 19.42), pytest.param("B/16", 512, 73, 73.08, marks=pytest.mark.slow)],
)
def test_gmlp_has_the_published_parameters(variant: str, width: int, millions: int, timm: float) -> None:
    """The paper rounds to millions; the second number is that of the implementation in timm."""
    n_parameters = gmlp.build(224, variant).count_params()
    assert n_parameters == gmlp.BACKBONE.parameters[variant]
    in_millions = (n_parameters + (width + 1) * 1000) / 1e6
    assert in_millions == pytest.approx(millions, rel=0.03) and in_millions == pytest.approx(timm, abs=0.005)


def test_fnet_has_the_parameters_of_the_keras_example() -> None:
    patches, positions = 8 * 8 * 3 * 256 + 256, 64 * 256
    block = 2 * (256 * 256 + 256) + 2 * (256 + 256)
    assert fnet.build(64, "S/8").count_params() == patches + positions + 4 * block


# ---- every mixer


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
@pytest.mark.parametrize("pixels", [32, 64])
def test_tiny_is_small_and_takes_32_and_64_px(module: ModuleType, pixels: int) -> None:
    model = module.build(pixels, "tiny")
    assert model.count_params() < 300_000
    assert model(photos(pixels)).shape == (2, (pixels // 8) ** 2, 64)


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
@pytest.mark.parametrize("pixels", [28, 32])
def test_there_is_a_variant_for_digits_and_for_cifar(module: ModuleType, pixels: int) -> None:
    variant = next(name for name in module.BACKBONE.variants if name.endswith("/4"))
    assert module.build(pixels, variant, channels=1).output.shape[1] == (pixels // 4) ** 2


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
@pytest.mark.parametrize(("pixels", "fits"), [(30, "use 24px or 32px"), (100, "use 96px or 104px"), (5, "use 8px")])
def test_a_side_that_the_patches_do_not_fit_names_the_sizes_that_do(module: ModuleType, pixels: int, fits: str) -> None:
    with pytest.raises(BadInput, match=fits) as refusal:
        module.build(pixels, "tiny")
    assert "\n" not in str(refusal.value) and f"got {pixels} px" in str(refusal.value)


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
def test_a_whole_saved_model_comes_back(module: ModuleType, tmp_path: Path) -> None:
    model = module.build(32, "tiny")
    model.save(tmp_path / "whole.keras")
    again = keras.saving.load_model(tmp_path / "whole.keras", safe_mode=True)
    assert (np.asarray(again(photos(32))) == np.asarray(model(photos(32)))).all()


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
def test_facts_name_layers_and_variants_that_exist(module: ModuleType) -> None:
    facts = module.BACKBONE
    assert set(facts.cuts) == set(facts.variants)
    for variant in facts.variants[:3]:
        layers = {layer.name for layer in module.build(32, variant).layers}
        assert set(facts.cuts[variant]) <= layers
    with pytest.raises(BadInput, match=f"no variant 'XL/16', expected one of {', '.join(facts.variants)}"):
        module.build(32, "XL/16")


def swapped(x: np.ndarray) -> np.ndarray:
    """Return the photos with their first and last patch of 8 px exchanged."""
    moved = x.copy()
    moved[:, :8, :8], moved[:, -8:, -8:] = x[:, -8:, -8:], x[:, :8, :8]
    return moved


@pytest.mark.parametrize("module", MIXERS, ids=NAMES)
def test_where_a_patch_lies_matters(module: ModuleType) -> None:
    keras.utils.set_random_seed(4)
    model, x = module.build(32, "tiny"), photos(32)
    for layer in model.layers:  # a gate starts blind to places: give it something to see with
        if "across_tokens" in layer.name:
            layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    assert np.abs(pooled(model, x) - pooled(model, swapped(x))).max() > 1e-2


def test_modules_are_imported_without_keras() -> None:
    modules = "bit, mlp_mixer, gmlp, fnet, hub"
    code = f"import sys; from comp.backbones import {modules}; import comp.hyperrule, comp.npz; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# ---- MLP-Mixer


def mixer_shapes(pixels: int) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a file for `tiny` without its head, written from the authors' naming."""
    tokens, width = (pixels // 8) ** 2, 64
    shapes: dict[str, tuple[int, ...]] = {"stem/kernel": (8, 8, 3, width), "stem/bias": (width,)}
    for block in range(2):
        at = f"MixerBlock_{block}"
        for norm in ("LayerNorm_0", "LayerNorm_1"):
            shapes[f"{at}/{norm}/scale"] = shapes[f"{at}/{norm}/bias"] = (width,)
        for mlp, size, hidden in (("token_mixing", tokens, 32), ("channel_mixing", width, 256)):
            shapes[f"{at}/{mlp}/Dense_0/kernel"], shapes[f"{at}/{mlp}/Dense_0/bias"] = (size, hidden), (hidden,)
            shapes[f"{at}/{mlp}/Dense_1/kernel"], shapes[f"{at}/{mlp}/Dense_1/bias"] = (hidden, size), (size,)
    shapes["pre_head_layer_norm/scale"] = shapes["pre_head_layer_norm/bias"] = (width,)
    return shapes


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Return the arrays of a file for `tiny` at 32 px, drawn at random."""
    random = np.random.default_rng(6)
    return {name: random.normal(0.1, 0.3, shape).astype("float32") for name, shape in mixer_shapes(32).items()}


def saved(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    head = {"head/kernel": np.zeros((64, 9)), "head/bias": np.zeros(9)}
    np.savez(folder / "Mixer.npz", **arrays, **head)
    return folder / "Mixer.npz"


def numpy_mixer(x: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return the tokens of `tiny`, computed from the paper's figure."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return centred * arrays[f"{name}/scale"] + arrays[f"{name}/bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ arrays[f"{name}/kernel"] + arrays[f"{name}/bias"]

    def mlp(x: np.ndarray, name: str) -> np.ndarray:
        hidden = dense(x, f"{name}/Dense_0")
        hidden = hidden / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)))
        return dense(hidden, f"{name}/Dense_1")

    n, side = len(x), x.shape[1] // 8
    patches = (x / 127.5 - 1).reshape(n, side, 8, side, 8, 3).swapaxes(2, 3).reshape(n, side**2, -1)
    x = patches @ arrays["stem/kernel"].reshape(-1, 64) + arrays["stem/bias"]
    for block in range(2):
        at = f"MixerBlock_{block}"
        x = x + mlp(norm(x, f"{at}/LayerNorm_0").swapaxes(1, 2), f"{at}/token_mixing").swapaxes(1, 2)
        x = x + mlp(norm(x, f"{at}/LayerNorm_1"), f"{at}/channel_mixing")
    return norm(x, "pre_head_layer_norm")


def test_a_made_mixer_file_gives_the_tokens_of_a_forward_pass_in_numpy(
    arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    model = mlp_mixer.build(32, "tiny", saved(tmp_path, arrays))
    assert np.asarray(model(photos(32))) == pytest.approx(numpy_mixer(photos(32), arrays), abs=1e-3)


def test_published_mixer_names_are_those_of_the_model() -> None:
    from comp.npz import published_names

    model = mlp_mixer.build(224, "S/16")
    names = published_names(model, {"gamma": "scale", "beta": "bias"})
    blocks = {name.split("/")[0] for name in names if name.startswith("MixerBlock_")}
    assert blocks == {f"MixerBlock_{block}" for block in range(8)}
    assert {name for name in names if "Block_7" not in name} >= set(mixer_shapes(32))
    assert names["MixerBlock_7/token_mixing/Dense_0/kernel"].shape == (196, 256)
    assert names["MixerBlock_7/channel_mixing/Dense_1/kernel"].shape == (2048, 512)


def test_a_mixer_file_for_other_pixels_says_so(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"MixerBlock_0/token_mixing/Dense_0/kernel .*use the pixels"):
        mlp_mixer.build(64, "tiny", saved(tmp_path, arrays))


def test_grey_goes_into_published_weights_as_three_channels(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    file, grey = saved(tmp_path, arrays), photos(32, 1)
    one, three = (mlp_mixer.build(32, "tiny", file, channels=channels) for channels in (1, 3))
    assert (np.asarray(one(grey)) == np.asarray(three(np.repeat(grey, 3, axis=3)))).all()


# ---- gMLP


def test_the_gate_of_gmlp_starts_open_and_blind_to_places() -> None:
    keras.utils.set_random_seed(4)
    model, x = gmlp.build(32, "tiny"), photos(32)
    gates = [layer for layer in model.layers if "across_tokens" in layer.name]
    assert len(gates) == 2
    for gate in gates:
        assert np.abs(np.asarray(gate.kernel)).max() < 1e-4 and (np.asarray(gate.bias) == 1).all()
    inside = keras.Model(model.input, [model.get_layer(f"block01.{name}").output for name in ("content", "gated")])
    content, gated = inside(x)
    assert np.asarray(gated) == pytest.approx(np.asarray(content), abs=1e-3)
    assert pooled(model, x) == pytest.approx(pooled(model, swapped(x)), abs=1e-3)


def test_the_gate_of_gmlp_is_a_projection_over_tokens() -> None:
    model = gmlp.build(32, "tiny")
    gate, random = model.get_layer("block01.gate.across_tokens"), np.random.default_rng(8)
    kernel, bias = random.normal(size=(16, 16)).astype("float32"), random.normal(size=16).astype("float32")
    gate.set_weights([kernel, bias])
    names = ("content", "gate.norm", "gated")
    content, normed, gated = keras.Model(model.input, [model.get_layer(f"block01.{name}").output for name in names])(
        photos(32)
    )
    expected = np.asarray(content) * (np.einsum("bte,ts->bse", np.asarray(normed), kernel) + bias[:, None])
    assert np.asarray(gated) == pytest.approx(expected, abs=1e-3)


# ---- FNet


def test_fourier_mixing_is_the_real_part_of_numpys_transform(random: np.random.Generator) -> None:
    x = random.normal(size=(3, 16, 8)).astype("float32")
    assert np.asarray(FourierMixing()(x)) == pytest.approx(np.fft.fft2(x).real, abs=1e-4)


def test_fourier_mixing_is_its_own_inverse_but_for_size_and_place(random: np.random.Generator) -> None:
    x = random.normal(size=(1, 16, 8)).astype("float32")
    even = x + np.roll(x[:, ::-1, ::-1], (1, 1), (1, 2))  # the real part keeps what is even
    assert np.asarray(FourierMixing()(FourierMixing()(even))) / (16 * 8) == pytest.approx(even, abs=1e-4)


@pytest.mark.usefixtures("bfloat16")
def test_fourier_mixing_stays_in_float32_under_a_16_bit_policy() -> None:
    model = fnet.build(32, "tiny")
    mixing, dense = model.get_layer("block1.mixing"), model.get_layer("block1.dense_1")
    assert mixing.output.dtype == "float32" == model.get_layer("block1.mixed_norm").output.dtype
    assert (
        dense.compute_dtype == "bfloat16"
        and np.isfinite(np.asarray(keras.ops.cast(model(photos(32)), "float32"))).all()
    )


def test_fnet_mixes_every_token_into_every_other() -> None:
    model, x = fnet.build(32, "tiny"), photos(32, n=1)
    first = keras.Model(model.input, model.get_layer("block1.mixed").output)
    other = x.copy()
    other[:, :8, :8] = 255 - other[:, :8, :8]
    assert (np.abs(np.asarray(first(x) - first(other))).max(axis=2) > 1e-3).all()
