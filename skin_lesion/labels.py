"""The seven diagnostic classes of HAM10000: code, order, malignancy and medical codes.

Source: Tschandl, Rosendahl, Kittler, "The HAM10000 dataset", Sci Data 5:180161 (2018).
The order is alphabetical and is the order of every probability vector in this project.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """One diagnostic class.

    Attributes:
        code: HAM10000 `dx` value.
        name: English clinical name.
        malignant: True for melanoma, basal cell carcinoma and actinic keratosis / Bowen's disease
            (the last is in-situ carcinoma and is managed as malignant or pre-malignant).
        icd10: ICD-10-CM code of the leading diagnosis of the class.
    """

    code: str
    name: str
    malignant: bool
    icd10: str


DIAGNOSES: tuple[Diagnosis, ...] = (
    Diagnosis("akiec", "Actinic keratosis / Bowen's disease", True, "L57.0"),
    Diagnosis("bcc", "Basal cell carcinoma", True, "C44.91"),
    Diagnosis("bkl", "Benign keratosis-like lesion", False, "L82.1"),
    Diagnosis("df", "Dermatofibroma", False, "D23.9"),
    Diagnosis("mel", "Melanoma", True, "C43.9"),
    Diagnosis("nv", "Melanocytic naevus", False, "D22.9"),
    Diagnosis("vasc", "Vascular lesion", False, "D18.01"),
)

LABELS: tuple[str, ...] = tuple(d.code for d in DIAGNOSES)
LABEL_INDEX: dict[str, int] = {code: i for i, code in enumerate(LABELS)}
MALIGNANT: tuple[str, ...] = tuple(d.code for d in DIAGNOSES if d.malignant)
MALIGNANT_INDICES: tuple[int, ...] = tuple(LABEL_INDEX[code] for code in MALIGNANT)
NUM_CLASSES: int = len(LABELS)
MELANOMA_INDEX: int = LABEL_INDEX["mel"]
