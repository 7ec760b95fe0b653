"""What a printed report says: every word and picture of it, decided before anything is drawn.

`report.py` makes it of a reading; `report_html.py` and `report_pdf.py` draw it. Nothing in it comes
from the clock or the machine, so that the same content gives the same file.
"""

from dataclasses import dataclass, field

from skin_lesion.texts import Language

# A name that came with a file or a log-in may be anything; more of it would push the rest off the page.
_LONGEST_NAME = 90


@dataclass(frozen=True)
class Line:
    """A name and what stands beside it.

    Attributes:
        name: What it is.
        value: What it says.
        note: Smaller, below or behind; empty where there is none.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class ClassLine:
    """A class in the differential.

    Attributes:
        name: Its name.
        kind: Malignant or benign, in words.
        malignant: Whether it is malignant.
        code: ICD-10-CM code.
        probability: In words.
        share: The same from 0 to 1, for a bar.
        in_set: Whether it is in the prediction set.
    """

    name: str
    kind: str
    malignant: bool
    code: str
    probability: str
    share: float
    in_set: bool


@dataclass(frozen=True)
class Refusal:
    """Why there is no answer.

    Attributes:
        title: That there is none.
        meaning: What that does not mean.
        lines: Why, and what to do.
    """

    title: str
    meaning: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ReportContent:
    """One page.

    Attributes:
        language: Of every text in it.
        words: Headings and labels that are the same on every report, by their name.
        title: Of the page; `printed` adds the number under which it is filed.
        printed: Title of the document.
        notice: The standing notice, its first sentence apart.
        synthetic: Warning that the model has seen drawn pictures only; None where it has seen more.
        blanks: What is left to be filled by hand.
        facts: When, for whom, which file, which row of the log.
        picture: JPEG of the picture; None where it cannot be decoded.
        heat_map: JPEG of the picture with the heat laid over it; None where there is none.
        heat_map_name: Heading of the heat-map.
        heat_map_alt: What it shows, for those who do not see it.
        differential: All classes, the most probable first; empty where there is no answer.
        differential_note: How to read it.
        judgement: What follows from it.
        remarks: What has to be known beside that.
        refusal: Why there is no answer; None where there is one.
        versions: What made the reading.
    """

    language: Language
    words: dict[str, str] = field(repr=False)
    title: str
    printed: str
    notice: tuple[str, str]
    synthetic: tuple[str, str] | None
    blanks: tuple[str, ...]
    facts: tuple[Line, ...]
    picture: bytes | None = field(repr=False)
    heat_map: bytes | None = field(repr=False)
    heat_map_name: str
    heat_map_alt: str
    differential: tuple[ClassLine, ...]
    differential_note: str
    judgement: tuple[Line, ...]
    remarks: tuple[str, ...]
    refusal: Refusal | None
    versions: tuple[Line, ...]


def plain(name: str) -> str:
    """A name that came from outside, as it may be printed: one line, no longer than fits.

    What a printer cannot show, and what would turn the direction of the text, becomes `�`.
    """
    shown = "".join(letter if letter.isprintable() else "�" for letter in name)
    if len(shown) <= _LONGEST_NAME:
        return shown
    tail = _LONGEST_NAME // 3  # the end of a file's name tells it from its neighbours
    return f"{shown[: _LONGEST_NAME - tail - 1]}…{shown[-tail:]}"
