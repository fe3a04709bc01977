"""Where names become modules: the file's name is the key, and one import call is the whole registry.

Stands before everything else on the way of the data: it turns COMP=, a layout's or a backbone's name into the facts behind it.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
import re
import runpy
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from comp.errors import BadInput
from comp.spec import Backbone, Competition

Record = TypeVar("Record")

# It names folders (runs/<name>/), so it must mean the same on every file system.
_SANE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def names(package: str) -> list[str]:
    """Return the names of a package's modules, sorted, importing none of them.

    Args:
        package: Dotted name, such as `comp.competitions`; modules that begin with an underscore are its own affair.
    """
    found = importlib.util.find_spec(package)
    if found is None or found.submodule_search_locations is None:
        raise ModuleNotFoundError(f"no package {package}", name=package)
    modules = pkgutil.iter_modules(found.submodule_search_locations)
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def load(package: str, name: str) -> ModuleType:
    """Return the module of that name in a package.

    Raises:
        BadInput: If there is none; the line says which are known, and which was likely meant.
    """
    known = names(package)
    if name not in known:
        word = package.rsplit(".", 1)[-1].removesuffix("s")
        own = ", or a file of your own: COMP=./mine.py" if word == "competition" else ""
        raise BadInput(f"no {word} is called {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}{own}")
    return importlib.import_module(f"{package}.{name}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the known word that is spelt most like `word`, or the empty string."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def load_layout(name: str) -> ModuleType:
    """Return the layout module of that name; its `read(competition, data_dir)` gives `comp.tables.Tables`.

    Raises:
        BadInput: If there is none.
    """
    return load("comp.layouts", name)


def load_backbone(name: str) -> Backbone:
    """Return the facts and the `build` of a backbone.

    Raises:
        BadInput: If there is none of that name.
    """
    module = load("comp.backbones", name)
    return _taken(vars(module), "BACKBONE", Backbone, f"comp/backbones/{name}.py")


def load_competition(name_or_path: str) -> Competition:
    """Return the facts of a competition of the project, or of a file outside it.

    Args:
        name_or_path: A module of `comp.competitions`, or the path of a Python file (it has a slash or ends with `.py`).

    Raises:
        BadInput: If there is none, or if the file cannot be executed or holds no usable COMPETITION.
    """
    if "/" in name_or_path or name_or_path.endswith(".py"):
        found, where = _execute(Path(name_or_path).expanduser(), name_or_path), name_or_path
    else:
        found, where = vars(load("comp.competitions", name_or_path)), f"comp/competitions/{name_or_path}.py"
    competition = _taken(found, "COMPETITION", Competition, where)
    complaint = _complaint(competition)
    if complaint:
        raise BadInput(f"COMP={where}: {complaint}")
    return competition


def _execute(path: Path, asked: str) -> Mapping[str, Any]:
    if not path.is_file():
        here = "is no file" if path.exists() else "no such file"
        raise BadInput(f"COMP={asked}: {here}; known by name: {', '.join(names('comp.competitions'))}")
    try:
        # runpy, not import: it leaves no __pycache__ beside the person's file and never reads a stale one
        return runpy.run_path(str(path), run_name=f"foldboard_competition_{path.stem}")
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        where = _line_in(path, error)
        raise BadInput(f"COMP={asked}: could not be executed{where}: {reason}; mend the file") from error


def _line_in(path: Path, error: BaseException) -> str:
    """Return ` (line N)`: where in that file it happened, as far as it is known."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    lines = [error.lineno] if isinstance(error, SyntaxError) and error.lineno else [frame.lineno for frame in frames]
    return f" (line {lines[-1]})" if lines else ""


def _taken(found: Mapping[str, Any], name: str, kind: type[Record], where: str) -> Record:
    record = found.get(name)
    if not isinstance(record, kind):
        got = "it is not defined" if name not in found else f"it is of type {type(record).__name__}"
        raise BadInput(f"{where}: expected {name} = {kind.__name__}(...), but {got}")
    return record


def _complaint(competition: Competition) -> str | None:
    """Return what is wrong with a hand-written record, or None: Python itself does not hold it to its types."""
    for field, hint in get_type_hints(Competition).items():
        value = getattr(competition, field)
        if not _fits(value, hint):
            return f"{field}={value!r}: expected {_in_words(hint)}"
    if not _SANE_NAME.fullmatch(competition.name):
        return f"name={competition.name!r}: expected letters, digits, _ and - only (64 at most): it names a folder"
    of_text = {competition.task == "transcribe", competition.submission == "text", competition.resize == "height"}
    if len(of_text) > 1:
        return "transcripts go together: expected task='transcribe', submission='text' and resize='height', or none of them"
    if competition.submission == "probability" and competition.positive is None:
        return "submission='probability': expected positive='class', the class whose probability is handed in"
    return None


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in arguments
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin in (tuple, frozenset):
        return isinstance(value, origin) and all(_fits(item, arguments[0]) for item in value)
    if origin is not None:
        return isinstance(value, origin)
    return isinstance(value, (int, float) if hint is float else hint)


def _in_words(hint: Any) -> str:
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")
