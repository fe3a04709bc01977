"""Specimens: the embedded sample. Drawn animals of 4 phyla and their families, in the layout of Rare Species.

Source: drawn by `comp/samples/specimens.py`, stored nowhere; the answers of its test photos lie apart and grade the CSV.
Run: make submit
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="specimens",
    title="Family of a drawn animal, phylum known",
    layout="table",
    train_table="metadata.csv",
    id_column="rare_species_id",
    target_column="family",
    path_column="file_path",
    condition_column="phylum",
    metric="macro_f1",
    submission="label",
    pixels=40,
    epochs_scale=0.35,
    symmetries=frozenset({"flip"}),  # pose, light and colour are drawn at random already
    candidates=("scratch_cnn:tiny", "vgg16:tiny", "resnet:tiny", "bit:tiny", "mlp_mixer:tiny"),
    sample="specimens",
    folders=("specimens",),
)
