"""The one place that names TensorFlow: backend, threads and noise of every process that trains, set before Keras is imported."""

from __future__ import annotations

import os
import sys

DEFAULT_BACKEND = "tensorflow"

# Results are the same to the last bit only for the same number of threads, so it is fixed; more cores mean more jobs.
THREADS = 1


def backend_name() -> str:
    """Return the Keras backend that processes of this command use, without importing Keras."""
    return os.environ.get("KERAS_BACKEND", DEFAULT_BACKEND)


def prepare_environment() -> None:
    """Set what must stand in the environment before Keras, numpy or albumentations are imported; children inherit it."""
    os.environ.setdefault("KERAS_BACKEND", DEFAULT_BACKEND)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(THREADS)


def can_fork_after_import() -> bool:
    """Return whether a process that has imported Keras, and done nothing with it, can be forked safely.

    TensorFlow starts its threads at the first operation, so a fork of the imported library costs 10 ms where an import costs
    3 s, and computes the same bytes (measured with tensorflow 2.21). Other backends start threads when imported, and macOS
    libraries refuse to run after a fork.
    """
    return sys.platform.startswith("linux") and backend_name() == DEFAULT_BACKEND
