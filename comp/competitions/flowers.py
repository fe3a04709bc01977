"""Flowers: a photo of a daisy, dandelion, rose, sunflower or tulip.

Source: Kaggle data set alxmamaev/flowers-recognition (4,242 photos), one folder a kind. BiT-M-R50x1 reaches 97.27 % valid accuracy
on tf_flowers, the same five kinds, in the Keras example of BiT.
Run: make submit COMP=flowers DATA=path/to/flowers
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="flowers",
    title="Kind of a flower from its photo",
    layout="class_folders",
    id_column="id",
    target_column="label",
    submission="label",
    metric="accuracy",
    also=("macro_f1",),
    pixels=160,
    candidates=("bit", "mobilenet", "squeezenet", "efficientnet_v2"),
    epochs_scale=2.0,  # 2,000 photos: an epoch is short
    sources=("kaggle-dataset:alxmamaev/flowers-recognition",),
    folders=("flowers", "flowers-recognition"),
)
