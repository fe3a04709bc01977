"""Benchmark tracks as data: which competitions are scored together, with which candidates and budget, beside which published number.

A track is trained by the same harness as `make submit`; nothing here does anything. Candidates whose weights are nowhere are left
out; where none is left, `otherwise` is trained. Fits are named, so that a candidate means the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Published:
    """A result that others published of the same task.

    Attributes:
        score: As they write it, with its metric.
        source: Who says so, and where.
        catch: Why it is not to be compared one to one with ours.
    """

    score: str
    source: str
    catch: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One competition of a track, and what is trained on it.

    Attributes:
        candidates: By preset, as BACKBONES takes them: what fits the track's minutes on two cores, all weights there.
        on_gpu: Further ones by preset, on a machine with a GPU alone.
        otherwise: What is trained where the weights of none of them are there.
        folds: Number of folds by preset, where it is not the competition's own.
        rows: Train rows that the track's minutes are made for; where there are more, and no GPU, what is trained from scratch
            passes over them less often.
    """

    competition: str
    rows: int
    candidates: Mapping[str, str]
    on_gpu: Mapping[str, str] = field(default_factory=dict)
    otherwise: str = ""
    folds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Track:
    """Competitions that are benchmarked together.

    Attributes:
        minutes: The longest that all its competitions together may take on two cores, by preset.
        sample: What stands in for it, labelled so, where there are no data at all.
    """

    name: str
    title: str
    entries: tuple[Entry, ...]
    published: tuple[Published, ...]
    minutes: Mapping[str, int]
    sample: Entry | None = None


HOUR = {"quick": 8, "standard": 60, "best": 240}
SCRATCH = "scratch_cnn:small:scratch"

# All of the mission that learns on features; in their order, those whose weights are there. Mixers were made for 224 px.
_FROZEN = (
    "mobilenet:probe squeezenet:probe efficientnet_v2:probe resnet:probe bit:R50x1:probe convnext:probe vgg16:probe "
    "mlp_mixer:S/16:probe:224px mobilenet:tail"
)
_CIFAR = {
    "quick": "small_resnet:tiny:scratch mlp_mixer:tiny:scratch fnet:tiny:scratch gmlp:tiny:scratch",
    "standard": "small_resnet:8/48:scratch mlp_mixer:micro/4:scratch fnet:micro/4:scratch gmlp:micro/4:scratch",
    "best": "small_resnet:8/64:scratch mlp_mixer:micro/4:scratch fnet:micro/4:scratch gmlp:micro/4:scratch",
}
_DIGITS = {
    "quick": "mlp:512x2:scratch small_cnn:tiny:scratch",
    "standard": "mlp:512x2:scratch small_cnn:base:scratch",
    "best": "mlp:1024x2:scratch small_cnn:small:scratch small_cnn:base:scratch",
}

TRACKS: tuple[Track, ...] = (
    Track(
        name="family",
        title="family of an animal, phylum known",
        entries=(
            Entry(
                competition="rare_species",
                rows=3_600,
                candidates={
                    "quick": "mobilenet:probe squeezenet:probe",
                    # the larger ones on smaller photos; ConvNeXt and MLP-Mixer take an hour more
                    "standard": "scratch_cnn:base:scratch mobilenet:probe squeezenet:probe efficientnet_v2:probe "
                    "resnet:probe:160px bit:R50x1:probe:160px vgg16:probe:96px mobilenet:tail",
                    "best": f"scratch_cnn:base:scratch {_FROZEN.replace('vgg16:probe', 'vgg16:probe:160px')}",
                },
                on_gpu={"best": "mlp_mixer:B/16:probe resnet:tail vgg16:tail bit:R50x1:tail"},
                otherwise=f"{SCRATCH}:64px",
            ),
        ),
        published=(
            Published(
                score="macro-F1 82.7 to 82.9 %, accuracy 84.6 to 84.8 %",
                source="best student project 2024/25, ConvNeXtBase frozen at 224 px",
                catch="Rare Species, 202 families; one split, 1,199 test photos, of seen species",
            ),
        ),
        minutes=HOUR,
        sample=Entry(
            competition="specimens",
            rows=1_300,
            candidates=dict.fromkeys(("quick", "standard", "best"), "scratch_cnn:tiny:scratch vgg16:tiny:scratch"),
        ),
    ),
    Track(
        name="cats_vs_dogs",
        title="cat or dog",
        entries=(
            Entry(
                competition="cats_vs_dogs",
                rows=1_700,
                candidates={
                    "quick": f"{SCRATCH}:64px mobilenet:probe squeezenet:probe efficientnet_v2:probe",
                    "standard": "scratch_cnn:base:scratch:96px mobilenet:probe squeezenet:probe efficientnet_v2:probe "
                    "resnet:probe convnext:probe",
                    "best": "scratch_cnn:base:scratch:128px mobilenet:probe squeezenet:probe efficientnet_v2:probe "
                    "resnet:probe convnext:probe mobilenet:tail",
                },
                folds={"quick": 3},
            ),
        ),
        published=(
            Published(
                score="accuracy 95.75 % in the best epoch, 87.10 % in the last",
                source="Keras example image_classification_from_scratch, CNN at 180 px, 25 epochs, 23,410 photos",
                catch="valid accuracy, the best epoch picked on the same photos; no test set",
            ),
            Published(
                score="log-loss 0.03882 / 0.05038 / 0.06127 / 0.12216 (gold, silver, bronze, median)",
                source="Kaggle dogs-vs-cats-redux, private leaderboard",
                catch="25,000 train photos, any pre-trained network",
            ),
        ),
        minutes=HOUR,
    ),
    Track(
        name="flowers",
        title="kind of a flower",
        entries=(
            Entry(
                competition="flowers",
                rows=2_000,
                candidates={
                    "quick": "bit:R50x1:probe mobilenet:probe squeezenet:probe efficientnet_v2:probe",
                    "standard": _FROZEN,
                    "best": f"{_FROZEN} resnet:tail bit:R50x1:tail",
                },
                # BiT with HyperRule: 500 steps of 512 photos at 480 px, two weeks of two cores
                on_gpu={"best": "bit:R50x1:full"},
                otherwise=f"{SCRATCH}:64px",
            ),
        ),
        published=(
            Published(
                score="accuracy 97.27 %",
                source="Keras example bit, BiT-M-R50x1 with HyperRule on tf_flowers",
                catch="valid accuracy, stopped early on the same photos; 85 % of 3,670 photos to learn from",
            ),
        ),
        minutes=HOUR,
    ),
    Track(
        name="cifar",
        title="kind of thing on 32 x 32 pixels",
        entries=(
            # networks that are far from done learn more from twice the passes than from a fifth more photos
            Entry(competition="cifar10", rows=10_000, candidates=_CIFAR, folds={"quick": 2, "standard": 3, "best": 3}),
            # 50,000 photos in what CIFAR-10 leaves of the track's minutes
            Entry(
                competition="cifar100",
                rows=50_000,
                candidates={**_CIFAR, "standard": _CIFAR["quick"], "best": _CIFAR["best"].replace("8/64", "8/48")},
                folds={"quick": 2, "standard": 2, "best": 2},
            ),
        ),
        published=(
            Published(
                score="CIFAR-100 top-1 / top-5: MLP-Mixer 47.58 / 77.18, FNet 46.63 / 76.47, gMLP 50.64 / 78.28 %",
                source="Keras example mlp_image_classification, 50 epochs at 64 px",
                catch="50,000 train photos",
            ),
            Published(
                score="CIFAR-10 accuracy 97.2 %, CIFAR-100 86.5 % (R152x2: 98.5, 91.3)",
                source="BiT-M-R50x1, arXiv 1912.11370 and its repository",
                catch="pre-trained on 14 million photos, tuned on all 50,000",
            ),
        ),
        minutes={"quick": 8, "standard": 75, "best": 240},
    ),
    Track(
        name="mnist",
        title="which digit was written",
        entries=(
            # four folds of two jobs take the two rounds that three take
            Entry(competition="mnist", rows=60_000, candidates=_DIGITS, folds={"quick": 2, "standard": 4}),
            Entry(
                competition="digit_recognizer",
                rows=42_000,
                candidates=_DIGITS,
                folds={"quick": 2, "standard": 3, "best": 3},
            ),
        ),
        published=(
            Published(
                score="test accuracy 99.22 %",
                source="Keras example mnist_convnet",
                catch="one training, as it came out",
            ),
            Published(
                score="test accuracy up to 99.91 %",
                source="ensembles of small CNNs, arXiv 2008.10400",
                catch="the best of many draws, picked by the test score",
            ),
        ),
        minutes=HOUR,
        sample=Entry(
            competition="digits",
            rows=1_800,
            candidates=dict.fromkeys(("quick", "standard", "best"), "mlp:tiny:scratch small_cnn:tiny:scratch"),
        ),
    ),
    Track(
        name="handwriting",
        title="transcript of a handwritten word",
        entries=(
            # six folds of two jobs take the three rounds that five take
            Entry(
                competition="handwriting",
                rows=3_200,
                candidates=dict.fromkeys(("quick", "standard", "best"), "crnn:scratch"),
                folds={"standard": 6},
            ),
        ),
        published=(
            Published(
                score='"mean edit distance" 17.8',
                source="Keras example handwriting_recognition, IAM words",
                catch="padding is counted, so it is no rate of errors",
            ),
            Published(
                score="CER about 10 %, exact words about 75 %",
                source="SimpleHTR, IAM words",
                catch="IAM: other writers, 115,000 words",
            ),
            Published(
                score="CER 7.68 %",
                source="PyLaia, IAM lines",
                catch="IAM: whole lines, other writers",
            ),
        ),
        minutes=HOUR,
    ),
)
