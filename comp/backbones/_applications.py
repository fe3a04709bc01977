"""What the backbones of keras.applications share: the photo as three channels at the bottom, the published file at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from comp.errors import BadInput

if TYPE_CHECKING:
    import keras

    from comp.spec import Backbone

SMALLEST_PIXELS = 32  # below it a stage would halve a side of one pixel; keras.applications refuses too


def photo_and_rgb(backbone: Backbone, variant: str, pixels: int, channels: int) -> tuple[Any, Any]:
    """Return the input (B, pixels, pixels, channels) and its three channels; grey is repeated.

    Raises:
        BadInput: If the backbone has no such variant, or the photo is too small for it.
    """
    if variant not in backbone.variants:
        raise BadInput(f"{backbone.name}: no variant {variant!r}, expected one of {', '.join(backbone.variants)}")
    if pixels < SMALLEST_PIXELS:
        raise BadInput(
            f"{backbone.name}: expected photos of {SMALLEST_PIXELS} px or more, got {pixels} px; "
            f"ask for {backbone.name}:{SMALLEST_PIXELS}px, or take scratch_cnn"
        )
    import keras

    photo = keras.Input((pixels, pixels, channels), name="photo")
    rgb = keras.layers.Concatenate(name="grey_to_rgb")([photo] * 3) if channels == 1 else photo
    return photo, rgb


def finished(photo: Any, features: Any, name: str, weights: Path | str | None) -> keras.Model:
    """Return the model from photo to features, holding the weights of the file, or fit to be trained from nothing.

    Args:
        weights: A file without the classification head (`.h5` or `.weights.h5`), or None.

    Raises:
        BadInput: If the file cannot be read or does not fit: nothing is ever left at random.
    """
    import keras

    model = keras.Model(photo, features, name=name)
    if weights is None:
        _settle_quickly(model)
    else:
        _load(model, Path(weights))
    return model


def _settle_quickly(model: keras.Model) -> None:
    """Let moving averages follow within tens of steps: published momenta (0.99, 0.999) are for millions of photos."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9


def _load(model: keras.Model, path: Path) -> None:
    expected = f"weights {path}: expected those of {model.name} without its head, {model.count_params():,} numbers"
    remedy = "take the published file, or train from scratch with WEIGHTS=none"
    n_numbers = _numbers_in(path, expected, remedy)
    # Keras 3.15 loads a file of its new layout that holds too much without a word; of the old one it counts the layers
    if path.name.endswith(".weights.h5") and n_numbers != model.count_params():
        raise BadInput(f"{expected}, but the file holds {n_numbers:,}: another variant, or with a head; {remedy}")
    try:
        model.load_weights(path)
    except Exception as error:  # whatever a loader stumbles over, a file of another layout is the cause
        reason = " ".join(f"{error}".split())[:200] or type(error).__name__
        raise BadInput(f"{expected}, but the file has another layout ({reason}); {remedy}") from error


def _numbers_in(path: Path, expected: str, remedy: str) -> int:
    """Return how many weights the file holds."""
    import h5py  # type: ignore[import-untyped]

    if not path.is_file():
        raise BadInput(f"{expected}, but there is no such file; {remedy}")
    if path.suffix != ".h5":
        raise BadInput(f"{expected}, in a file that ends with .h5; {remedy}")
    try:
        with h5py.File(path) as file:
            sizes: list[int] = []
            file.visititems(lambda name, item: sizes.append(_size(name, item)))
    except OSError as error:
        raise BadInput(f"{expected}, but the file is no HDF5 file, or cut short; {remedy}") from error
    return sum(sizes)


def _size(name: str, item: Any) -> int:
    """Return how many weights an item holds: none if it is a group, an optimizer's state or a random seed."""
    is_weight = hasattr(item, "size") and not name.startswith("optimizer") and "seed_generator" not in name
    return int(item.size) if is_weight else 0
