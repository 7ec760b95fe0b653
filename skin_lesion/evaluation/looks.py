"""What came before a look at the test split, in words for the report and the cards."""

from skin_lesion.data.looking import LookNote
from skin_lesion.evaluation.wording import counted

UNKNOWN = "not known: no ledger of looks was kept"


def told(looks: LookNote | None) -> str:
    """How many looks at these test pictures came before this model's, as a sentence."""
    if looks is None:
        return (
            "How often these test pictures were looked at before is not known: no ledger was kept."
        )
    if not looks.before:
        return (
            "By the ledger these test pictures had not been looked at before "
            f"({place(looks)}); looks that it was not told of are not counted."
        )
    return (
        f"By the ledger these test pictures had been looked at {counted(looks.before, 'time')} before "
        f"this look, since {looks.since:%Y-%m-%d}: at "
        f"{counted(looks.models_before, 'other trained model')}, and "
        f"{counted(looks.same_model_before, 'time')} at this one ({place(looks)}). Training, tuning "
        "and thresholds never used them; where gates or people chose among models by what was seen, "
        "these figures flatter."
    )


def place(looks: LookNote) -> str:
    """Where the look stands in the ledger."""
    return f"row {looks.row:,} of the ledger"
