"""The table of several seeds beside what others have published, in the words of each README."""

from collections.abc import Iterable
from dataclasses import dataclass

from seeds import FIGURES, Seeds

SHOWN = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "melanoma_auc", "ece")


@dataclass(frozen=True)
class Published:
    """Figures of somebody else.

    Attributes:
        name: What was trained, in English and in Spanish.
        split: How its split was cut, and what that does to its figures, in both.
        figures: By name, as they were published.
    """

    name: tuple[str, str]
    split: tuple[str, str]
    figures: dict[str, str]


# What others state of HAM10000; each on a test of its own.
OTHERS = (
    Published(
        (
            "Where this project set out: EfficientNetB4, 380 px, 4.5 h on an A100",
            "De donde parte este proyecto: EfficientNetB4, 380 px, 4,5 h en una A100",
        ),
        (
            "by image, not stated to keep the pictures of a lesion together: likely too kind",
            "por imagen, sin decir si las fotos de una lesión quedan juntas: probablemente optimista",
        ),
        {"accuracy": "0.737", "macro_f1": "0.636", "weighted_f1": "0.762"},
    ),
    Published(
        ("EfficientNet-B4 pretrained, 224 px (DermaMNIST)", "EfficientNet-B4 preentrenada, 224 px (DermaMNIST)"),
        (
            "by image; pictures of a lesion in both parts: too kind",
            "por imagen; fotos de una lesión en ambas partes: optimista",
        ),
        {"accuracy": "0.764"},
    ),
    Published(
        ("ResNet-18 from scratch, 224 px (DermaMNIST-C)", "ResNet-18 desde cero, 224 px (DermaMNIST-C)"),
        (
            "by lesion; test of lesions with one picture: honest, and easier",
            "por lesión; prueba con lesiones de una sola foto: honesta, y más fácil",
        ),
        {"accuracy": "0.836"},
    ),
    Published(
        ("ResNet-18, 128 px, 3 seeds", "ResNet-18, 128 px, 3 semillas"),
        ("by lesion: honest", "por lesión: honesta"),
        {"macro_f1": "0.651 ± 0.021"},
    ),
    Published(
        (
            "ResNet-50 from scratch, 224 px (DermaMNIST-E)",
            "ResNet-50 desde cero, 224 px (DermaMNIST-E)",
        ),
        (
            "the official test of ISIC 2018, from other clinics too: honest, and harder",
            "la prueba oficial de ISIC 2018, también de otras clínicas: honesta, y más difícil",
        ),
        {"accuracy": "0.684"},
    ),
    Published(
        (
            "Winners of ISIC 2018, task 3: ensembles, further data",
            "Ganadores de ISIC 2018, tarea 3: conjuntos de redes, más datos",
        ),
        (
            "the official test of ISIC 2018: honest",
            "la prueba oficial de ISIC 2018: honesta",
        ),
        {"balanced_accuracy": "0.885"},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Words:
    """One language.

    Attributes:
        index: Of its texts in `Published`.
        head: Of the table.
        ours: Name of the row, with `{config}`, `{seeds}` and `{minutes}`.
        split: How its split was cut.
        wanted: Name of the row of the project's own aims, with `{minutes}`.
        below: What stands below the table, with `{images}`, `{lesions}`, `{split_seed}`, `{machine}`,
            `{commits}` and `{interval}`.
        repeat: What precedes the command.
    """

    index: int
    head: tuple[str, ...]
    ours: str
    split: str
    wanted: str
    below: str
    repeat: str


ENGLISH = Words(
    0,
    (
        "",
        "Accuracy",
        "Balanced accuracy",
        "Macro F1",
        "Weighted F1",
        "Melanoma AUC",
        "ECE",
        "Split",
    ),
    "**`{config}`, seeds {seeds}** ({minutes} minutes each)",
    "by lesion: honest",
    "Aim of this project, within {minutes} minutes each",
    "✗: the aim is missed. Ours: mean ± standard deviation over the seeds, on one split (seed {split_seed}), {images} test "
    "images of {lesions} lesions, on {machine}; commit {commits}. What other lesions would have given "
    "is wider: of the first seed's macro F1 the 95 % interval, one picture a lesion, is {interval}. "
    "The others' figures are of tests of their own, so that no row can be subtracted from another. "
    "Claims above 0.90 on HAM10000 nearly always come from splits by image.",
    "Repeat it with",
)
SPANISH = Words(
    1,
    (
        "",
        "Exactitud",
        "Exactitud equilibrada",
        "F1 macro",
        "F1 ponderado",
        "AUC de melanoma",
        "ECE",
        "División",
    ),
    "**`{config}`, semillas {seeds}** ({minutes} minutos cada una)",
    "por lesión: honesta",
    "Meta de este proyecto, en {minutes} minutos cada una",
    "✗: la meta no se alcanza. Lo nuestro: media ± desviación estándar sobre las semillas, con una sola división (semilla "
    "{split_seed}), {images} imágenes de prueba de {lesions} lesiones, en {machine}; commit {commits}. "
    "Lo que habrían dado otras lesiones es más ancho: el intervalo del 95 % del F1 macro de la primera "
    "semilla, con una foto por lesión, es {interval}. Las cifras de los demás son de pruebas propias, "
    "así que ninguna fila puede restarse de otra. Las cifras por encima de 0,90 en HAM10000 vienen casi "
    "siempre de divisiones por imagen.",
    "Se repite con",
)
# What the project set out to reach with one configuration on two cores: at least, or at most.
AT_LEAST = {"accuracy": 0.83, "balanced_accuracy": 0.75, "macro_f1": 0.74, "melanoma_auc": 0.91}
AT_MOST = {"ece": 0.04}
MINUTES = 75  # of one run, all its steps included
MISSED = "✗"


def seeds_table(found: Seeds, words: Words) -> str:
    """One configuration's seeds beside the others, in Markdown.

    Raises:
        ValueError: There are fewer than two seeds, so nothing to spread.
    """
    if len(found.seeds) < 2:
        raise ValueError(f"{found.config} has {len(found.seeds)} seed(s); expected at least 2")
    assert set(SHOWN) <= set(FIGURES)
    seeds = ", ".join(str(one.seed) for one in found.seeds)
    minutes = sorted(one.minutes for one in found.seeds)
    shown = f"{minutes[0]:.0f}" if round(minutes[0]) == round(minutes[-1]) else (
        f"{minutes[0]:.0f}–{minutes[-1]:.0f}"
    )  # fmt: skip
    if minutes[-1] > MINUTES:
        shown += f" {MISSED}"
    ours = [words.ours.format(config=found.config, seeds=seeds, minutes=shown)]
    for figure in SHOWN:
        spread = found.spread(figure)
        ours.append("–" if spread is None else _ours(figure, *spread))
    rows = [
        [*ours, words.split],
        [words.wanted.format(minutes=MINUTES), *map(_aim, SHOWN), ""],
        *(
            [
                other.name[words.index],
                *(other.figures.get(figure, "–") for figure in SHOWN),
                other.split[words.index],
            ]
            for other in OTHERS
        ),
    ]
    rule = ("---", *("---:" for _ in SHOWN), "---")
    first = found.seeds[0]
    interval = first.evidence["lesions.macro_f1"]
    below = words.below.format(
        split_seed=found.split_seed,
        images=first.n_images,
        lesions=first.n_lesions,
        machine=_each(one.machine for one in found.seeds),
        commits=_each(one.commit for one in found.seeds),
        interval="–"
        if interval.ci_low is None or interval.ci_high is None
        else f"{interval.ci_low:.3f}–{interval.ci_high:.3f}",
    )
    return "\n".join(
        [
            *(f"| {' | '.join(row)} |" for row in (words.head, rule, *rows)),
            "",
            below,
            "",
            f"{words.repeat} `python benchmarks/seeds.py {found.config}`.",
        ]
    )


def _aim(figure: str) -> str:
    if figure in AT_LEAST:
        return f"≥ {AT_LEAST[figure]}"
    return f"≤ {AT_MOST[figure]}" if figure in AT_MOST else "–"


def _ours(figure: str, mean: float, deviation: float) -> str:
    """A mean; one that misses its aim is marked, and never rounded until it seems to reach it."""
    missed = mean < AT_LEAST.get(figure, mean) or mean > AT_MOST.get(figure, mean)
    aim = AT_LEAST.get(figure, AT_MOST.get(figure, 0.0))
    digits = 4 if missed and round(mean, 3) == round(aim, 3) else 3
    text = f"**{mean:.{digits}f} ± {deviation:.3f}**"
    return f"{text} {MISSED}" if missed else text


def _each(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
