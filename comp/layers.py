"""Layers that Keras does not have, registered under their names so that a saved model finds them again.

Imports Keras, so a backbone file imports this module inside its `build`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

PACKAGE = "foldboard"
VARIANCE_FLOOR = 1e-10  # what the authors of BiT add to the variance


@keras.saving.register_keras_serializable(PACKAGE)  # type: ignore[untyped-decorator]
def gelu_tanh(x: Any) -> Any:
    """Return the tanh approximation of GELU, which Flax calls GELU: published Flax weights were trained with it."""
    return ops.gelu(x, approximate=True)


def standardised(kernel: Any) -> Any:
    """Return a (h, w, C, F) kernel whose every filter has mean 0 and variance 1 over (h, w, C).

    Source: Qiao et al. 2019, Weight Standardization (arXiv 1903.10520), with the floor of the BiT authors' code.
    """
    mean, variance = ops.moments(kernel, axes=(0, 1, 2), keepdims=True)
    return (kernel - mean) / ops.sqrt(variance + VARIANCE_FLOOR)


@keras.saving.register_keras_serializable(PACKAGE)
class StandardisedConv2D(keras.layers.Layer):  # type: ignore[misc]
    """A convolution without bias whose kernel is standardised, in float32, each time it is used.

    The same number of zeros is put on both sides before a valid convolution, so that the grid of a strided one does not depend
    on the side being odd or even, as Keras' `same` does.

    Args:
        filters: Channels that come out.
        kernel_size: Side of the kernel, odd.
        strides: Step of the kernel.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the kernel, (side, side, C, filters); reading it never casts it below float32."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="he_normal", autocast=False)

    def call(self, x: Any) -> Any:
        """Return (B, h, w, filters) of (B, H, W, C), h = ceil(H / strides)."""
        zeros = self.kernel_size // 2
        if zeros:
            x = ops.pad(x, ((0, 0), (zeros, zeros), (zeros, zeros), (0, 0)))
        kernel = ops.cast(standardised(ops.convert_to_tensor(self.kernel)), self.compute_dtype)
        return ops.conv(x, kernel, strides=self.strides, padding="valid", data_format="channels_last")

    def get_config(self) -> dict[str, Any]:
        """Return what makes the same layer again."""
        own = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(PACKAGE)
class GroupNormalization(keras.layers.GroupNormalization):  # type: ignore[misc]
    """Keras' layer for (B, H, W, C), summed over H and W first: the same numbers to rounding, in float32.

    Keras 3.15.1 sums over three axes of a reshaped array, which on the TensorFlow CPU backend takes 1.6 to 5.8 times as long
    (measured for 16 x 16 x 256 and 16 x 16 x 64); a training step of BiT `tiny` takes 30 % longer with it.
    """

    def call(self, x: Any) -> Any:
        """Return (B, H, W, C) of (B, H, W, C)."""
        wide = ops.cast(x, "float32")
        centred = wide - self._group_mean(wide)
        scale = ops.rsqrt(self._group_mean(ops.square(centred)) + self.epsilon) * self.gamma
        return ops.cast(centred * scale + self.beta, x.dtype)

    def _group_mean(self, x: Any) -> Any:
        """Return (B, 1, 1, C): each channel's mean over its photo and its group."""
        grouped = ops.reshape(ops.mean(x, axis=(1, 2)), (-1, self.groups, x.shape[-1] // self.groups))
        means = ops.mean(grouped, axis=2)  # (B, groups)
        return ops.reshape(ops.repeat(means, x.shape[-1] // self.groups, axis=1), (-1, 1, 1, x.shape[-1]))


@keras.saving.register_keras_serializable(PACKAGE)
class FourierMixing(keras.layers.Layer):  # type: ignore[misc]
    """The real part of the discrete Fourier transform over tokens and channels; nothing to learn; always in float32."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "dtype": "float32"})  # there is no transform of 16-bit numbers

    def call(self, x: Any) -> Any:
        """Return (B, T, D) of (B, T, D), not divided by T or D."""
        real, _ = ops.fft2((x, ops.zeros_like(x)))
        return real


@keras.saving.register_keras_serializable(PACKAGE)
class Positions(keras.layers.Layer):  # type: ignore[misc]
    """Adds one learned vector to the token at each place."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the table, (T, D)."""
        self.table = self.add_weight(
            name="table", shape=input_shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02)
        )

    def call(self, x: Any) -> Any:
        """Return (B, T, D) of (B, T, D)."""
        return x + self.table


@keras.saving.register_keras_serializable(PACKAGE)
class GeneralisedMeanPooling(keras.layers.Layer):  # type: ignore[misc]
    """The generalised mean over places, its exponent learned: 1 is the mean, infinity the maximum.

    Source: Radenovic et al. 2017, Fine-tuning CNN image retrieval with no human annotation (arXiv 1711.02512), start at 3.
    """

    FLOOR = 1e-6  # below it a place counts as nothing: powers of negative numbers are not real

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the exponent."""
        self.exponent = self.add_weight(name="exponent", shape=(), initializer=keras.initializers.Constant(3.0))

    def call(self, x: Any) -> Any:
        """Return (B, D) of (B, h, w, D) or (B, T, D)."""
        places = tuple(range(1, len(x.shape) - 1))
        return ops.mean(ops.maximum(x, self.FLOOR) ** self.exponent, axis=places) ** (1 / self.exponent)


@keras.saving.register_keras_serializable(PACKAGE)
class CosineLogits(keras.layers.Layer):  # type: ignore[misc]
    """Logits that are scaled cosines between a feature and each class's vector.

    Source: Wang et al. 2018, CosFace (arXiv 1801.09414). Its scale of 64 is for thousands of classes; 16 is enough to bring the
    probability of one of 200 classes over 0.99.
    """

    SCALE = 16.0

    def __init__(self, n_classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.n_classes = n_classes

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the class vectors, (D, n_classes)."""
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.n_classes))

    def call(self, x: Any) -> Any:
        """Return (B, n_classes) of (B, D)."""
        return self.SCALE * ops.normalize(x, axis=-1) @ ops.normalize(self.kernel, axis=0)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the same layer again."""
        return {**super().get_config(), "n_classes": self.n_classes}
