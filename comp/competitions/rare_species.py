"""Rare Species: a photo of an animal, its phylum known, its taxonomic family wanted (202 families, 5 phyla).

Source: imageomics/rare-species (11,983 photos, compilation CC0), in the layout that the course hands out.
Run: make submit COMP=rare_species DATA=path/to/rare-species
"""

from comp.spec import Competition

COMPETITION = Competition(
    name="rare_species",
    title="Family of an animal from its photo, phylum known",
    layout="table",
    train_table="metadata.csv",
    id_column="rare_species_id",
    target_column="family",
    path_column="file_path",
    condition_column="phylum",
    metric="macro_f1",
    submission="label",
    candidates=("mobilenet", "squeezenet", "efficientnet_v2", "resnet"),
    sources=("hf:imageomics/rare-species",),
    reshape="rare_species",
    folders=("rare_species", "rare-species", "animal-families"),
)
