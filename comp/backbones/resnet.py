"""ResNet V2: bottleneck blocks with identity shortcuts, normalised and activated before each convolution.

He, Zhang, Ren, Sun 2016 (arXiv 1603.05027); depths from He et al. 2015 (arXiv 1512.03385), table 1. Weights and scaling
(-1..1) are those of keras.applications.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backbones._applications import finished, photo_and_rgb
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"


def build(pixels: int, variant: str = "50", weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a (B, pixels / 32, pixels / 32, 2048) map.

    Args:
        pixels: Side of the square input, 32 or more.
        variant: `50`, `101` or `152`, all of version 2; or `tiny`: three narrow stages of two blocks.
        weights: The published file, or None for random ones.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If the variant is unknown, the photo too small, or the file does not fit.
    """
    from keras import applications

    photo, rgb = photo_and_rgb(BACKBONE, variant, pixels, channels)
    x = applications.resnet_v2.preprocess_input(rgb)
    makers = {"50": applications.ResNet50V2, "101": applications.ResNet101V2, "152": applications.ResNet152V2}
    make = makers.get(variant, _tiny)
    published = make(include_top=False, weights=None, input_tensor=x)
    return finished(photo, published.output, published.name, weights)


def _tiny(**options: Any) -> keras.Model:
    from keras.src.applications import resnet  # keras 3.15 does not export what its own ResNets are made with

    def stages(x: Any) -> Any:
        x = resnet.stack_residual_blocks_v2(x, 16, 2, name="conv2")
        x = resnet.stack_residual_blocks_v2(x, 32, 2, name="conv3")
        return resnet.stack_residual_blocks_v2(x, 64, 2, stride1=1, name="conv4")

    return resnet.ResNet(stages, preact=True, use_bias=True, name="resnetv2_tiny", **options)


def _weights(model: str, megabytes: float, md5: str) -> Weights:
    file = f"{model}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Weights(file=file, url=URL + file, megabytes=megabytes, md5=md5)


BACKBONE = Backbone(
    name="resnet",
    build=build,
    variants=("tiny", "50", "101", "152"),
    default_variant="50",
    scratch_variant="tiny",
    recipe={"scratch": {"learning_rate": 0.008}},
    weights={
        "50": _weights("resnet50v2", 94.7, "fac2f116257151a9d068a22e544a4917"),
        "101": _weights("resnet101v2", 171.3, "c0ed64b8031c3730f411d2eb4eea35b5"),
        "152": _weights("resnet152v2", 234.5, "ed17cf2e0169df9d443503ef94b23b33"),
    },
    parameters={"50": 23_564_800, "101": 42_626_560, "152": 58_331_648},
    cuts={
        "tiny": ("conv2_block2_out", "conv3_block2_out"),
        "50": ("conv3_block4_out", "conv4_block6_out"),
        "101": ("conv3_block4_out", "conv4_block23_out"),
        "152": ("conv3_block8_out", "conv4_block36_out"),
    },
    bf16_pays=frozenset({"extract", "train"}),
    # from 101 on 50's, by their operations
    seconds_per_photo={"tiny": 0.002, "50": 0.031, "101": 0.064, "152": 0.096},
    measured_pixels=64,
)
