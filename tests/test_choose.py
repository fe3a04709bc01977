"""What is trained, decided: weights taken, left out with the reason, fetched, or refused in one line; never a silent random start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from comp.engines.inline import InlineEngine
from comp.errors import BadInput
from comp.registry import load_backbone
from comp.spec import Competition, Weights
from comp.tables import read_tables
from comp.ways import Ways
from submissions.choose import Choice, choose, fetched
from tests.made import SQUARES, make_squares
from tests.served import FileServer, serve
from tuning.setup import Settings, subjects_of

FAMILIES = replace(SQUARES, candidates=("mobilenet", "efficientnet_v2", "resnet"), pixels=224)
CONTENT = b"numbers"
SIZES = {("mobilenet", "V2"): 9.4, ("efficientnet_v2", ""): 24.0, ("resnet", ""): 94.0, ("vgg16", "16"): 58.9}


@pytest.fixture(autouse=True)
def homes(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test folders of its own: the current one, where `weights/` may lie, and Keras' cache."""
    monkeypatch.setenv("KERAS_HOME", str(in_folder / "keras"))
    return in_folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Publish the weights of some backbones on this machine: a server that has none of the files, until a test adds some."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as running:
        for (name, variant), megabytes in SIZES.items():
            backbone = load_backbone(name)
            published = Weights(file=f"{name}.h5", url=running.url(f"{name}.h5"), megabytes=megabytes)
            monkeypatch.setitem(backbone.weights, variant or backbone.default_variant, published)  # type: ignore[arg-type]
        yield running


def put(name: str, folder: str = "weights") -> Path:
    path = Path(folder) / f"{name}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


def chosen(
    asked: str | None, preset: str = "standard", competition: Competition = FAMILIES, **ways: object
) -> tuple[list[Choice], list[str]]:
    return choose(asked, competition, preset, Ways(**ways))  # type: ignore[arg-type]


def names(choices: list[Choice]) -> list[str]:
    return [f"{choice.candidate.backbone}:{choice.candidate.fit}" for choice in choices]


def refusal(asked: str, **ways: object) -> str:
    with pytest.raises(BadInput) as error:
        chosen(asked, **ways)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_own_candidates_with_weights_on_disk_are_taken_the_others_left_out_with_the_reason(server: FileServer) -> None:
    path = put("mobilenet")
    choices, notes = chosen(None)
    assert names(choices) == ["mobilenet:probe"]
    assert choices[0].weights is not None and choices[0].weights.path == path
    assert [note.split()[0] for note in notes] == ["efficientnet_v2", "resnet"]
    assert all("left out" in note and "does not answer" in note for note in notes)
    assert all(method == "HEAD" for method in server.methods)


def test_a_small_missing_file_of_an_own_candidate_is_fetched_if_its_source_has_it(server: FileServer) -> None:
    server.files["resnet.h5"] = CONTENT
    choices, notes = chosen(None)
    assert names(choices) == ["resnet:probe"] and choices[0].weights is None and len(notes) == 2
    assert choices[0].to_fetch is not None and choices[0].to_fetch.file == "resnet.h5"
    assert "GET" not in server.methods  # the plan is shown first
    (ready,) = fetched(choices, Path("weights"))
    assert ready.to_fetch is None and ready.weights is not None and ready.weights.path.read_bytes() == CONTENT


def test_a_large_missing_file_is_never_fetched_unasked(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["resnet.h5"] = CONTENT
    backbone = load_backbone("resnet")
    large = replace(backbone.weights[backbone.default_variant], megabytes=171.0)
    monkeypatch.setitem(backbone.weights, backbone.default_variant, large)  # type: ignore[arg-type]
    choices, notes = chosen(None)
    assert names(choices) == ["scratch_cnn:scratch"] and "171 MB" in " ".join(notes)
    assert ("HEAD", "resnet.h5", "") not in server.asked
    assert names(chosen("resnet")[0]) == ["resnet:probe"]  # asked for by name


def test_none_left_is_the_scratch_cnn(server: FileServer) -> None:
    choices, notes = chosen(None)
    assert names(choices) == ["scratch_cnn:scratch"] and len(notes) == 3


@pytest.mark.parametrize("asked", [None, "mobilenet", "mobilenet:scratch", "mobilenet resnet:scratch"])
def test_offline_never_asks(server: FileServer, asked: str | None) -> None:
    server.files.update({"mobilenet.h5": CONTENT, "resnet.h5": CONTENT, "efficientnet_v2.h5": CONTENT})
    choices, notes = chosen(asked, is_offline=True)
    assert not server.asked
    assert {choice.candidate.fit for choice in choices} == {"scratch"} and not any(c.to_fetch for c in choices)
    if asked != "mobilenet:scratch":
        assert notes and all("OFFLINE" in note and "does not answer" not in note for note in notes)


@pytest.mark.parametrize("fit", ["probe", "tail", "full"])
@pytest.mark.parametrize("is_offline", [False, True])
def test_a_fit_that_needs_missing_weights_is_one_line(server: FileServer, fit: str, is_offline: bool) -> None:
    Path("named").mkdir()
    line = refusal(f"mobilenet:{fit}", folder="named", is_offline=is_offline)
    for part in (f"mobilenet:{fit}", "mobilenet.h5", "9 MB", "named", "weights", "keras", "WEIGHTS=none"):
        assert part in line
    assert ("OFFLINE=1" in line) is is_offline and bool(server.asked) is not is_offline


def test_an_own_candidate_whose_fit_needs_missing_weights_is_left_out_too(server: FileServer) -> None:
    own = replace(FAMILIES, candidates=("mobilenet:probe", "scratch_cnn"))
    choices, notes = chosen(None, competition=own)
    assert names(choices) == ["scratch_cnn:scratch"] and "mobilenet:probe left out" in " ".join(notes)


def test_an_own_candidate_with_a_fit_has_its_small_file_fetched_too(server: FileServer) -> None:
    server.files["mobilenet.h5"] = CONTENT
    choices, _ = chosen(None, competition=replace(FAMILIES, candidates=("mobilenet:probe",)))
    assert names(choices) == ["mobilenet:probe"] and choices[0].to_fetch is not None


def test_asked_by_name_without_a_fit_and_not_to_be_had_is_said(server: FileServer) -> None:
    choices, notes = chosen("mobilenet")
    assert names(choices) == ["mobilenet:scratch"]
    assert len(notes) == 1 and "from scratch" in notes[0] and "mobilenet.h5" in notes[0]


def test_asked_by_name_a_file_of_any_size_is_fetched(server: FileServer) -> None:
    server.files["mobilenet.h5"] = CONTENT
    choices, notes = chosen("mobilenet:tail")
    assert names(choices) == ["mobilenet:tail"] and choices[0].to_fetch is not None and not notes


def test_a_fit_of_what_has_no_weights_is_one_line(server: FileServer) -> None:
    for candidate in (
        "scratch_cnn:probe",
        "mobilenet:tiny:tail",
        "scratch_cnn:full",
        "gmlp:full",
        "mobilenet:tiny:full",
    ):
        for folder in (None, "none"):
            assert "no published weights" in refusal(candidate, folder=folder)
    assert not server.asked


@pytest.mark.parametrize("candidate", ["scratch_cnn:probe", "gmlp:full"])
def test_nor_is_it_tuned(homes: Path, candidate: str) -> None:
    tables = read_tables(SQUARES, make_squares(homes / "data"))
    with pytest.raises(BadInput, match="no published weights"):
        subjects_of(Settings(backbones=candidate), tables, InlineEngine())


def test_weights_none_trains_a_full_fit_from_scratch_and_says_so(server: FileServer) -> None:
    put("mobilenet")
    choices, notes = chosen("mobilenet:full", folder="none")
    assert names(choices) == ["mobilenet:full"] and choices[0].weights is None and not server.asked
    assert notes == ["mobilenet:full is trained from scratch: WEIGHTS=none"]
    own = replace(FAMILIES, candidates=("mobilenet:full", "scratch_cnn"))
    assert names(chosen(None, competition=own, folder="none")[0]) == ["scratch_cnn:scratch"]


@pytest.mark.parametrize("asked", ["mobilenet", "vgg16 mobilenet:scratch", "scratch_cnn vgg16 resnet bit mlp_mixer"])
def test_weights_none_trains_from_scratch_and_asks_nobody(server: FileServer, asked: str) -> None:
    for name in ("mobilenet", "vgg16"):
        put(name)
    choices, notes = chosen(asked, folder="none")
    assert names(choices) == [f"{word.partition(':')[0]}:scratch" for word in asked.split()]
    assert not notes and not server.asked and not any(choice.weights or choice.to_fetch for choice in choices)


@pytest.mark.parametrize("fit", ["probe", "tail"])
def test_weights_none_and_a_fit_that_needs_some_contradict_each_other(server: FileServer, fit: str) -> None:
    put("mobilenet")
    assert "WEIGHTS=none" in refusal(f"mobilenet:{fit}", folder="none")


def test_scratch_asked_for_takes_no_weights_although_they_are_there(server: FileServer) -> None:
    put("mobilenet")
    choices, notes = chosen("mobilenet:scratch")
    assert names(choices) == ["mobilenet:scratch"] and choices[0].weights is None and not notes


@pytest.mark.parametrize(
    ("preset", "fits"), [("quick", ["probe"]), ("standard", ["probe"]), ("best", ["probe", "tail"])]
)
def test_a_candidate_without_a_fit_gets_the_preset_s(server: FileServer, preset: str, fits: list[str]) -> None:
    put("mobilenet")
    choices, _ = chosen("mobilenet", preset)
    assert names(choices) == [f"mobilenet:{fit}" for fit in fits]
    assert all(choice.candidate.variant == "V2" and choice.weights for choice in choices)


def test_what_is_named_twice_is_trained_once(server: FileServer) -> None:
    put("mobilenet")
    choices, _ = chosen("mobilenet, mobilenet:V2:probe mobilenet:probe scratch_cnn scratch_cnn:base:scratch")
    assert names(choices) == ["mobilenet:probe", "scratch_cnn:scratch"]


def test_specimens_has_five_tiny_rows_from_scratch_whatever_is_on_disk(server: FileServer) -> None:
    from comp.registry import load_competition

    for name in ("vgg16", "resnet"):
        put(name)
    choices, notes = choose(None, load_competition("specimens"), "standard", Ways())
    assert names(choices) == [f"{name}:scratch" for name in ("scratch_cnn", "vgg16", "resnet", "bit", "mlp_mixer")]
    assert {choice.candidate.variant for choice in choices} == {"tiny"} and not notes and not server.asked


def test_an_unknown_preset_is_one_line_before_anything_is_asked(server: FileServer) -> None:
    with pytest.raises(BadInput, match="PRESET=slow: expected one of"):
        chosen("mobilenet", "slow")
    assert not server.asked
