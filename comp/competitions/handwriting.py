"""Handwriting: the picture of a handwritten word, its transcript wanted.

Source: words in the layout of IAM (Marti and Bunke 2002; registration, research use), or those of George Washington's letters
(Fischer et al. 2012, IAM-HistDB) brought into it. Words of one writer, else of one page, stay in one fold.
Run: make submit COMP=handwriting DATA=path/to/handwriting
"""

from comp.spec import INK_SYMMETRIES, Competition

COMPETITION = Competition(
    name="handwriting",
    title="Transcript of a handwritten word",
    layout="iam_words",
    task="transcribe",
    train_table="words.txt",
    train_folder="words",
    id_column="id",
    target_column="text",
    group_column="writer",
    metric="cer",
    also=("wer", "exact"),
    submission="text",
    channels=1,
    pixels=48,
    resize="height",
    symmetries=INK_SYMMETRIES,
    twins=False,
    candidates=("crnn",),
    folders=("handwriting", "iam_words", "iam"),
)
