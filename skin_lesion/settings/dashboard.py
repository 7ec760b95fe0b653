"""The clinicians' dashboard."""

from typing import Annotated

from pydantic import Field

from skin_lesion.settings.base import Settings
from skin_lesion.settings.serving import ModelStoreConfig

# Of a role or a claim: an empty one would fit what is empty in a token.
Name = Annotated[str, Field(min_length=1)]


class DashboardConfig(Settings):
    """The clinicians' dashboard.

    Attributes:
        audit: URL of the audit log's database; None asks the environment, and keeps it in `.work`
            where that says nothing.
        keep_pictures: Folder for the pictures that were read; None keeps none of them.
        insecure: Whether it may be reached from other machines although nobody has to log in.
        log_in: Whether it must not be used without a log-in, whatever becomes of Streamlit's secrets.
        log_in_hours: How long after their log-in users have to log in again; Streamlit's cookie lasts
            for 720.
        user_claims: Claims of a log-in that may name the user; the first that is there counts, but
            `email` only where the provider does not say that nobody checked it.
        role_claim: Claim that names one role, or a list of them; dots lead into claims that hold
            claims, as in `realm_access.roles`.
        clinician_role: Role of those who may read pictures.
        engineer_role: Role of those who may promote and roll back.
        max_file_bytes: Largest picture, encoded.
        max_files: Most pictures at one go.
        shown_side: Longest side of a picture in the browser, in pixels.
        jpeg_quality: Of pictures in the browser, 1 to 95.
        tray_pictures: Most pictures that a user has before him at once; the oldest makes room.
        tray_bytes: Most bytes of encoded pictures that a user has before him; bounds memory.
        thumbnail_side: Longest side of a thumbnail, in pixels.
        watch_seconds: How often an open page looks whether another model answers by now.
        announced_seconds: How long it says that another one has taken over.
        history_rows: Most readings that the page of one's own readings holds.
        batch_rows: Most pictures in the table of many pictures.
        batch_bytes: Most bytes of encoded pictures that wait to be read there, unpacked.
        batch_kept_bytes: Most bytes of encoded pictures that are kept there after they were read; the
            least suspicious ones are let go first.
        batch_chunk: Pictures that are read and written down there at a time.
        batch_thumbnail_side: Longest side of a thumbnail there, in pixels.
        evidence_resamples: Resamples by lesion for the intervals that the page of evidence works out
            itself: predictive values at any prevalence, and the bands of ROC curves.
        evidence_width: Widest sheet of pictures on that page, in pixels.
        store: How the model in production is followed.
    """

    audit: str | None = None
    keep_pictures: str | None = None
    insecure: bool = False
    log_in: bool = False
    log_in_hours: float = Field(default=12.0, gt=0.0, le=720.0)
    user_claims: tuple[Name, ...] = Field(
        default=("email", "preferred_username", "sub"), min_length=1
    )
    role_claim: Name = "roles"
    clinician_role: Name = "clinician"
    engineer_role: Name = "engineer"
    max_file_bytes: int = Field(default=16 * 2**20, ge=1)
    max_files: int = Field(default=200, ge=1)
    shown_side: int = Field(default=1024, ge=64)
    jpeg_quality: int = Field(default=90, ge=1, le=95)
    tray_pictures: int = Field(default=24, ge=1)
    tray_bytes: int = Field(default=64 * 2**20, ge=1)
    thumbnail_side: int = Field(default=192, ge=32)
    watch_seconds: float = Field(default=3.0, gt=0.0)
    announced_seconds: float = Field(default=60.0, ge=0.0)
    history_rows: int = Field(default=2000, ge=1, le=10_000)
    batch_rows: int = Field(default=1000, ge=1)
    batch_bytes: int = Field(default=256 * 2**20, ge=1)
    batch_kept_bytes: int = Field(default=64 * 2**20, ge=0)
    batch_chunk: int = Field(default=8, ge=1)
    batch_thumbnail_side: int = Field(default=96, ge=16)
    evidence_resamples: int = Field(default=1000, ge=100)
    evidence_width: int = Field(default=1500, ge=64)
    store: ModelStoreConfig = ModelStoreConfig()
