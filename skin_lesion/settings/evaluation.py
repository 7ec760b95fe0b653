"""How a model is measured, and what it has to reach."""

from pydantic import Field

from skin_lesion.settings.base import MAX_SEED, Settings


class EvaluateConfig(Settings):
    """How the serving export is measured, and what is frozen on validation.

    Attributes:
        batch_size: Images in a forward pass.
        resamples: Bootstrap resamples over lesions, for every 95 % interval.
        calibration_folds: Lesion-grouped folds for whatever is fitted on validation.
        calibration_bins: Equal-mass bins of reliability diagrams and of the calibration error.
        calibration_tolerated_loss: Balanced accuracy, or recall of melanoma, that a calibrator which
            changes answers may cost; one that costs more is not chosen.
        acceptance: Share of the validation images that the gates for quality and for likeness to
            the training pictures accept together.
        quality_share: Share of what they refuse that the gate for quality may refuse.
        min_short_side: Shortest side of a source picture that is assessed, in pixels.
        max_aspect: Largest ratio of a source picture's sides that is assessed.
        reference_images: Most training pictures that a picture is compared with.
        neighbours: Rank of the neighbour whose distance tells how unlike the training pictures a
            picture is.
        outlier_crops: Crops of photographs without a lesion. One half of the photographs chooses the
            gate; the other half, about as many crops, measures it.
        set_error: Share of the lesions of a class whose prediction set may miss it.
        high_accuracy: Accuracy that answers of high confidence have to reach on validation.
        medium_accuracy: Accuracy that answers of medium confidence have to reach there.
        min_group_images: A subgroup with fewer images is listed, but not reported on.
        min_group_positives: Nor is a figure that rests on fewer lesions of its target.
        robustness_images: Test images that the perturbations are tried on; 0 tries none.
        explained_images: Most melanomas whose heat-maps are checked by hiding what they point at; 0
            checks none.
        randomised_images: Most pictures whose heat-maps are compared with those of a network with
            shuffled weights.
        randomised_models: Networks with shuffled weights.
        deletion_steps: Steps in which a picture is hidden.
        deletion_orders: Random orders that a heat-map's order is compared with.
        gallery_images: Successes and failures shown of each class.
        min_checked_lesions: With fewer lesions in all neither perturbations are tried nor heat-maps
            checked: whatever came out would be chance.
        min_explained_lesions: Rightly recognised melanomas from which on it is judged whether
            heat-maps point at what matters; with fewer the figures are only shown.
        deletion_goal: Share of them in which hiding what the map points at has to lower the
            probability faster than hiding places at random.
        randomisation_goal: Largest rank correlation with the maps of a network with shuffled weights
            at which maps count as depending on the weights.
        hiding_blur: Standard deviation of the blur that hides a cell of a heat-map, as a share of
            the picture's shorter side.
    """

    batch_size: int = Field(default=16, ge=1)
    resamples: int = Field(default=2000, ge=100)
    calibration_folds: int = Field(default=5, ge=2)
    calibration_bins: int = Field(default=15, ge=2)
    calibration_tolerated_loss: float = Field(default=0.02, ge=0.0, le=1.0)
    acceptance: float = Field(default=0.95, gt=0.0, lt=1.0)
    quality_share: float = Field(default=0.2, ge=0.0, le=1.0)
    min_short_side: int = Field(default=100, ge=1)
    max_aspect: float = Field(default=2.0, gt=1.0)
    reference_images: int = Field(default=4000, ge=2)
    neighbours: int = Field(default=10, ge=1)
    outlier_crops: int = Field(default=1100, ge=100)
    set_error: float = Field(default=0.1, gt=0.0, lt=1.0)
    high_accuracy: float = Field(default=0.95, gt=0.0, lt=1.0)
    medium_accuracy: float = Field(default=0.6, gt=0.0, lt=1.0)
    min_group_images: int = Field(default=30, ge=1)
    min_group_positives: int = Field(default=10, ge=1)
    robustness_images: int = Field(default=250, ge=0)
    explained_images: int = Field(default=60, ge=0)
    randomised_images: int = Field(default=35, ge=2)
    randomised_models: int = Field(default=3, ge=1)
    deletion_steps: int = Field(default=8, ge=2)
    deletion_orders: int = Field(default=3, ge=1)
    gallery_images: int = Field(default=4, ge=1)
    min_checked_lesions: int = Field(default=30, ge=1)
    min_explained_lesions: int = Field(default=20, ge=1)
    deletion_goal: float = Field(default=0.8, ge=0.0, le=1.0)
    randomisation_goal: float = Field(default=0.3, ge=0.0, le=1.0)
    hiding_blur: float = Field(default=0.15, gt=0.0, le=1.0)


class ExternalConfig(Settings):
    """How a registered model is measured on pictures from elsewhere.

    Attributes:
        seed: Of resamples and draws.
        max_hash_distance: A picture counts as a copy of one that the model has seen where at most
            this many of the 255 bits of their perceptual hashes differ. At 28 no picture of HAM10000
            counts as a copy of another lesion's, whichever way it is turned, and at least 99 % of
            the copies that were saved anew, resized, mirrored, turned by quarters or cropped by a
            fiftieth do.
        images_per_bin: Pictures that a bin of the calibration error needs; small sets get fewer bins.
    """

    seed: int = Field(default=17, ge=0, le=MAX_SEED)
    max_hash_distance: int = Field(default=28, ge=0, le=255)
    images_per_bin: int = Field(default=20, ge=1)


class GateConfig(Settings):
    """The least that a model has to reach on the test split to be fit for production.

    A floor against broken models, not a mark of quality: the plain baselines of the project lie
    above each of these figures. Whether a model is better than the one in production is told by
    comparing the two.

    Attributes:
        min_macro_f1: Mean F1 over classes.
        min_balanced_accuracy: Mean recall over classes.
        min_melanoma_auc: Melanoma against the rest.
        min_melanoma_sensitivity: At the threshold frozen for 95 % on validation.
        min_worst_subgroup_auc: Malignant against benign in the worst subgroup that is large enough
            to report.
        max_ece: Expected calibration error.
        max_regression: How much worse than the production model a figure may be.
    """

    min_macro_f1: float = Field(default=0.60, ge=0.0, le=1.0)
    min_balanced_accuracy: float = Field(default=0.60, ge=0.0, le=1.0)
    min_melanoma_auc: float = Field(default=0.85, ge=0.0, le=1.0)
    min_melanoma_sensitivity: float = Field(default=0.85, ge=0.0, le=1.0)
    min_worst_subgroup_auc: float = Field(default=0.75, ge=0.0, le=1.0)
    max_ece: float = Field(default=0.04, ge=0.0, le=1.0)
    max_regression: float = Field(default=0.01, ge=0.0, le=1.0)
