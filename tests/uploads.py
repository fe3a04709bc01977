"""What the tests of uploads share: a small competition on the made Kaggle, its CSV, its folder."""

from __future__ import annotations

from pathlib import Path

from comp.spec import Competition
from submissions.ledger import read
from tests.kaggle_server import KaggleServer

PETS = Competition(
    name="pets",
    title="Cat or dog",
    layout="class_folders",
    id_column="id",
    target_column="label",
    submission="probability",
    metric="log_loss",
    positive="dog",
    slug="dogs-vs-cats-redux-kernels-edition",
)


def make_csv(folder: Path, n_rows: int = 20, name: str = "answer.csv", shift: float = 0.0) -> Path:
    """Write a sample submission and a CSV that fits it; return the CSV's path."""
    ids = range(1, n_rows + 1)
    sample = "id,label\n" + "".join(f"{i},0.5\n" for i in ids)
    (folder / "sample_submission.csv").write_text(sample)
    path = folder / name
    path.write_text("id,label\n" + "".join(f"{i},{(i * 0.7 + shift) % 1:.4f}\n" for i in ids))
    return path


def assert_sent_once(server: KaggleServer) -> None:
    """Check that the server has exactly one submission, whole, and the ledger its score."""
    assert [row["content"] for row in server.state.submissions] == [Path("answer.csv").read_bytes()]
    events = read(Path("runs/ledger.csv"))
    assert [event.event for event in events].count("created") == 1
    assert (events[-1].event, events[-1].public_score) == ("scored", "0.05123")
