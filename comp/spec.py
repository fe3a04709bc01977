"""The frozen records all else is written against: Competition, Backbone, Recipe and Candidate.

Facts only. Behaviour lives in the functions that take these records; nothing changes a record once it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import keras

Task = Literal["classify", "transcribe"]
Resize = Literal["squash", "pad", "crop", "height"]
Symmetry = Literal[
    "flip", "zoom", "rotate", "shift", "brightness", "contrast", "hue", "cutout", "shear", "stretch", "stroke", "noise"
]
SubmissionKind = Literal["label", "probability", "probabilities", "text"]
Use = Literal["extract", "train"]
Fit = Literal["scratch", "probe", "tail", "full"]

FITS: tuple[Fit, ...] = ("scratch", "probe", "tail", "full")
PHOTO_SYMMETRIES: frozenset[Symmetry] = frozenset(
    {"flip", "zoom", "rotate", "shift", "brightness", "contrast", "hue", "cutout"}
)
INK_SYMMETRIES: frozenset[Symmetry] = frozenset({"shear", "stretch", "stroke", "noise"})


@dataclass(frozen=True, kw_only=True)
class Competition:
    """One contest, as facts: where its columns are, what is asked, how it is scored, what is handed in.

    Attributes:
        name: Key of the competition: the name of its file.
        layout: Module of `comp.layouts` that reads its folder.
        id_column, target_column: Columns of the tables, and of the CSV that is handed in.
        path_column: Column that holds a photo's path below the data folder (layout `table`).
        condition_column: What is known of a test row besides its photo (the phylum), or None.
        group_column: Rows of one value never straddle folds, or None.
        metric: Name in `comp.metrics` that the leaderboard ranks by; `also` are shown beside it.
        pixels: Side of the square that photos are brought to, in pixels; `resize` says how. `height` brings them to that height
            and leaves the width free.
        symmetries: What augmentation may do to a photo without changing its label.
        twins: Whether near-duplicates are looked for and kept in one fold.
        positive: Class whose probability is handed in (submission kind `probability`).
        sample: Module of `comp.samples` that draws or makes the data where no folder is given.
        folders: Names the folder is looked for under, below DATA_ROOT (an absolute path stands for itself).
        candidates: What is trained where the person names nothing.
        epochs_scale: What every preset's epochs from scratch are multiplied by; below 1 for what is learnt quickly.
        strength_scale: The same for the strength of augmentation from scratch; above 1 where few photos are seen many times.
        scratch: What of the recipe from scratch its photos ask for, field to value, over the preset; mixup where they are few.
        slug: Name of the competition on Kaggle, or None: what is uploaded to, and where data come from first.
        sources: Further places to download the data from, the first that is named is used where there is no slug:
            `kaggle-dataset:OWNER/NAME`, `hf:OWNER/NAME` (Hugging Face), or `https://...#sha256=HASH`.
        reshape: Module of `comp.reshapes` that brings what was downloaded into the layout, or None.
        space: What tuning may try, narrower than its own ranges: knob to (low, high), or to names (`cut`).
        medals: Score of the gold, silver, bronze and median line of the private leaderboard.
    """

    name: str
    title: str
    layout: str
    id_column: str
    target_column: str
    submission: SubmissionKind
    train_table: str = "train.csv"
    test_table: str = "test.csv"
    sample_submission: str = "sample_submission.csv"
    train_folder: str = "train"
    test_folder: str = "test"
    path_column: str | None = None
    condition_column: str | None = None
    group_column: str | None = None
    metric: str = "macro_f1"
    also: tuple[str, ...] = ("accuracy",)
    task: Task = "classify"
    channels: Literal[1, 3] = 3
    pixels: int = 224
    resize: Resize = "squash"
    symmetries: frozenset[Symmetry] = PHOTO_SYMMETRIES
    twins: bool = True
    positive: str | None = None
    candidates: tuple[str, ...] = ("scratch_cnn",)
    epochs_scale: float = 1.0
    strength_scale: float = 1.0
    scratch: Mapping[str, Any] = field(default_factory=dict)
    n_folds: int = 5
    fold_seed: int = 2026
    slug: str | None = None
    sources: tuple[str, ...] = ()
    reshape: str | None = None
    folders: tuple[str, ...] = ()
    sample: str | None = None
    space: Mapping[str, tuple[float | str, ...]] = field(default_factory=dict)
    medals: Mapping[str, float] = field(default_factory=dict)

    @property
    def submission_columns(self) -> tuple[str, str]:
        """Return the two columns of the CSV: id and answer."""
        return self.id_column, self.target_column

    def facts_in_key(self) -> dict[str, Any]:
        """Return the facts that change a run's numbers; prose, sources, defaults and medal lines do not."""
        names = ("name", "task", "target_column", "condition_column", "channels", "resize")
        facts: dict[str, Any] = {name: getattr(self, name) for name in names}
        return {**facts, "symmetries": sorted(self.symmetries)}


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of pre-trained weights, as its publisher names it.

    Attributes:
        file: Name that it is looked for under.
        url: Where it can be downloaded.
        megabytes: Its size, shown in the plan before anything is fetched.
        pixels: The only side of photos that it fits, in pixels; 0: any.
        sha256, md5: Its hash where the publisher tells one, else empty strings: then shapes are what is checked.
        aliases: Further names that equal weights are found under; such a file is checked by its shapes alone.
        beside: Files in its folder that decide what is computed with it, as far as they are there: their content counts in its hash.
    """

    file: str
    url: str
    megabytes: float
    pixels: int = 0
    sha256: str = ""
    md5: str = ""
    aliases: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One architecture, as facts beside its `build(pixels, variant, weights, **options)`.

    Attributes:
        name: Key of the backbone: the name of its file.
        build: Makes the feature extractor: pixels 0..255 in, feature map or tokens out.
        variants: Published names, smallest first, `tiny` always among them.
        any_variant: Whether a candidate may name others too (`hub:PRESET`): then it must name one.
        takes_widths: Whether `build(..., has_widths=True)` takes strips of any width and, second, how wide each is: what a
            transcript is read from.
        default_variant: The variant that a candidate without one means.
        scratch_variant: The same where it is trained from scratch, small enough for a preset's minutes on two cores;
            empty: the default variant.
        recipe: What of the recipe is this backbone's own, by fit; presets, tuning and the person come over it.
        options: Names of Recipe fields that `build` takes as keywords.
        weights: Pre-trained weights by variant; a variant that is not in it is trained from scratch only.
        parameters: Published number of parameters by variant, without the classification head.
        cuts: Layers where a variant may be cut (below frozen, above trained), the one that trains most first.
        bf16_pays: Uses (`extract`, `train`) for which bfloat16 is faster than float32 on a processor that has it.
        library: Package besides Keras that makes the network; its version counts where features are stored.
        seconds_per_photo: Measured seconds of one training step, per photo, on one core at `measured_pixels`, per variant.
    """

    name: str
    build: Callable[..., keras.Model]
    variants: tuple[str, ...]
    default_variant: str
    scratch_variant: str = ""
    recipe: Mapping[Fit, Mapping[str, Any]] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    weights: Mapping[str, Weights] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    cuts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bf16_pays: frozenset[Use] = frozenset()
    seconds_per_photo: Mapping[str, float] = field(default_factory=dict)
    measured_pixels: int = 64
    library: str = ""
    any_variant: bool = False
    takes_widths: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about training that tuning may change; saved whole with every run.

    Attributes:
        pixels: Side of the square that the backbone sees.
        epochs: Passes over the training rows; fixed, there is no early stopping on the rows that score the fold.
        inner_valid: Share of the training rows held back inside the fold to choose the best epoch; 0 uses the last.
        learning_rate: Peak rate of AdamW, reached after `warmup` (a share of all steps), then falling along a cosine.
        strength: The one knob of augmentation, 0 (none) to 1.
        accumulation_steps: Batches whose gradients are averaged into one step.
        class_weights: Whether rare classes weigh more in the loss (inverse square root of their share).
        views: Views of a photo that a frozen part is computed for (fits `probe` and `tail`): plain, mirrored, drawn ones.
        tta_views: Views whose probabilities are averaged when predicting: 1 plain, 2 with the mirror image; of photos up to 10,
            both moved a little.
        cut: Layer that is cut at (fit `tail`); below it all is frozen.
        head_epochs: Epochs in which the head alone is trained first, on pooled features, at `head_learning_rate` (`tail`).
        depth_decay: What the rate is multiplied by for each step down from the head, a tenth of the depth (`tail`, `full`).
        unfreeze: Share of the steps after which the lowest layer is trained too, from the head down (`full`); 0: at once.
        ema: Momentum of the moving average of the weights that predicts in the end; 0: none.
        mixup, cutmix: Parameter of the Beta distribution that the share of the second photo is drawn from; 0: none.
        pool: How a map becomes one vector: its mean, or the generalised mean (`gem`), which a `probe` has no map for.
        head: `dense`, or `cosine`: the angle to a class's vector, `margin` harder in training.
        condition: What training does with what is known of a row besides its photo (the phylum): nothing, an `input` of the head,
            or `split`: one model for each of its values.
        optimizer: `adamw`, or `hyperrule`: SGD as BiT's HyperRule has it, which sets rate, batch, epochs and mixup too (`full`).
    """

    pixels: int = 96
    epochs: int = 20
    batch_size: int = 32
    accumulation_steps: int = 1
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: float = 0.1
    label_smoothing: float = 0.05
    strength: float = 0.5
    dropout: float = 0.1
    class_weights: bool = False
    inner_valid: float = 0.0
    activation: Literal["leaky_relu", "relu"] = "leaky_relu"
    width: int = 32
    views: int = 1
    tta_views: int = 1
    cut: str = ""
    head_epochs: int = 0
    head_learning_rate: float = 4e-3
    depth_decay: float = 1.0
    unfreeze: float = 0.0
    ema: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    pool: Literal["mean", "gem"] = "mean"
    head: Literal["dense", "cosine"] = "dense"
    margin: float = 0.1
    condition: Literal["no", "input", "split"] = "no"
    optimizer: Literal["adamw", "hyperrule"] = "adamw"

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe as plain JSON values, as it stands in `run.json`."""
        values = asdict(self)
        if self.optimizer == "adamw":  # runs from before there was a choice keep their keys
            del values["optimizer"]
        return values


@dataclass(frozen=True)
class Candidate:
    """What one asks for: `name[:variant][:fit][:Npx]`, parsed. None means the default."""

    backbone: str
    variant: str | None = None
    fit: Fit | None = None
    pixels: int | None = None

    def __str__(self) -> str:
        parts = [self.backbone, self.variant, self.fit, f"{self.pixels}px" if self.pixels else None]
        return ":".join(part for part in parts if part)
