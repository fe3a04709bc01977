"""MNIST: a handwritten digit of 28 x 28 pixels, from the one file of keras.datasets; its 10,000 test labels score the CSV at the end.

Source: LeCun, Cortes, Burges (60,000 + 10,000 digits). The Keras example of a simple convnet has 99.22 % test accuracy.
The columns are those of its Kaggle twin, whose test rows are others: see `digit_recognizer`.
Run: make submit COMP=mnist DATA=path/to/folder-of-mnist.npz
"""

from comp.spec import Competition

SOURCE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"  # as keras.datasets has it

COMPETITION = Competition(
    name="mnist",
    title="Which digit was written",
    layout="npz",
    train_table="mnist.npz",
    id_column="ImageId",
    target_column="Label",
    submission="label",
    metric="accuracy",
    also=("log_loss",),
    channels=1,
    pixels=28,
    symmetries=frozenset({"zoom", "rotate", "shift"}),  # a mirrored digit is another, or none
    twins=False,  # digits look alike without being copies
    candidates=("mlp", "small_cnn:base"),
    epochs_scale=0.3,  # 48,000 rows a fold
    strength_scale=1.7,  # turned by 14 degrees, moved by 2 pixels
    sources=(f"{SOURCE}#sha256={SHA256}",),
    folders=("mnist",),
)
