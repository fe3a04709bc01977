"""The class of machine that a figure was measured on, in words, for tables of results."""

from __future__ import annotations

import shutil
import subprocess

from comp.backend import backend_name, has_bf16
from comp.engine import n_cores


def machine_class(jobs: int | None = None) -> str:
    """Return cores or jobs, what the processor or the GPU is, and the Keras backend: `2 cores with bfloat16, tensorflow`.

    Args:
        jobs: Jobs side by side, where the person said how many.
    """
    cores = f"{n_cores()} cores{' with bfloat16' if has_bf16() else ''}"
    at_once = f", {jobs} jobs" if jobs and jobs != n_cores() else ""
    return f"{gpu_name() or cores}{at_once}, {backend_name()}"


def trains_on_gpu() -> bool:
    """Return whether there is a GPU and the Keras backend that is used here with one: JAX."""
    return backend_name() == "jax" and bool(gpu_name())


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
