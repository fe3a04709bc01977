"""A data set of Hugging Face to a folder, through its own library, which resumes and checks hashes itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from comp.errors import BadInput, NoNetwork, NotThere, RemoteError, RulesNotAccepted
from comp.fetch import hugging_face_files, set_hub_timeouts
from comp.unpack import is_archive, unpack

INSTALL = "pip install 'foldboard[huggingface]'"


def snapshot(name: str, folder: Path) -> None:
    """Bring all files of the data set `OWNER/NAME` into a folder, archives unpacked.

    Raises:
        BadInput: If the library is not installed.
        RemoteError: If the data set is not to be had; the kind says why.
        Refused: If an archive in it is unsafe to unpack.
    """
    set_hub_timeouts()
    try:
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise BadInput(f"hf:{name}: the library huggingface_hub is not installed; {INSTALL}") from error
    place = f"https://huggingface.co/datasets/{name}"
    try:
        hugging_face_files(name, repo_type="dataset", local_dir=folder)
    except GatedRepoError:
        raise RulesNotAccepted(f"hf:{name}: its terms are not accepted: log in on {place} and accept them") from None
    except RepositoryNotFoundError:
        raise NotThere(f"hf:{name}: there is no such data set, or it is private; see {place}") from None
    except (LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, HfHubHTTPError):
            raise RemoteError(f"hf:{name}: Hugging Face refuses ({type(error).__name__}); try again later") from None
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NoNetwork(f"hf:{name}: Hugging Face cannot be reached; check the network, then try again") from None
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for archive in [path for path in folder.rglob("*") if path.is_file() and is_archive(path)]:
        unpack(archive, archive.parent)
        archive.unlink()
