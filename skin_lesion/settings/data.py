"""Where pictures come from, what they have to be like, and how they are shared out and varied."""

from typing import Literal, Self

from pydantic import Field, model_validator

from skin_lesion.settings.base import MAX_SEED, Settings

ResizeMode = Literal["stretch", "pad", "crop"]
Imbalance = Literal["class_weights", "balanced_sampling", "focal", "logit_adjustment", "none"]


class SyntheticConfig(Settings):
    """The embedded, procedurally drawn data set.

    Attributes:
        lesions_per_class: Lesions drawn for each of the seven classes.
        max_images_per_lesion: Each lesion gets between one and this many pictures.
        height: Height of a drawn picture in pixels.
        width: Width of a drawn picture in pixels.
    """

    lesions_per_class: int = Field(default=110, ge=3)
    max_images_per_lesion: int = Field(default=2, ge=1, le=10)
    height: int = Field(default=150, ge=32)
    width: int = Field(default=200, ge=32)


class SourceConfig(Settings):
    """Where images and their metadata come from.

    Attributes:
        kind: `synthetic` (embedded), `local` (folder or zip in the Kaggle layout), `kaggle`
            (download by kagglehub) or `dataverse` (download from the Harvard Dataverse).
        path: Folder or zip for `local`; where it is None the environment's `HAM10000_PATH` is used.
        max_images: Use about this many images, taken as whole lesions and the same ones on every
            machine for a seed; None uses all.
        kaggle_handle: Data set on Kaggle; credentials come from the environment.
        dataverse_url: Root of the Dataverse server.
        dataverse_doi: Persistent identifier of the data set there.
        synthetic: How the embedded data are drawn; used by `synthetic` alone.
    """

    kind: Literal["synthetic", "local", "kaggle", "dataverse"] = "synthetic"
    path: str | None = None
    max_images: int | None = Field(default=None, ge=50)
    kaggle_handle: str = "kmader/skin-cancer-mnist-ham10000"
    dataverse_url: str = "https://dataverse.harvard.edu"
    dataverse_doi: str = "doi:10.7910/DVN/DBW86T"
    synthetic: SyntheticConfig = SyntheticConfig()


class IngestConfig(Settings):
    """How pictures become one array.

    Attributes:
        resize_mode: `stretch` ignores the aspect ratio, `pad` adds black borders, `crop` takes the
            largest centred region of the right aspect ratio.
        max_quarantine_share: Share of unusable images above which ingestion fails.
        max_pixels: A picture that declares more pixels is refused before it is decoded.
        max_file_bytes: A larger encoded picture is refused unread.
        max_archive_bytes: A zip that unpacks to more is refused.
        workers: Decoding processes; 0 means one a core.
    """

    resize_mode: ResizeMode = "stretch"
    max_quarantine_share: float = Field(default=0.01, ge=0.0, le=1.0)
    max_pixels: int = Field(default=100_000_000, ge=1)
    max_file_bytes: int = Field(default=64 * 2**20, ge=1)
    max_archive_bytes: int = Field(default=16 * 2**30, ge=1)
    workers: int = Field(default=0, ge=0)


class ValidateConfig(Settings):
    """Limits of the data checks.

    Attributes:
        min_images: Fewer usable images are a critical failure.
        min_lesions_per_class: A class with fewer lesions is a critical failure.
        max_class_share: A larger share of one class gives a warning.
        max_age: Highest plausible age in years.
        min_source_pixels: Smallest acceptable shorter side of a source picture, in pixels.
        min_brightness: Lowest plausible mean grey level of a picture, 0 to 255.
        max_brightness: Highest plausible mean grey level of a picture, 0 to 255.
        min_contrast: Lowest plausible standard deviation of grey levels, 0 to 255.
        mostly: Share of images that has to lie within the brightness and contrast limits.
    """

    min_images: int = Field(default=100, ge=1)
    min_lesions_per_class: int = Field(default=10, ge=3)
    max_class_share: float = Field(default=0.75, gt=0.0, le=1.0)
    max_age: int = Field(default=120, ge=1)
    min_source_pixels: int = Field(default=100, ge=1)
    min_brightness: float = Field(default=30.0, ge=0.0, le=255.0)
    max_brightness: float = Field(default=245.0, ge=0.0, le=255.0)
    min_contrast: float = Field(default=4.0, ge=0.0)
    mostly: float = Field(default=0.99, gt=0.0, le=1.0)


class SplitConfig(Settings):
    """How lesions are shared out.

    Attributes:
        train: Share of images for training.
        val: Share of images for validation; the rest is the test split.
        max_hash_distance: Perceptual hashes (64 bit) at most this Hamming distance apart make a
            candidate pair of duplicates.
        max_pixel_difference: A candidate is confirmed where the mean absolute difference of the
            aligned pictures, in grey levels of 255, after matching brightness and contrast, is at
            most this.
        min_correlation: And where the fine texture of the aligned pictures correlates at least this
            well. All pairs of HAM10000 that reach both limits were looked at: each shows one lesion.
        min_search_score: Correlation at low resolution, in the best of a few turns and zooms, from
            which a candidate is aligned exactly.
        max_group_lesions: Merging stops where a group would hold more lesions than this; the pairs
            left over are reported, and still go to one split.
        max_block_lesions: Most lesions that confirmed duplicates may chain together into one split;
            where there are more, splitting fails.
        seed: Of this draw alone; None takes that of the run. Trainings that are to differ in nothing
            but their seed state it, so that all of them are measured on the same lesions.
    """

    train: float = Field(default=0.70, gt=0.0, lt=1.0)
    val: float = Field(default=0.15, gt=0.0, lt=1.0)
    max_hash_distance: int = Field(default=10, ge=0, le=64)
    max_pixel_difference: float = Field(default=8.5, ge=0.0)
    min_correlation: float = Field(default=0.44, ge=-1.0, le=1.0)
    min_search_score: float = Field(default=0.67, ge=-1.0, le=1.0)
    max_group_lesions: int = Field(default=8, ge=2)
    max_block_lesions: int = Field(default=64, ge=2)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)

    @model_validator(mode="after")
    def _leave_a_test_split(self) -> Self:
        if self.train + self.val >= 1.0:
            raise ValueError(
                f"train + val is {self.train + self.val:g}; it has to be below 1 so that a test split is left"
            )
        return self


class AugmentConfig(Settings):
    """The augmentation policy and the correction of class imbalance.

    Attributes:
        flip_horizontal: Probability of a horizontal flip.
        flip_vertical: Probability of a vertical flip.
        rotation: Largest rotation to either side, in degrees.
        zoom: Largest relative zoom in or out; 0.15 draws scales from 1/1.15 to 1.15.
        translation: Largest shift as a share of each side.
        brightness: Largest shift of brightness, as a share of the grey range.
        contrast: Largest relative change of contrast about the picture's mean.
        saturation: Largest relative change of saturation about the pixel's grey value.
        mixup_alpha: Parameter of the Beta distribution of MixUp; 0 switches MixUp off.
        cutmix_alpha: Parameter of the Beta distribution of CutMix; 0 switches CutMix off.
        mix_probability: Share of batches that are mixed at all; MixUp and CutMix take turns at even
            odds where both are on.
        imbalance: What makes up for rare classes. One choice, so that it cannot be made up for
            twice: `class_weights` in the loss, `balanced_sampling` (images of rare classes are
            served several times an epoch), `focal` loss, `logit_adjustment` or `none`.
        class_weight_power: With `class_weights` the loss weight of a class is
            (mean count / count) ** power, scaled so that the mean over the training images is 1.
        sampling_power: With `balanced_sampling` a class of n images is served in proportion to
            n ** (1 - power): 0 changes nothing, 1 serves all classes alike.
        focal_gamma: With `focal` the loss of an image counts by (1 - probability of its class) to
            this power.
        logit_adjustment_tau: With `logit_adjustment` the loss sees logits + tau * log(share of the
            class in training), so that the logits themselves speak of classes equally common.
    """

    flip_horizontal: float = Field(default=0.5, ge=0.0, le=1.0)
    flip_vertical: float = Field(default=0.5, ge=0.0, le=1.0)
    rotation: float = Field(default=180.0, ge=0.0, le=180.0)
    zoom: float = Field(default=0.15, ge=0.0, lt=1.0)
    translation: float = Field(default=0.05, ge=0.0, lt=1.0)
    brightness: float = Field(default=0.1, ge=0.0, lt=1.0)
    contrast: float = Field(default=0.15, ge=0.0, lt=1.0)
    saturation: float = Field(default=0.15, ge=0.0, lt=1.0)
    mixup_alpha: float = Field(default=0.2, ge=0.0)
    cutmix_alpha: float = Field(default=1.0, ge=0.0)
    mix_probability: float = Field(default=0.5, ge=0.0, le=1.0)
    imbalance: Imbalance = "class_weights"
    class_weight_power: float = Field(default=0.5, ge=0.0, le=1.0)
    sampling_power: float = Field(default=0.5, ge=0.0, le=1.0)
    focal_gamma: float = Field(default=2.0, gt=0.0)
    logit_adjustment_tau: float = Field(default=1.0, gt=0.0)
