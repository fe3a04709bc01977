"""MobileNet V2 and V3: inverted residual blocks of depthwise convolutions, the cheapest published features there are.

Sandler et al. 2018 (arXiv 1801.04381), table 2; Howard et al. 2019 (arXiv 1905.02244), tables 1 and 2. Weights and scaling
(-1..1; V3 has it inside) are those of keras.applications, at width 1.0 and 224 px.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def build(pixels: int, variant: str = "V2", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 32, pixels / 32, D) map.

    D is 1280 (`V2`), 576 (`V3-small`), 960 (`V3-large`); `tiny` is the lower third of V2 at half its width.

    Args:
        pixels: Side of the square input, 32 or more.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    published = _published(variant, pixels, rgb)
    features = published.get_layer("block_6_expand_relu").output if variant == "tiny" else published.output
    return finished(photo, features, f"mobilenet_{variant}", weights)


def _published(variant: str, pixels: int, rgb: Any) -> keras.Model:
    from keras import applications

    shape: dict[str, Any] = {"input_shape": (pixels, pixels, 3), "include_top": False, "weights": None}
    if variant == "V3-small":
        return applications.MobileNetV3Small(input_tensor=rgb, **shape)
    if variant == "V3-large":
        return applications.MobileNetV3Large(input_tensor=rgb, **shape)
    x = applications.mobilenet_v2.preprocess_input(rgb)
    return applications.MobileNetV2(input_tensor=x, alpha=0.5 if variant == "tiny" else 1.0, **shape)


def _weights(file: str, megabytes: float, md5: str = "", aliases: tuple[str, ...] = ()) -> Weights:
    folder = "mobilenet_v3/" if "_v3_" in file else "mobilenet_v2/"
    return Weights(file=file, url=URL + folder + file, megabytes=megabytes, md5=md5, aliases=aliases)


BACKBONE = Backbone(
    name="mobilenet",
    build=build,
    variants=("tiny", "V3-small", "V2", "V3-large"),
    default_variant="V2",
    scratch_variant="tiny",
    weights={
        "V2": _weights(
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            9.4,
            aliases=("mobilenet_v2_1.0_224_notop.weights.h5",),
        ),
        "V3-small": _weights(
            "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5", 4.3, "d3e8ec802a04aa4fc771ee12a9a9b836"
        ),
        "V3-large": _weights(
            "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5", 12.7, "07fb09a5933dd0c8eaafa16978110389"
        ),
    },
    parameters={"V2": 2_257_984, "V3-small": 939_120, "V3-large": 2_996_352},
    cuts={
        "tiny": ("block_2_add", "block_5_add"),
        "V2": ("block_13_project_BN", "block_15_add"),  # both 7 x 7 x 160 at 224 px
        "V3-small": ("expanded_conv_5_add", "expanded_conv_7_add"),
        "V3-large": ("expanded_conv_9_add", "expanded_conv_11_add"),
    },
    # bfloat16 does not pay: V2 cut at block_12_add, 224 px, one core: an epoch takes as long, and scores 2 points less
    seconds_per_photo={"tiny": 0.0018, "V3-small": 0.0021, "V2": 0.0053, "V3-large": 0.0072},
    measured_pixels=64,
)
