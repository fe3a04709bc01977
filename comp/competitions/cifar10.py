"""CIFAR-10: a photo of 32 x 32 pixels, one of ten kinds of thing, in Kaggle's layout and columns.

Source: Krizhevsky 2009; Kaggle, CIFAR-10 - Object Recognition in Images (50,000 photos; its test part has 300,000, 290,000 of them
padding), which takes late submissions. BiT-M-R50x1 reaches 97.2 % with the features of 14 million photos (arXiv 1912.11370).
Run: make submit COMP=cifar10 DATA=path/to/cifar-10
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="cifar10",
    title="Kind of thing on a photo of 32 x 32 pixels, ten kinds",
    layout="labels_by_id",
    train_table="trainLabels.csv",
    sample_submission="sampleSubmission.csv",
    id_column="id",
    target_column="label",
    submission="label",
    metric="accuracy",
    also=("top5",),
    pixels=32,
    symmetries=frozenset({"flip", "zoom", "shift", "brightness", "contrast", "hue", "cutout"}),
    twins=False,
    candidates=("small_resnet:8/48", "mlp_mixer:micro/4"),
    epochs_scale=1.4,  # a network for 32 px is small, and its epochs are short
    strength_scale=2.6,  # shifts of 3 pixels, holes of 3 to 7
    scratch={"tta_views": 6},  # moved by a pixel: a point of accuracy for a twentieth of a small network's minutes
    slug="cifar-10",
    folders=("cifar10", "cifar-10"),
)
