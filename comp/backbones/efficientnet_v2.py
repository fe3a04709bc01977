"""EfficientNet V2: fused inverted residual blocks below, depthwise ones with squeeze and excitation above.

Tan, Le 2021 (arXiv 2104.00298), table 4; B0 to B3 as in the authors' repository. Weights and scaling (inside) are those of
keras.applications.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

URL = "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/"


def build(pixels: int, variant: str = "B0", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 32, pixels / 32, D) map.

    D is 1280 (B2: 1408, B3: 1536); `tiny` is the lower four stages of B0 at half its width and depth.

    Args:
        pixels: Side of the square input, 32 or more.
        variant: `B0` to `B3`, `S`, `M`, `L` or `tiny`.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    from keras import applications

    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    make = _tiny if variant == "tiny" else getattr(applications, f"EfficientNetV2{variant}")
    published = make(include_top=False, weights=None, input_tensor=rgb, input_shape=(pixels, pixels, 3))
    return finished(photo, published.output, published.name, weights)


def _tiny(**options: Any) -> keras.Model:
    from keras.src.applications import efficientnet_v2  # keras 3.15 exports the published sizes only

    stages = efficientnet_v2.DEFAULT_BLOCKS_ARGS["efficientnetv2-b0"][:4]
    return efficientnet_v2.EfficientNetV2(0.5, 0.5, 64, blocks_args=stages, name="efficientnetv2-tiny", **options)


def _weights(size: str, megabytes: float, md5: str) -> Weights:
    file = f"efficientnetv2-{size}_notop.h5"
    return Weights(file=file, url=URL + file, megabytes=megabytes, md5=md5)


BACKBONE = Backbone(
    name="efficientnet_v2",
    build=build,
    variants=("tiny", "B0", "B1", "B2", "B3", "S", "M", "L"),
    default_variant="B0",
    scratch_variant="tiny",
    weights={
        "B0": _weights("b0", 24.3, "893217f2bb855e2983157299931e43ff"),
        "B1": _weights("b1", 28.5, "0e80663031ca32d657f9caa404b6ec37"),
        "B2": _weights("b2", 35.8, "1dfe2e7a5d45b6632553a8961ea609eb"),
        "B3": _weights("b3", 52.6, "f6abf7b5849ac99a89b50dd3fd532856"),
        "S": _weights("s", 82.4, "af0682fb74e8c54910f2d4393339c070"),
        "M": _weights("m", 214.2, "1b8dc055df72dde80d614482840fe342"),
        "L": _weights("l", 473.2, "b0b66b5c863aef5b46e8608fe1711615"),
    },
    parameters={
        "B0": 5_919_312,
        "B1": 6_931_124,
        "B2": 8_769_374,
        "B3": 12_930_622,
        "S": 20_331_360,
        "M": 53_150_388,
        "L": 117_746_848,
    },
    cuts={
        "tiny": ("block4b_add",),
        "B0": ("block4c_add", "block5e_add"),
        "B1": ("block4d_add", "block5f_add"),
        "B2": ("block4d_add", "block5f_add"),
        "B3": ("block4e_add", "block5g_add"),
        "S": ("block4f_add", "block5i_add"),
        "M": ("block4g_add", "block5n_add"),
        "L": ("block4j_add", "block5s_add"),
    },
    bf16_pays=frozenset({"extract"}),
    # from B1 on B0's, by their operations
    seconds_per_photo={
        "tiny": 0.001,
        "B0": 0.0094,
        "B1": 0.014,
        "B2": 0.016,
        "B3": 0.022,
        "S": 0.039,
        "M": 0.068,
        "L": 0.15,
    },
    measured_pixels=64,
)
