"""The class of machine that a figure was measured on, in words, for tables of results."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from comp.backend import backend_name, has_bf16
from comp.engine import n_cores

# Backbones' seconds were measured on a processor with bfloat16; on two AVX2 cores the tracks handwriting, mnist and cifar at standard
# took 1.4, 1.8 and 2.6 times as long.
WITHOUT_BF16 = 1.8


def slowness() -> float:
    """Return how many times as long as backbones' files say a network takes on this processor: a guess, for plans."""
    return 1.0 if has_bf16() else WITHOUT_BF16


def machine_class(jobs: int | None = None) -> str:
    """Return cores or jobs, what the processor or the GPU is, and the Keras backend: `2 cores with bfloat16, tensorflow`.

    A GPU is named where the backend sees it, not where the machine merely has one.

    Args:
        jobs: Jobs side by side, where the person said how many.
    """
    cores = f"{n_cores()} cores{' with bfloat16' if has_bf16() else ''}"
    at_once = f", {jobs} jobs" if jobs and jobs != n_cores() else ""
    return f"{gpu_name() if trains_on_gpu() else cores}{at_once}, {backend_name()}"


def backend_sees_gpu() -> bool:
    """Return whether Keras' backend computes on a GPU; a process of its own is asked, so that this one imports no Keras."""
    words = [sys.executable, "-c", "import sys, keras; sys.exit(not keras.distribution.list_devices('gpu'))"]
    environment = {**os.environ, "KERAS_BACKEND": backend_name()}
    try:
        subprocess.run(words, env=environment, capture_output=True, timeout=120, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def trains_on_gpu() -> bool:
    """Return whether there is a GPU that Keras' backend computes on."""
    return bool(gpu_name()) and backend_sees_gpu()


def gpu_name() -> str:
    """Return the name of the first NVIDIA GPU that the system tells of, or the empty string."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    words = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()
