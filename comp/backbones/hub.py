"""Any backbone for photos that keras-hub has: `hub:PRESET`, where the preset names architecture, size and weights.

A preset is a local folder (`hub:./my_preset`), or, where there is a network, a Hugging Face handle (`hub:hf://owner/model`), a Kaggle
handle (`hub:kaggle://owner/model/keras/name`) or one of keras-hub's own names, which stand for Kaggle handles. Needs the optional
extra `hub` (keras-hub, 280 MB). Downloads go through the clients of these sites, into their own caches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.backend import is_offline
from comp.errors import BadInput
from comp.spec import Backbone, Weights

if TYPE_CHECKING:
    import keras

WEIGHTS_FILE = "model.weights.h5"
FACTS_FILES = ("config.json", "image_converter.json")  # architecture; scaling of pixels
INSTALL = "pip install keras-hub==0.29.1"
# They learn a vector for each place, so their weights fit one size (keras-hub 0.29.1; DINOv2 and DINOv3 fit any).
OF_ONE_SIZE = ("ViTBackbone", "DeiTBackbone", "ViTDetBackbone")


def build(pixels: int, variant: str, weights: Path | str | None = None, *, channels: int = 3) -> keras.Model:
    """Return the feature extractor: (B, pixels, pixels, channels) in 0..255 to a feature map or tokens, whatever the preset gives.

    Args:
        pixels: Side of the square input.
        variant: The preset; `tiny` is a small ResNet that needs none.
        weights: None starts from random weights; anything else loads those of the preset.
        channels: 1 or 3; grey is repeated.

    Raises:
        BadInput: If keras-hub is not installed, or the preset cannot be had, is not one for photos of this size, or does not say
            how the pixels are scaled that its weights expect.
    """
    hub = _keras_hub()
    if variant == "tiny":
        return _wrapped(_tiny(hub, pixels), (1 / 127.5, -1.0), pixels, channels)
    folder = preset_folder(variant)
    backbone = _backbone(hub, folder, variant, pixels, weights is not None)
    scaling = _scaling(hub, folder, variant) if weights is not None else (1 / 127.5, -1.0)
    return _wrapped(backbone, scaling, pixels, channels)


@lru_cache
def preset_folder(preset: str) -> Path:
    """Return the local folder of a preset, which is downloaded first where it is a handle.

    OFFLINE=1 (see `comp.backend`) asks no network: then a handle of Hugging Face is found if it was fetched before.

    Raises:
        BadInput: If there is no such folder, or the handle's source does not give it.
    """
    folder = Path(preset).expanduser()
    if folder.is_dir():
        return folder.resolve()
    try:
        return Path(_fetched(preset))
    except BadInput:
        raise
    except Exception as error:  # the clients of the sites raise whatever their networks raise
        raise BadInput(
            f"candidate hub:{preset}: it cannot be fetched ({_in_one_line(error)}); name a local preset folder instead"
        ) from error


def _fetched(preset: str) -> str:
    from comp.fetch import hugging_face_files, kaggle_model  # here, because facts are read without numpy

    hub = _keras_hub()
    if preset.startswith("hf://"):
        files = ["*.json", "*.h5"]
        name = preset.removeprefix("hf://")
        return str(hugging_face_files(name, allow_patterns=files, local_files_only=is_offline()))
    own = hub.models.Backbone.presets.get(preset, {})
    handle = own.get("kaggle_handle", preset)
    if not handle.startswith("kaggle://"):
        raise BadInput(
            f"candidate hub:{preset}: no such folder, and no handle; expected a preset folder, hf://owner/model, "
            "kaggle://owner/model/keras/name or a name that keras-hub knows"
        )
    if is_offline():
        raise BadInput(f"candidate hub:{preset}: OFFLINE=1 forbids to ask Kaggle; name a local preset folder instead")
    return str(kaggle_model(handle.removeprefix("kaggle://")))


def _keras_hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise BadInput(f"backbone hub: keras-hub is not installed ({_in_one_line(error)}); {INSTALL}") from error
    return keras_hub


def _tiny(hub: Any, pixels: int) -> Any:
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(pixels, pixels, 3),
    )


def _backbone(hub: Any, folder: Path, preset: str, pixels: int, with_weights: bool) -> Any:
    """Return keras-hub's model of a preset, made for photos of that size."""
    try:
        backbone = hub.models.Backbone.from_preset(
            str(folder), load_weights=with_weights, image_shape=(pixels, pixels, 3)
        )
        if [len(taken.shape) for taken in backbone.inputs] != [4]:
            raise TypeError(f"{type(backbone).__name__} takes no photos")
    except Exception as error:  # a preset of another kind fails wherever its constructor happens to
        raise BadInput(
            f"candidate hub:{preset}: expected a preset of keras-hub for photos, usable at {pixels} px, but it cannot be "
            f"loaded ({_in_one_line(error)}); try its own size, or another preset"
        ) from error
    return backbone


def _scaling(hub: Any, folder: Path, preset: str) -> tuple[Any, Any]:
    """Return (factor, offset) that bring pixels 0..255 to what the weights expect; one number, or one a channel."""
    try:
        converter = hub.layers.ImageConverter.from_preset(str(folder))
    except Exception as error:  # keras-hub raises what the missing file happens to break
        raise BadInput(
            f"candidate hub:{preset}: expected image_converter.json in the preset, which says how its weights want the pixels "
            f"scaled ({_in_one_line(error)}); save the preset with its preprocessor, or ask for hub:{preset}:scratch"
        ) from error
    return 1.0 if converter.scale is None else converter.scale, 0.0 if converter.offset is None else converter.offset


def _wrapped(backbone: Any, scaling: tuple[Any, Any], pixels: int, channels: int) -> keras.Model:
    import keras
    from keras import layers

    photo = keras.Input((pixels, pixels, channels), name="photo")
    x = layers.Concatenate(name="grey_to_rgb")([photo] * 3) if channels == 1 else photo
    features = backbone(layers.Rescaling(*scaling, name="scale")(x))
    if isinstance(features, Mapping) or len(features.shape) not in (3, 4):
        raise BadInput(
            f"backbone hub: expected a preset that gives a feature map or tokens, but {backbone.name} does not"
        )
    return keras.Model(photo, features, name="hub")


def _in_one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _only_pixels(folder: Path) -> int:
    """Return the only side that a preset's weights fit, 0 where any will do."""
    try:
        facts = json.loads((folder / "config.json").read_text())
        return int(facts["config"]["image_shape"][0]) if facts["class_name"] in OF_ONE_SIZE else 0
    except (OSError, ValueError, LookupError, TypeError):  # a broken preset is told of where it is loaded
        return 0


class _WeightsOfPresets(Mapping[str, Weights]):
    """Each preset is its own weights: the file in its folder, by the name of the preset."""

    def __getitem__(self, preset: str) -> Weights:
        if preset == "tiny":
            raise KeyError(preset)
        file = preset_folder(preset) / WEIGHTS_FILE
        if not file.is_file():
            raise KeyError(preset)
        megabytes = file.stat().st_size / 1e6
        return Weights(
            file=str(file), url=preset, megabytes=megabytes, pixels=_only_pixels(file.parent), beside=FACTS_FILES
        )

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


BACKBONE = Backbone(
    name="hub",
    build=build,
    variants=("tiny",),
    any_variant=True,
    library="keras-hub",
    default_variant="tiny",
    weights=_WeightsOfPresets(),
)
