"""Precision is a fact: of the backbone's file and the processor, overridden by name, part of every key, and never left behind."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

import comp.backend
from comp.backend import fast_forward, has_bf16, jit_compile, precision_for
from comp.errors import BadInput
from comp.machine import slowness
from comp.measure import measure
from comp.registry import load_backbone, names
from comp.spec import Candidate, Recipe
from comp.ways import Ways
from folds.banks import banks_of
from folds.runs import RunPlan
from submissions.choose import choose
from tests.frozen import PIXELS, save_tiny
from tests.made import SQUARES


@pytest.fixture(autouse=True)
def _policy_and_processor() -> Iterator[None]:
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)
    has_bf16.cache_clear()


def processor(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """Let Linux tell of another processor; None: there is nothing to read."""

    def tell(path: str) -> io.StringIO:
        assert path == "/proc/cpuinfo"
        if text is None:
            raise FileNotFoundError(path)
        return io.StringIO(text)

    monkeypatch.setattr(comp.backend, "open", tell, raising=False)
    has_bf16.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model name: a\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("flags\t\t: fpu avx2\n", False),
        ("model name: avx512_bf16 lookalike\nflags\t\t: fpu\n", False),
        ("Features\t: fp asimd bf16\n", False),
        (None, False),
    ],
)
def test_the_processor_says_whether_it_has_bfloat16(
    monkeypatch: pytest.MonkeyPatch, text: str | None, expected: bool
) -> None:
    processor(monkeypatch, text)
    assert has_bf16() is expected
    assert (slowness() == 1) is expected, "plans tell of the processor at hand"


@pytest.mark.parametrize("has_it", [False, True])
def test_bfloat16_is_taken_where_it_pays_and_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, has_it: bool
) -> None:
    processor(monkeypatch, f"flags : {'avx512_bf16' if has_it else 'avx2'}\n")
    assert precision_for({"train"}, "train") == ("mixed_bfloat16" if has_it else "float32")
    assert precision_for({"train"}, "extract") == "float32" == precision_for((), "train")


def test_steps_are_compiled_by_xla_but_for_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend, expected in {"tensorflow": False, "jax": "auto"}.items():
        monkeypatch.setenv("KERAS_BACKEND", backend)
        assert jit_compile() == expected


@pytest.mark.parametrize("name", names("comp.backbones"))
def test_a_backbone_s_uses_are_known_ones(name: str) -> None:
    assert load_backbone(name).bf16_pays <= {"extract", "train"}


@pytest.mark.parametrize(("fit", "use"), [("probe", "extract"), ("tail", "train"), ("full", "train")])
def test_a_fit_computes_as_its_use_says(monkeypatch: pytest.MonkeyPatch, in_folder: Path, fit: str, use: str) -> None:
    backbone = load_backbone("mobilenet")
    (in_folder / "weights").mkdir()
    (in_folder / "weights" / backbone.weights["V2"].file).write_bytes(b"numbers")
    processor(monkeypatch, "flags : avx512_bf16\n")
    (choice,), _ = choose(f"mobilenet:V2:{fit}", SQUARES, "quick", Ways(is_offline=True))
    assert choice.precision == precision_for(backbone.bf16_pays, use)
    for asked in ("float32", "mixed_bfloat16"):
        (choice,), _ = choose(f"mobilenet:V2:{fit}", SQUARES, "quick", Ways(is_offline=True, precision=asked))
        assert choice.precision == asked


def plan(fit: str, precision: str) -> RunPlan:
    return RunPlan(
        candidate=Candidate("mobilenet", "tiny", fit, PIXELS),  # type: ignore[arg-type]
        recipe=Recipe(pixels=PIXELS),
        seed=0,
        facts=SQUARES.facts_in_key(),
        data8="12345678",
        threads=1,
        backend="tensorflow",
        weights_sha="a" * 64,
        precision=precision,
    )


@pytest.mark.parametrize("fit", ["scratch", "probe", "tail", "full"])
def test_precision_is_part_of_every_key(fit: str) -> None:
    whole, half = plan(fit, "float32"), plan(fit, "mixed_bfloat16")
    assert whole.key != half.key
    if fit in ("probe", "tail"):
        assert banks_of(whole)[0].key != banks_of(half)[0].key


@pytest.mark.parametrize("fit", ["scratch", "probe", "tail", "full"])
def test_a_head_on_features_is_trained_in_whole_numbers_all_else_as_asked(fit: str) -> None:
    assert plan(fit, "mixed_bfloat16").fit_precision == ("float32" if fit == "probe" else "mixed_bfloat16")


def noise(n: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, PIXELS, PIXELS, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", ["bit", "mobilenet", "vgg16"])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_the_fast_way_gives_the_model_s_own_numbers(tmp_path: Path, name: str, precision: str) -> None:
    weights = None if name == "bit" else save_tiny(tmp_path / "a.weights.h5", name)
    keras.config.set_dtype_policy(precision)
    model = load_backbone(name).build(PIXELS, "tiny", weights)
    expected = np.asarray(model(noise(), training=False)).astype(np.float32)
    found = np.asarray(fast_forward(model, 8)(noise())[0]).astype(np.float32)
    atol = expected.std() * (1e-4 if precision == "float32" else 0.05)
    assert expected.std() > 0 and np.allclose(found, expected, atol=atol)


def test_the_fast_way_keeps_the_weights_that_it_was_made_with() -> None:
    model = load_backbone("vgg16").build(PIXELS, "tiny")
    forward = fast_forward(model, 8)
    (before,) = forward(noise())
    for weight in model.weights:
        weight.assign(weight * 0)
    assert (forward(noise())[0] == before).all() and before.std() > 0


def test_a_reader_of_strips_is_not_measured_on_square_photos() -> None:
    with pytest.raises(BadInput, match="backbone crnn: it reads strips"):
        measure("crnn")
