"""Whether the ledger still holds the looks that registered versions were measured by."""

from pydantic import BaseModel, ConfigDict

from skin_lesion.chain import Head
from skin_lesion.ledger import LookLedger
from skin_lesion.registry.lookup import all_versions
from skin_lesion.registry.registration import LOOK, LOOKS_BEFORE
from skin_lesion.registry.version import MODEL_NAME, RegisteredVersion


class VersionLook(BaseModel):
    """The look that gave the figures of a version.

    Attributes:
        version: Its number.
        row: The look's row in the ledger; None where none was noted with the version.
        before: Earlier looks at the same test pictures, as noted; None likewise.
        fault: What is wrong, in one sentence; None where the ledger's row is the noted one, and names
            this very bundle.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    row: int | None = None
    before: int | None = None
    fault: str | None = None


def check_looks(ledger: LookLedger, name: str = MODEL_NAME) -> list[VersionLook]:
    """Hold the ledger against what the registry noted of it, version by version.

    The registry lies elsewhere: rows that were cut off the ledger's end, and a ledger that was begun
    anew or computed anew, are found by the heads noted there.

    Args:
        ledger: Whose chain was verified already.
        name: Registered model.

    Raises:
        LedgerError: The ledger cannot be read.
    """
    return [_check(ledger, version) for version in all_versions(name)]


def _check(ledger: LookLedger, version: RegisteredVersion) -> VersionLook:
    noted = version.tags.get(LOOK)
    if noted is None:
        return VersionLook(version=version.version)
    try:
        head = Head.parse(noted)
    except ValueError as error:
        return VersionLook(version=version.version, fault=f"its note cannot be used: {error}")
    if not head.rows:
        return VersionLook(version=version.version, fault=f"its note {noted!r} names no row")
    return VersionLook(
        version=version.version,
        row=head.rows,
        before=_number(version.tags.get(LOOKS_BEFORE)),
        fault=_fault(ledger, head, version),
    )


def _fault(ledger: LookLedger, head: Head, version: RegisteredVersion) -> str | None:
    assert head.rows is not None  # said above
    row = ledger.row(head.rows)
    if row is None:
        return (
            f"row {head.rows} is noted with it, and the ledger has none: its end was cut off, or it "
            "is another ledger"
        )
    if row.row_hash != head.hash:
        return (
            f"row {head.rows} of the ledger is not the one that is noted with it: it was written anew, "
            "or it is another ledger"
        )
    if row.bundle_hash != version.bundle_hash:
        return (
            f"row {head.rows}, which is noted with it, is a look at the bundle "
            f"{row.bundle_hash[:12]}, and not at its {version.bundle_hash[:12]}"
        )
    return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
