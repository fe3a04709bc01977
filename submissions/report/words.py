"""Facts in words: what a metric means, what a fit does, what a recipe is, how long something took and how large it is."""

from __future__ import annotations

from comp.spec import Competition, Recipe

METRICS = {
    "accuracy": "the share of photos that are answered right",
    "macro_f1": "F1 of each class (its precision and recall in one number), averaged so that a rare class counts as much as a "
    "frequent one",
    "weighted_f1": "F1 of each class, averaged by how frequent the classes are",
    "balanced_accuracy": "the share of each class that is answered right, averaged over the classes",
    "qwk": "agreement of grades beyond chance; being off by two grades costs four times as much as by one",
    "log_loss": "minus the logarithm of the probability given to the truth, averaged; being sure and wrong costs most",
    "auc": "the chance that a row of the class is ranked above one that is not",
    "top5": "the share of photos whose truth is among the five likeliest answers",
    "cer": "the share of characters that must be changed to get the truth",
    "wer": "the share of words that must be changed to get the truth",
}
FITS = {
    "scratch": "trained whole, from random weights",
    "probe": "frozen backbone, its features computed once; only the head is trained",
    "tail": "frozen below the cut; the upper part and the head are trained",
    "full": "starts from pre-trained weights; all of it is trained",
}


def metric_words(name: str) -> str:
    """Return what a metric means, in words; its name where no words are known."""
    return METRICS.get(name, name)


def recipe_words(recipe: Recipe, fit: str) -> str:
    """Return a recipe as a person would tell it: what is on, and nothing of what is off."""
    parts = [
        f"{recipe.epochs} epochs in batches of {recipe.batch_size}",
        f"AdamW, rate {recipe.learning_rate:g} after a warm-up of {100 * recipe.warmup:.0f} % of the steps, then along a cosine",
        f"weight decay {recipe.weight_decay:g}",
        f"augmentation strength {recipe.strength:g}"
        + (f", {recipe.views} stored views" if fit in ("probe", "tail") else ""),
        *_regularisers(recipe),
        *_of_the_fit(recipe, fit),
        _views_words(recipe.tta_views, fit),
    ]
    return "; ".join(part for part in parts if part)


def _views_words(n_views: int, fit: str) -> str:
    if n_views < 2:
        return ""
    if n_views == 2:
        return "mirror image averaged in when predicting"
    return f"{n_views} {'stored views' if fit in ('probe', 'tail') else 'views, mirrored and moved,'} averaged when predicting"


def _regularisers(recipe: Recipe) -> list[str]:
    return [
        f"label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else "",
        f"dropout {recipe.dropout:g} before the head" if recipe.dropout else "",
        f"mixup {recipe.mixup:g}" if recipe.mixup else "",
        f"CutMix {recipe.cutmix:g}" if recipe.cutmix else "",
        "rare classes weigh more" if recipe.class_weights else "",
        f"moving average of the weights {recipe.ema:g}" if recipe.ema else "",
        f"{100 * recipe.inner_valid:.0f} % of the training rows choose the epoch" if recipe.inner_valid else "",
        f"head of angles with margin {recipe.margin:g}" if recipe.head == "cosine" else "",
        f"condition: {recipe.condition}" if recipe.condition != "no" else "",
    ]


def _of_the_fit(recipe: Recipe, fit: str) -> list[str]:
    return [
        f"cut at {recipe.cut}" if fit == "tail" else "",
        f"the head first, {recipe.head_epochs} epochs alone" if fit == "tail" and recipe.head_epochs else "",
        f"lower layers learn slower (x {recipe.depth_decay:g})" if fit != "probe" and recipe.depth_decay != 1 else "",
    ]


def condition_name(competition: Competition) -> str:
    """Return what the condition column is called, `group` where there is none."""
    return competition.condition_column or "group"


def duration(seconds: float) -> str:
    """Return a time as a person says it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(n_bytes: float) -> str:
    """Return a size in units of 1,000."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"
