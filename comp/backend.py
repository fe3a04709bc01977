"""The one place that names TensorFlow: backend, threads and noise of every process that trains, set before Keras is imported."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from comp.errors import BadInput

if TYPE_CHECKING:
    import keras
    import numpy as np

DEFAULT_BACKEND = "tensorflow"
OFFLINE = "FOLDBOARD_OFFLINE"

# Results are the same to the last bit only for the same number of threads, so it is fixed; more cores mean more jobs.
THREADS = 1
THREAD_COUNTS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)

# A network's large arrays are asked for and given back at every step, and each time the kernel clears their pages anew, up to two
# fifths of a core's time in a virtual machine. Memory that was had once is kept, in one pool, on huge pages where the kernel has
# them to give: MobileNetV2's pass over 224 px takes 25 ms for 42, its step at 128 px 38 for 58, in no more memory at the peak
# (glibc 2.36, AVX2). Other C libraries, and glibc before 2.35 for huge pages, go without. Names: glibc manual, Memory Allocation
# Tunables.
KEPT_MEMORY = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {"hugetlb": 1, "arena_max": 1, "mmap_threshold": 1 << 32, "trim_threshold": 1 << 33}.items()
)


# TensorFlow takes oneDNN by itself only on x86 processors with instructions for neural networks, which most before 2021 lack. With AVX2
# alone it pays too: scratch_cnn at 96 px trains in 6.9 ms a photo for 12.7, a tail of MobileNetV2 in 300 ms a step for 372; and only
# with it are a photo's features the same to the last bit wherever the photo stands in its batch (tensorflow 2.21). One of its kernels
# is broken there: folds.model.NARROWEST.
X86 = ("x86_64", "AMD64")


def backend_name() -> str:
    """Return the Keras backend that processes of this command use, without importing Keras."""
    return os.environ.get("KERAS_BACKEND", DEFAULT_BACKEND)


def prepare_environment() -> None:
    """Set what must stand in the environment before Keras, numpy or albumentations are imported; children inherit it."""
    os.environ.setdefault("KERAS_BACKEND", DEFAULT_BACKEND)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # jax takes three quarters of a GPU's memory at once otherwise: nothing is left for the second worker
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if platform.machine() in X86:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("GLIBC_TUNABLES", KEPT_MEMORY)  # read by a process when it starts: workers, not this one
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    for name in THREAD_COUNTS:
        os.environ[name] = str(THREADS)


def set_offline(is_wanted: bool) -> None:
    """Keep this process, and workers that it starts from now on, from asking a network (OFFLINE=1), or let them."""
    os.environ[OFFLINE] = "1" if is_wanted else ""


def is_offline() -> bool:
    """Return whether no network may be asked."""
    return bool(os.environ.get(OFFLINE))


def can_fork_after_import() -> bool:
    """Return whether a process that has imported Keras, and done nothing with it, can be forked safely.

    TensorFlow starts its threads at the first operation, so a fork of the imported library costs 10 ms where an import costs
    3 s, and computes the same bytes (measured with tensorflow 2.21). Other backends start threads when imported, and macOS
    libraries refuse to run after a fork.
    """
    return sys.platform.startswith("linux") and backend_name() == DEFAULT_BACKEND


def precision_for(bf16_pays: Collection[str], use: str) -> str:
    """Return Keras' dtype policy for a use: bfloat16 where it pays for the backbone and the processor has it.

    Args:
        bf16_pays: Uses for which the backbone's file says so.
        use: `extract` or `train`.
    """
    return "mixed_bfloat16" if use in bf16_pays and has_bf16() else "float32"


@cache
def has_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 in hardware, as Linux tells; elsewhere it counts as not."""
    try:
        with open("/proc/cpuinfo") as file:
            return any(
                flag in line for line in file if line.startswith("flags") for flag in ("avx512_bf16", "amx_bf16")
            )
    except OSError:
        return False


def jit_compile() -> bool | str:
    """Return what `compile(jit_compile=...)` takes: Keras' own choice, but on TensorFlow no XLA.

    On the CPU it takes three times as long on depthwise convolutions (tensorflow 2.21). JAX without it computes a step operation
    by operation (keras 3.15).
    """
    return False if backend_name() == DEFAULT_BACKEND else "auto"


def fed(batches: keras.utils.PyDataset) -> Any:
    """Return what `fit` takes for batches that are drawn anew in every epoch, the next two always at hand.

    TensorFlow tunes its input pipelines in a thread that sleeps twice as long each time, up to minutes, and the end of an epoch
    waits for it: of a tail's epochs of 21 s every third took 41 s (tensorflow 2.21, keras 3.15). Here nothing is tuned.

    Args:
        batches: Nested tuples of arrays (B, ...); shapes behind B are those of the first batch.
    """
    if backend_name() != DEFAULT_BACKEND:
        return batches
    import keras
    import tensorflow as tf

    signature = keras.tree.map_structure(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), batches[0])
    found = tf.data.Dataset.from_generator(
        lambda: (batches[number] for number in range(len(batches))), output_signature=signature
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return found.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2).with_options(options)


def fast_forward(model: keras.Model, batch_size: int) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Return a function from a batch of photos to a model's outputs, for a model that is never trained again.

    TensorFlow folds normalisation into the convolutions before it once the weights are constants: MobileNetV2 at 224 px goes
    from 69 to 93 photos a second on one core.

    Args:
        model: Takes (batch_size, H, W, C); its weights are copied, so later changes have no effect.
        batch_size: Rows of every batch.
    """
    import numpy as np

    if backend_name() != DEFAULT_BACKEND:
        return lambda photos: [np.asarray(found) for found in _listed(model.predict_on_batch(photos))]
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    taken = tf.TensorSpec((batch_size, *model.input_shape[1:]), model.input.dtype)
    traced = tf.function(lambda photos: model(photos, training=False)).get_concrete_function(taken)
    frozen = convert_variables_to_constants_v2(traced)
    return lambda photos: [np.asarray(found) for found in frozen(tf.constant(photos, taken.dtype))]


def _listed(outputs: Any) -> list[Any]:
    return outputs if isinstance(outputs, list) else [outputs]


def gradient(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Return the gradient of a number with respect to an array, in the array's shape; Keras itself has no word for it.

    Args:
        function: Takes a tensor of the backend, gives one number as such a tensor.

    Raises:
        BadInput: If the backend is neither TensorFlow nor JAX.
    """
    import numpy as np

    if backend_name() == "jax":
        import jax

        return np.asarray(jax.grad(function)(jax.numpy.asarray(at)))
    if backend_name() != DEFAULT_BACKEND:
        raise BadInput(f"KERAS_BACKEND={backend_name()}: gradients are taken with tensorflow or jax")
    import tensorflow as tf

    with tf.GradientTape() as tape:
        taken = tf.constant(at)
        tape.watch(taken)
        found = function(taken)
    return np.asarray(tape.gradient(found, taken))


def step_of_any_width(trainer: keras.Model, channels: int, label_length: int) -> Callable[..., float]:
    """Return a function of (strips, widths), labels that takes one step of training and returns the batch's loss.

    `fit` and `train_on_batch` trace the first batch with its own width and the others anew (keras 3.15): the numbers of an epoch
    would then depend on which batch a process began with. Here TensorFlow traces once, for all widths.

    Args:
        trainer: Compiled; takes strips (B, H, W, channels) uint8 and widths (B,) int32.
        label_length: Width of the labels (B, L) int32.
    """
    if backend_name() != DEFAULT_BACKEND:
        return lambda taken, labels: float(trainer.train_on_batch(list(taken), labels, return_dict=True)["loss"])
    import tensorflow as tf

    signature = [_strip_specs(trainer, channels), tf.TensorSpec((None, label_length), tf.int32)]
    traced = tf.function(
        lambda taken, labels: trainer.train_step((taken, labels, None)),
        input_signature=signature,
        jit_compile=False,
        autograph=False,
    )

    def step(taken: object, labels: object) -> float:
        trainer.reset_metrics()
        return float(traced(taken, labels)["loss"])

    return step


def forward_of_any_width(model: keras.Model, channels: int) -> Callable[[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return a function from (strips, widths) to a model's output, not training, that is traced once for all widths."""
    import numpy as np

    if backend_name() != DEFAULT_BACKEND:
        return lambda taken: np.asarray(model.predict_on_batch(list(taken)))
    import tensorflow as tf

    traced = tf.function(
        lambda taken: model(list(taken), training=False),
        input_signature=[_strip_specs(model, channels)],
        jit_compile=False,
        autograph=False,
    )
    return lambda taken: np.asarray(traced(taken))


def _strip_specs(model: keras.Model, channels: int) -> tuple[object, object]:
    import tensorflow as tf

    height = model.inputs[0].shape[1]
    return tf.TensorSpec((None, height, None, channels), tf.uint8), tf.TensorSpec((None,), tf.int32)
