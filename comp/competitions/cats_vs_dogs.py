"""Cats vs dogs: a photo of a cat or a dog, the probability that it is a dog wanted.

Source: Kaggle, Dogs vs. Cats Redux: Kernels Edition (25,000 + 12,500 photos of Microsoft's Asirra); it takes late
submissions. Medal lines are those of its private leaderboard, by Kaggle's rule for 1,000 teams or more.
Run: make submit COMP=cats_vs_dogs DATA=path/to/dogs-vs-cats
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="cats_vs_dogs",
    title="Dog or cat, from its photo",
    layout="labelled_names",
    id_column="id",
    target_column="label",
    submission="probability",
    positive="dog",
    metric="log_loss",
    also=("accuracy", "auc"),
    pixels=160,
    candidates=("mobilenet", "squeezenet", "efficientnet_v2", "resnet"),
    epochs_scale=4.0,  # from scratch, 1,700 photos need many passes
    strength_scale=2.4,
    scratch={"mixup": 0.2, "dropout": 0.3, "weight_decay": 0.05},
    slug="dogs-vs-cats-redux-kernels-edition",
    folders=("cats_vs_dogs", "cats-vs-dogs", "dogs-vs-cats-redux-kernels-edition"),
    medals={"gold": 0.03882, "silver": 0.05038, "bronze": 0.06127, "median": 0.12216},
)
