"""Digits: the embedded stand-in for MNIST, 1,797 digits of 8 x 8 pixels that scikit-learn brings along. It is not MNIST.

Source: sklearn.datasets.load_digits: the test part of Alpaydin and Kaynak's Optical Recognition of Handwritten Digits (UCI, 1998; CC BY
4.0). A quarter of them, drawn once, plays the test set; its answers lie apart and grade the CSV.
Run: make submit COMP=digits
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="digits",
    title="Which digit was written, scikit-learn's 8 x 8 pixels in the place of MNIST",
    layout="npz",
    train_table="digits.npz",
    id_column="ImageId",
    target_column="Label",
    submission="label",
    metric="accuracy",
    also=("log_loss",),
    channels=1,
    pixels=16,
    symmetries=frozenset({"zoom", "rotate", "shift"}),
    twins=False,
    candidates=("mlp:tiny", "small_cnn:tiny"),
    sample="digits",
    folders=("digits",),
)
