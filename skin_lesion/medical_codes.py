"""Codes by which other systems know the seven classes.

A class of HAM10000 gathers several diagnoses; a code names its leading one and must not be taken for
a diagnosis of one's own. ICD-10 is the clinical modification (ICD-10-CM, in Spain CIE-10-ES).

A SNOMED CT concept is named only where it was confirmed against a release of the International
Edition. Three classes have none. `bkl` and `vasc` each gather entities that share no concept narrow
enough to be of use, and for `df` no concept could be confirmed; what shows them shows a dash.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skin_lesion.labels import DIAGNOSES


@dataclass(frozen=True)
class Snomed:
    """A concept of SNOMED CT.

    Attributes:
        code: Its identifier.
        term: Its English name, without the semantic tag; the tag of each is `disorder`.
    """

    code: str
    term: str


@dataclass(frozen=True)
class MedicalCodes:
    """The codes of one class.

    Attributes:
        icd10: ICD-10-CM code of its leading diagnosis.
        snomed: SNOMED CT concept of it; None where none was confirmed.
    """

    icd10: str
    snomed: Snomed | None


_SNOMED: Mapping[str, Snomed] = MappingProxyType(
    {
        # Bowen's disease has a concept of its own; this is that of the more frequent half.
        "akiec": Snomed("201101007", "Actinic keratosis"),
        "bcc": Snomed("254701007", "Basal cell carcinoma of skin"),
        "mel": Snomed("93655004", "Malignant melanoma of skin"),
        "nv": Snomed("400096001", "Melanocytic nevus"),
    }
)

# By label.
MEDICAL_CODES: Mapping[str, MedicalCodes] = MappingProxyType(
    {each.code: MedicalCodes(each.icd10, _SNOMED.get(each.code)) for each in DIAGNOSES}
)
