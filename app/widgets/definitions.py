"""What the classes are, for clinicians: definition, signs, management, codes and sources."""

from collections.abc import Sequence
from html import escape

from skin_lesion.labels import LABELS, MALIGNANT
from skin_lesion.medical_codes import MEDICAL_CODES
from skin_lesion.texts import Texts


def definitions(texts: Texts, first: Sequence[str]) -> str:
    """HTML of all classes, each folded.

    Args:
        texts: Their words.
        first: Codes of the classes that matter here, in order; the others stand in a fold of their own.
    """
    others = [label for label in LABELS if label not in first]
    folded = (
        f'<details class="sl-fold"><summary>{escape(texts("answer.classes.others"))}</summary>'
        f"{''.join(_fold(texts, label) for label in others)}</details>"
        if others and first
        else "".join(_fold(texts, label) for label in others)
    )
    return (
        f'<section class="sl-classes"><h2>{escape(texts("answer.classes.title"))}</h2>'
        f'<p class="sl-quiet">{escape(texts("answer.classes.caution"))}</p>'
        f"{''.join(_fold(texts, label) for label in first)}{folded}</section>"
    )


def _fold(texts: Texts, label: str) -> str:
    kind = "malignant" if label in MALIGNANT else "benign"
    signs = "".join(f"<li>{escape(sign)}</li>" for sign in texts.items(f"classes.{label}.signs"))
    sources = "".join(f"<li>{escape(one)}</li>" for one in texts.items(f"classes.{label}.sources"))
    return (
        f'<details class="sl-fold sl-class"><summary>{escape(texts(f"classes.{label}.name"))} '
        f'<small class="sl-{kind}-name">{"▲" if kind == "malignant" else "○"} '
        f"{escape(texts(f'answer.chart.{kind}'))}</small></summary>"
        f"<p>{escape(texts(f'classes.{label}.definition'))}</p>"
        f"<h3>{escape(texts('answer.classes.signs'))}</h3><ul>{signs}</ul>"
        f"<h3>{escape(texts('answer.classes.management'))}</h3>"
        f"<p>{escape(texts(f'classes.{label}.management'))}</p>"
        f"<h3>{escape(texts('answer.classes.codes'))}</h3><p>{escape(_codes(texts, label))} "
        f'<small class="sl-quiet">{escape(texts("answer.classes.leading"))}</small></p>'
        f'<h3>{escape(texts("answer.classes.sources"))}</h3><ul class="sl-quiet">{sources}</ul>'
        "</details>"
    )


def _codes(texts: Texts, label: str) -> str:
    codes = MEDICAL_CODES[label]
    snomed = (
        texts("answer.classes.no_snomed")
        if codes.snomed is None
        else texts("answer.classes.snomed", code=f"{codes.snomed.code} ({codes.snomed.term})")
    )
    return f"{texts('answer.classes.icd10', code=codes.icd10)} · {snomed}"
