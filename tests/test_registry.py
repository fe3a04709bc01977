"""Promises of comp.registry: the file's name is the key, unknown names and broken files are one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from comp.errors import BadInput
from comp.registry import did_you_mean, load, load_backbone, load_competition, load_layout, names
from comp.spec import Competition

FACTS = 'name="mine", title="", layout="table", id_column="id", target_column="label", submission="label"'


def write(path: Path, facts: str = FACTS) -> str:
    path.write_text(f"from comp.spec import Competition\nCOMPETITION = Competition({facts})\n")
    return str(path)


def test_names_are_the_files_of_the_package() -> None:
    folder = Path(__file__).parents[1] / "comp" / "competitions"
    files = sorted(path.stem for path in folder.glob("[!_]*.py"))
    assert names("comp.competitions") == files
    assert {"rare_species", "specimens"} <= set(files)


@pytest.mark.parametrize("name", names("comp.competitions"))
def test_each_competition_loads_and_is_called_as_its_file(name: str) -> None:
    competition = load_competition(name)
    assert competition.name == name
    assert competition.layout in names("comp.layouts")


@pytest.mark.parametrize("name", names("comp.layouts"))
def test_each_layout_reads(name: str) -> None:
    assert callable(load_layout(name).read)


@pytest.mark.parametrize("name", names("comp.backbones"))
def test_each_backbone_is_called_as_its_file(name: str) -> None:
    backbone = load_backbone(name)
    assert backbone.name == name
    assert "tiny" in backbone.variants


@pytest.mark.parametrize("package", ["comp.competitions", "comp.layouts", "comp.backbones"])
@pytest.mark.parametrize("name", ["no-such", "", "../errors", "specimens.x", "__init__"])
def test_an_unknown_name_is_one_line_with_the_known_ones(package: str, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        load(package, name)
    line = str(caught.value)
    assert "\n" not in line
    assert all(known in line for known in names(package))


def test_a_near_miss_is_named() -> None:
    with pytest.raises(BadInput, match=r"did you mean rare_species\?"):
        load_competition("rare-species")
    assert did_you_mean("zzz", ["rare_species"]) == ""


def test_a_package_that_is_none_is_an_error_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError):
        names("comp.no_such_package")


def test_names_and_loading_import_neither_keras_nor_pandas() -> None:
    code = (
        "import sys; from comp.registry import load_competition, names; names('comp.backbones'); "
        "load_competition('specimens'); print({'keras', 'tensorflow', 'pandas'} & set(sys.modules))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_file_outside_the_project_is_a_competition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "mine.py")
    monkeypatch.chdir(tmp_path)
    assert load_competition(path) == load_competition("./mine.py") == load_competition("mine.py")
    assert isinstance(load_competition("mine.py"), Competition)


def test_loading_leaves_nothing_beside_the_file_and_sees_each_edit(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.py", FACTS + ", pixels=64")
    assert load_competition(path).pixels == 64
    write(tmp_path / "mine.py", FACTS + ", pixels=96")  # same size, same second: a cached copy would be stale
    assert load_competition(path).pixels == 96
    assert [found.name for found in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("COMPETITION = 3", "of type int"),
        ("", "not defined"),
        ("competition = (", r"line 1\): SyntaxError"),
        ("x = 1\n\nx = 1 / 0", r"line 3\): ZeroDivisionError: division by zero"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit('bye')", "SystemExit: bye"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("from comp.spec import Competition\nCOMPETITION = Competition(name='x')", "TypeError.*missing"),
        ("\0", "SyntaxError|ValueError"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(BadInput, match=said) as caught:
        load_competition(str(path))
    assert "\n" not in str(caught.value)
    assert "mine.py" in str(caught.value)


@pytest.mark.parametrize("path", ["./no_such.py", "/", "no_such.py"])
def test_a_path_without_a_file_says_what_is_known(path: str) -> None:
    with pytest.raises(BadInput, match="specimens"):
        load_competition(path)


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ('name="../up"', "names a folder"),
        ('name=""', "names a folder"),
        ('name="a b"', "names a folder"),
        ('resize="stretch"', "resize='stretch'.*squash"),
        ('pixels="96"', "pixels='96'"),
        ('folders="flowers"', "folders='flowers'.*tuple"),
        ('symmetries=frozenset({"mirror"})', "mirror"),
        ("channels=4", "channels=4"),
        ("path_column=3", "path_column=3"),
        ('medals={"gold": 1}', None),
        ('positive="dog", submission="probability"', None),
        ('submission="probability"', "positive="),
    ],
)
def test_facts_are_held_to_their_types(tmp_path: Path, fact: str, said: str | None) -> None:
    name = fact.split("=")[0]
    rest = ", ".join(
        part for part in FACTS.split(", ") if not part.startswith((name, *(["submission"] * ("submission" in fact))))
    )
    path = write(tmp_path / "mine.py", f"{rest}, {fact}")
    if said is None:
        load_competition(path)
        return
    with pytest.raises(BadInput, match=said):
        load_competition(path)
