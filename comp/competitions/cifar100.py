"""CIFAR-100: a photo of 32 x 32 pixels, one of a hundred kinds of thing, in the archive that keras.datasets unpacks.

Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html (50,000 + 10,000 photos). After 50 epochs the Keras example of
MLP-Mixer, FNet and gMLP has 47.58, 46.63 and 50.64 % top-1, 77.18, 76.47 and 78.28 % top-5.
Run: make submit COMP=cifar100 DATA=path/to/folder-of-cifar-100-python
"""

from comp.spec import Competition

SOURCE = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
SHA256 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"  # as keras.datasets has it

COMPETITION = Competition(
    name="cifar100",
    title="Kind of thing on a photo of 32 x 32 pixels, a hundred kinds",
    layout="cifar_archive",
    id_column="id",
    target_column="label",
    submission="label",
    metric="accuracy",
    also=("top5",),
    pixels=32,
    symmetries=frozenset({"flip", "zoom", "shift", "brightness", "contrast", "hue", "cutout"}),
    twins=False,
    candidates=("small_resnet:8/48", "mlp_mixer:micro/4"),
    epochs_scale=0.3,  # many times the photos of a usual set
    scratch={"tta_views": 6},
    sources=(f"{SOURCE}#sha256={SHA256}",),
    folders=("cifar100", "cifar-100", "cifar-100-python"),
)
