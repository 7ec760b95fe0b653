"""Draw the picture of the pipeline for the READMEs, once a language: python docs/draw_pipeline.py."""

from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

BOX_WIDTH, BOX_HEIGHT, GAP = 232, 136, 44
LEFT, TOP, ROW = 44, 96, 236
WIDTH = LEFT * 2 + BOX_WIDTH * 4 + GAP * 3
HEIGHT = 566
FONT = "font-family='Segoe UI, Helvetica, Arial, sans-serif'"
DATA, MODEL, INK, SOFT = "#0f766e", "#4338ca", "#1f2937", "#4b5563"


@dataclass(frozen=True)
class Texts:
    """The words of one language.

    Attributes:
        file: Name of the picture.
        title: For screen readers.
        source: Where images come from.
        rows: Headings of the two rows.
        steps: Three lines for each of the eight steps.
        zenml: What ZenML keeps.
        mlflow: What MLflow keeps.
    """

    file: str
    title: str
    source: str
    rows: tuple[str, str]
    steps: dict[str, tuple[str, str, str]]
    zenml: str
    mlflow: str


ENGLISH = Texts(
    file="pipeline.svg",
    title="The eight steps of the training pipeline",
    source="synthetic images · folder or zip · Kaggle · Harvard Dataverse",
    rows=("DATA", "MODEL"),
    steps={
        "ingest": ("decode, orient, resize once;", "bad files put aside, each", "with its reason"),
        "validate": ("Great Expectations checks;", "a critical failure", "stops the run"),
        "split": ("70 / 15 / 15 by lesion;", "near-duplicates stay", "together, leaks counted"),
        "augment": (
            "one policy and the class",
            "weights; pixels change",
            "on the fly, never stored",
        ),
        "warmup_train": (
            "frozen backbone, new head",
            "(from scratch: the whole",
            "network, rising rate)",
        ),
        "finetune_train": (
            "unfreezing block by block;",
            "ends with the bundle and",
            "its serving export",
        ),
        "evaluate": (
            "calibrated on validation,",
            "measured on test,",
            "on the serving export",
        ),
        "register": ("MLflow pyfunc without", "pickle; the same bundle", "gives the same version"),
    },
    zenml="ZenML  ·  steps cached by their code, data and settings; a picture or page in every artifact",
    mlflow="MLflow  ·  parameters, curves of both phases, figures, report, registered model",
)
SPANISH = Texts(
    file="pipeline.es.svg",
    title="Los ocho pasos del flujo de entrenamiento",
    source="imágenes sintéticas · carpeta o zip · Kaggle · Harvard Dataverse",
    rows=("DATOS", "MODELO"),
    steps={
        "ingest": ("decodifica, orienta y escala", "una vez; aparta lo dañado", "con su motivo"),
        "validate": ("pruebas de Great", "Expectations; un fallo", "crítico detiene todo"),
        "split": ("70 / 15 / 15 por lesión;", "los casi duplicados van", "juntos; cuenta las fugas"),
        "augment": ("una política y los pesos", "de clase; píxeles al vuelo,", "nunca guardados"),
        "warmup_train": ("base congelada, cabeza", "nueva (desde cero: toda", "la red, tasa creciente)"),
        "finetune_train": ("descongela por bloques;", "termina en el paquete y", "su exportación de servicio"),
        "evaluate": ("calibra en validación,", "mide en la prueba,", "sobre lo que se sirve"),
        "register": ("pyfunc de MLflow sin", "pickle; el mismo paquete", "da la misma versión"),
    },
    zenml="ZenML  ·  pasos en caché según su código, datos y ajustes; una imagen o página en cada artefacto",
    mlflow="MLflow  ·  parámetros, curvas de ambas fases, figuras, informe, modelo registrado",
)  # fmt: skip


def text(x: float, y: float, words: str, size: int, style: str) -> str:
    """One line of text."""
    return f"<text x='{x}' y='{y}' font-size='{size}' {FONT} {style}>{escape(words)}</text>"


def step(number: int, name: str, lines: tuple[str, str, str]) -> str:
    """The box of one step; `number` counts from 0."""
    colour = DATA if number < 4 else MODEL
    x = LEFT + number % 4 * (BOX_WIDTH + GAP)
    y = TOP + number // 4 * ROW
    box = (
        f"<rect x='{x}' y='{y}' width='{BOX_WIDTH}' height='{BOX_HEIGHT}' rx='10' fill='#ffffff' "
        f"stroke='{colour}' stroke-width='2'/>"
        f"<circle cx='{x + 26}' cy='{y + 28}' r='13' fill='{colour}'/>"
    )
    head = text(x + 26, y + 33, str(number + 1), 14, "fill='#fff' text-anchor='middle'")
    head += text(x + 48, y + 34, name, 18, f"fill='{INK}' font-weight='600'")
    body = (
        text(x + 18, y + 66 + 22 * i, line, 15, f"fill='{SOFT}'") for i, line in enumerate(lines)
    )
    return "\n".join([box, head, *body])


def arrow(*points: tuple[float, float]) -> str:
    """A line through the points with a head at its end."""
    path = " ".join(f"{x},{y}" for x, y in points)
    return (
        f"<polyline points='{path}' fill='none' stroke='{SOFT}' stroke-width='2' "
        "stroke-linejoin='round' marker-end='url(#head)'/>"
    )


def arrows() -> list[str]:
    """From the source through all the steps."""
    middles = (TOP + BOX_HEIGHT / 2, TOP + ROW + BOX_HEIGHT / 2)
    between = [
        arrow((x - GAP + 3, y), (x - 4, y))
        for y in middles
        for x in (LEFT + i * (BOX_WIDTH + GAP) for i in range(1, 4))
    ]
    first, last = LEFT + BOX_WIDTH / 2, WIDTH - LEFT - BOX_WIDTH / 2
    turn = TOP + BOX_HEIGHT + 28
    wrap = arrow((last, TOP + BOX_HEIGHT + 3), (last, turn), (first, turn), (first, TOP + ROW - 4))
    return [*between, arrow((first, 56), (first, TOP - 4)), wrap]


def strip(y: float, colour: str, words: str) -> str:
    """A band below the steps for what lies under all of them."""
    return (
        f"<rect x='{LEFT}' y='{y}' width='{WIDTH - 2 * LEFT}' height='34' rx='8' fill='{colour}' "
        "fill-opacity='0.12'/>" + text(WIDTH / 2, y + 22, words, 15, f"fill='{INK}' text-anchor='middle'")
    )  # fmt: skip


def draw(texts: Texts) -> str:
    """The whole picture as SVG."""
    heading = f"fill='{SOFT}' font-weight='600' letter-spacing='2'"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>",
        f"<title>{escape(texts.title)}</title>",
        "<defs><marker id='head' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' "
        f"markerHeight='7' orient='auto'><path d='M0,0 L10,5 L0,10 z' fill='{SOFT}'/></marker></defs>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' rx='14' fill='#f8fafc'/>",
        text(LEFT, 44, texts.source, 16, f"fill='{INK}'"),
        *arrows(),
        text(WIDTH - LEFT, 44, texts.rows[0], 14, heading + " text-anchor='end'"),
        text(WIDTH - LEFT, TOP + ROW - 18, texts.rows[1], 14, heading + " text-anchor='end'"),
        *(step(i, name, lines) for i, (name, lines) in enumerate(texts.steps.items())),
        strip(HEIGHT - 84, DATA, texts.zenml),
        strip(HEIGHT - 44, MODEL, texts.mlflow),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    for language in (ENGLISH, SPANISH):
        Path(__file__).with_name(language.file).write_text(draw(language), encoding="utf-8")
