"""Digit Recognizer: the same digits as MNIST in Kaggle's CSV files of pixels, 42,000 to learn from, 28,000 to answer.

Source: Kaggle, Digit Recognizer, which takes submissions for ever. Its test rows are all part of the MNIST that is public: scores of
1.0 on its board come from there.
Run: make submit COMP=digit_recognizer DATA=path/to/digit-recognizer
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="digit_recognizer",
    title="Which digit was written, from Kaggle's pixels",
    layout="pixel_csv",
    id_column="ImageId",
    target_column="Label",
    submission="label",
    metric="accuracy",
    also=("log_loss",),
    channels=1,
    pixels=28,
    symmetries=frozenset({"zoom", "rotate", "shift"}),
    twins=False,
    candidates=("mlp", "small_cnn:base"),
    epochs_scale=0.5,  # 33,600 rows a fold
    strength_scale=1.7,
    slug="digit-recognizer",
    folders=("digit_recognizer", "digit-recognizer"),
)
