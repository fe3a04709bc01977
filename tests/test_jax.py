"""The contract of the backbones, and the training of a fold, on Keras' JAX backend: the same tests, in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
TRAINING = "test_it_learns_and_its_weights_predict_what_it_wrote"
CONTRACT = f"finite or half or come_back or overfitted or a_cut_changes_nothing or frozen_means or {TRAINING}"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="jax is not installed (requirements-jax.txt)"),
]


def test_the_contract_is_kept_on_jax() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-p",
            "no:cacheprovider",
            "tests/test_backbones.py",
            f"tests/test_train.py::{TRAINING}",
            "-k",
            CONTRACT,
        ],
        cwd=PROJECT,
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
