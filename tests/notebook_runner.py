"""Executes a notebook in the folder that it lies in: `python notebook_runner.py IN OUT`."""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

import nbformat
from nbclient import NotebookClient

SET_FLAGS, UP = 0x8914, 1  # of a network interface, in Linux' words


def raise_loopback() -> None:
    """Let this machine talk to itself in a network of its own: kernels are spoken to over 127.0.0.1."""
    import fcntl

    with suppress(OSError), socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14s", b"lo", UP, b""))


def main(path: Path, out: Path) -> None:
    raise_loopback()
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=1400, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
