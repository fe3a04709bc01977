"""ConvNeXt: 7x7 depthwise convolutions and pointwise layers, laid out like a transformer; the best features of these files.

Liu et al. 2022 (arXiv 2201.03545), section 3 and table 1: T, S, B, L and XL there are ConvNeXtTiny to ConvNeXtXLarge of
keras.applications, whose weights and scaling (inside) are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

URL = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"

# The paper's letters: `tiny` is what every backbone's test size is called, and ConvNeXt-T has 28 million parameters.
SIZES = {"T": "Tiny", "S": "Small", "B": "Base", "L": "Large", "XL": "XLarge"}


def build(pixels: int, variant: str = "T", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 32, pixels / 32, D) map.

    D is 768 (`T`, `S`), 1024, 1536, 2048; `tiny` has one narrow block in each stage.

    Args:
        pixels: Side of the square input, 32 or more.
        variant: `T`, `S`, `B`, `L`, `XL` or `tiny`.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    from keras import applications

    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    make = _tiny if variant == "tiny" else getattr(applications, f"ConvNeXt{SIZES[variant]}")
    published = make(include_top=False, weights=None, input_tensor=rgb, input_shape=(pixels, pixels, 3))
    _quicken(published)
    return finished(photo, published.output, published.name, weights)


def _quicken(model: keras.Model) -> None:
    """Compute its convolutions of one channel each as what they are: the weights and their layout stay as published.

    Grouped convolutions go through XLA on a processor (tensorflow 2.21): ConvNeXt-T took 4.4 times as long to train.
    """
    import keras

    def depthwise(inputs: Any, kernel: Any) -> Any:  # kernel: (7, 7, 1, C)
        return keras.ops.depthwise_conv(inputs, keras.ops.transpose(kernel, (0, 1, 3, 2)), padding="same")

    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1:
            layer.convolution_op = depthwise


def _tiny(**options: Any) -> keras.Model:
    from keras.src.applications import convnext  # keras 3.15 exports the published sizes only

    return convnext.ConvNeXt([1, 1, 1, 1], [16, 32, 64, 128], name="convnext", **options)


def _weights(size: str, megabytes: float, sha256: str) -> Weights:
    file = f"convnext_{size}_notop.h5"
    return Weights(file=file, url=URL + file, megabytes=megabytes, sha256=sha256)


BACKBONE = Backbone(
    name="convnext",
    build=build,
    variants=("tiny", *SIZES),
    default_variant="T",
    scratch_variant="tiny",
    weights={
        "T": _weights("tiny", 111.7, "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
        "S": _weights("small", 198.6, "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
        "B": _weights("base", 350.9, "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
        "L": _weights("large", 785.6, "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
        "XL": _weights("xlarge", 1393.3, "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
    },
    parameters={"T": 27_820_128, "S": 49_454_688, "B": 87_566_464, "L": 196_230_336, "XL": 348_147_968},
    cuts={
        variant: (f"{model}_downsampling_block_1", f"{model}_downsampling_block_2")
        for variant, model in {"tiny": "convnext", **{key: f"convnext_{SIZES[key].lower()}" for key in SIZES}}.items()
    },
    bf16_pays=frozenset(),  # 96 px, one core, bfloat16 against float32: forward 1.09 times as fast, training 0.97
    # from S on T's, by their operations
    seconds_per_photo={"tiny": 0.001, "T": 0.038, "S": 0.074, "B": 0.13, "L": 0.29, "XL": 0.52},
    measured_pixels=64,
)
