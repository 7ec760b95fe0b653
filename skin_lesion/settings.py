"""Every tunable value of the project, with its default and its meaning.

Frozen models that refuse unknown keys: a misspelt key in a YAML file is an error, never a silently
ignored wish. Defaults live here and nowhere else; the files in `configs/` state only differences.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ResizeMode = Literal["stretch", "pad", "crop"]
Phase = Literal["warmup", "finetune"]
# Made with a private key and checked with a public one: no client can forge a token.
SignatureAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

# The second training phase seeds with one more, and NumPy and Keras take 32 bits.
MAX_SEED = 2**32 - 2


def check_seed(seed: int) -> None:
    """Refuse a seed that a later stage could not use.

    Raises:
        ValueError: It is negative or above `MAX_SEED`.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed is {seed}; expected a whole number from 0 to {MAX_SEED}")


class Settings(BaseModel):
    """Base of every configuration: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    """

    train: float = Field(default=0.70, gt=0.0, lt=1.0)
    val: float = Field(default=0.15, gt=0.0, lt=1.0)
    max_hash_distance: int = Field(default=10, ge=0, le=64)
    max_pixel_difference: float = Field(default=8.5, ge=0.0)
    min_correlation: float = Field(default=0.44, ge=-1.0, le=1.0)
    min_search_score: float = Field(default=0.67, ge=-1.0, le=1.0)
    max_group_lesions: int = Field(default=8, ge=2)
    max_block_lesions: int = Field(default=64, ge=2)

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
        class_weight_power: Loss weight of a class is (mean count / count) ** power, scaled so that
            the mean over the training images is 1; 0 switches the correction off.
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
    class_weight_power: float = Field(default=0.5, ge=0.0, le=1.0)


class BackboneConfig(Settings):
    """The convolutional network below the classification head.

    Attributes:
        name: One of `skin_lesion.modeling.backbones.BACKBONES`.
        weights: `imagenet` (downloaded once), `none` (random) or `path`: a `.weights.h5` file.
        path: That file; where it is None the environment's `BACKBONE_WEIGHTS` is used.
        sha256: Expected checksum of that file; None accepts any file and records its checksum.
        feature_layer: Cut the backbone at this layer; None keeps all of it.
        mirror: Address to download from instead of the publisher's.
        batchnorm_momentum: Share that the moving statistics of BatchNorm keep at each step; training
            from scratch in a few hundred steps wants less than the customary 0.99, or inference
            would still use statistics of the random network.
    """

    name: str = "efficientnet_b4"
    weights: Literal["imagenet", "none", "path"] = "imagenet"
    path: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    feature_layer: str | None = None
    mirror: str | None = None
    batchnorm_momentum: float = Field(default=0.99, ge=0.0, lt=1.0)

    @property
    def pretrained(self) -> bool:
        """Whether training starts from learnt weights."""
        return self.weights != "none"


class TrainConfig(Settings):
    """What both training phases share.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: Peak rate.
        final_learning_rate_share: The cosine schedule ends at this share of the peak; 1 keeps the
            rate constant.
        rise_epochs: The rate rises linearly from 0 during this many epochs.
        weight_decay: Decoupled weight decay of AdamW; never applied to biases and BatchNorm.
        batch_size: Images in a step.
        label_smoothing: Probability mass spread evenly over the classes.
        dropout: Rate before the classification layer.
        gradient_clip_norm: Largest global norm of the gradient; None leaves it alone.
        precision: Keras dtype policy of the training computation.
        jit_compile: Compile with XLA: None leaves it to JAX; TensorFlow never does, since it has no
            XLA kernel for the augmentation.
        workers: Loader threads; 0 loads in the training thread.
    """

    epochs: int = Field(default=30, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    final_learning_rate_share: float = Field(default=1.0, ge=0.0, le=1.0)
    rise_epochs: float = Field(default=0.0, ge=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    batch_size: int = Field(default=32, ge=2)
    label_smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    gradient_clip_norm: float | None = Field(default=1.0, gt=0.0)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool | None = None
    workers: int = Field(default=1, ge=0)


class WarmupConfig(TrainConfig):
    """The first phase.

    With pretrained weights the backbone is frozen and only the head learns. Without them the whole
    network trains at a rising rate, since a frozen random backbone would teach nothing.
    """


class FinetuneConfig(TrainConfig):
    """The second phase.

    Attributes:
        unfreeze_epochs: Progressive unfreezing: blocks are freed from the output towards the input
            in even portions over this many epochs; 0 frees everything at once.
        frozen_blocks: Blocks next to the input that stay frozen throughout.
        train_batchnorm: Whether BatchNorm of unfrozen blocks learns and updates its statistics;
            False keeps it in inference mode.
        patience: Epochs without a better validation macro F1 before training stops.
    """

    epochs: int = Field(default=40, ge=1)
    learning_rate: float = Field(default=3e-6, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    unfreeze_epochs: int = Field(default=10, ge=0)
    frozen_blocks: int = Field(default=0, ge=0)
    train_batchnorm: bool = False
    patience: int = Field(default=10, ge=1)


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


class ModelStoreConfig(Settings):
    """How the model in production is followed.

    Attributes:
        cache: Folder for the bundles that were fetched; None takes one of its own, removed at the
            end.
        poll_seconds: Time between two looks at the alias.
        retry_seconds: Time before a version that was refused is tried again, as long as the alias
            still points to it.
        silent_seconds: Time without an answer of the registry after which it is said to be out of
            reach; three looks at least.
        keep: Most bundles left in the cache; the one that is served is never removed.
    """

    cache: str | None = None
    poll_seconds: float = Field(default=5.0, gt=0.0)
    retry_seconds: float = Field(default=60.0, ge=0.0)
    silent_seconds: float = Field(default=60.0, gt=0.0)
    keep: int = Field(default=2, ge=1)


class OidcConfig(Settings):
    """Whose bearer tokens are accepted.

    Attributes:
        issuer: The `iss` of a token, exactly.
        audience: What has to be among its `aud`.
        jwks_url: Where the issuer's keys lie; None asks the issuer's discovery document.
        algorithms: Signatures that are accepted; only ones made with a private key.
        required_role: Role that a token must hold; None asks for none.
        user_claim: Claim that names the user.
        role_claim: Claim that names one role, or a list of them.
        leeway_seconds: How far the issuer's clock may be off.
        timeout_seconds: Longest wait for the issuer's keys.
        keys_seconds: How long fetched keys are believed.
    """

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: str | None = None
    algorithms: tuple[SignatureAlgorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    required_role: str | None = None
    user_claim: str = "sub"
    role_claim: str = "roles"
    leeway_seconds: float = Field(default=30.0, ge=0.0)
    timeout_seconds: float = Field(default=5.0, gt=0.0)
    keys_seconds: float = Field(default=300.0, gt=0.0)


class ServeConfig(Settings):
    """The REST service.

    Attributes:
        host: Address that it listens on.
        port: Port that it listens on.
        insecure: Whether it may listen beyond loopback although nobody has to identify himself.
        tls_certificate: File of the certificate chain; None speaks plain HTTP.
        tls_key: File of its private key.
        keys_file: File with one API key a line; those of the environment count as well.
        oidc: Whose bearer tokens are accepted; None accepts none.
        audit: URL of the audit log's database; None keeps no log.
        max_file_bytes: Largest picture, encoded.
        max_files: Most pictures of one request.
        max_request_bytes: Largest request; `max_concurrent` of these may lie in memory at a time.
        max_concurrent: Most requests at a time, all clients together.
        max_per_client: Most requests of one client at a time.
        threads: Pictures judged at a time; 0 means one a core.
        upload_seconds: Longest that a request may take to arrive.
        predict_seconds: Longest that a request may wait for its answer after that.
        retry_after_seconds: What a client that was turned away is told to wait.
        keep_alive_seconds: How long an idle connection is kept; longer than any client or proxy keeps
            one, since who closes first may close on a request that is on its way.
        drain_seconds: Longest that a server told to stop goes on with the requests it has.
        store: How the model in production is followed.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    insecure: bool = False
    tls_certificate: str | None = None
    tls_key: str | None = None
    keys_file: str | None = None
    oidc: OidcConfig | None = None
    audit: str | None = None
    max_file_bytes: int = Field(default=16 * 2**20, ge=1)
    max_files: int = Field(default=16, ge=1)
    max_request_bytes: int = Field(default=64 * 2**20, ge=1)
    max_concurrent: int = Field(default=16, ge=1)
    max_per_client: int = Field(default=8, ge=1)
    threads: int = Field(default=0, ge=0)
    upload_seconds: float = Field(default=30.0, gt=0.0)
    predict_seconds: float = Field(default=60.0, gt=0.0)
    retry_after_seconds: int = Field(default=2, ge=1)
    keep_alive_seconds: int = Field(default=75, ge=1)
    drain_seconds: int = Field(default=30, ge=1)
    store: ModelStoreConfig = ModelStoreConfig()

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS needs both a certificate and its key; got one of the two")
        return self


class AuditConfig(Settings):
    """The log of predictions.

    Attributes:
        timeout_seconds: How long a writer waits for other writers, and for a database server to
            answer, before it gives up with an error.
        max_name_characters: Longest user, role, model version and reason.
        max_note_characters: Longest note of a feedback.
        listed: Readings listed where nobody says how many.
        max_listed: Most readings listed at once.
        rows_in_memory: Rows fetched at a time where the whole log is read; it bounds memory.
    """

    timeout_seconds: float = Field(default=30.0, gt=0.0)
    max_name_characters: int = Field(default=200, ge=1)
    max_note_characters: int = Field(default=4000, ge=1)
    listed: int = Field(default=50, ge=1)
    max_listed: int = Field(default=10_000, ge=1)
    rows_in_memory: int = Field(default=1000, ge=1)


class BatchConfig(Settings):
    """How many pictures are scored at one go.

    Attributes:
        engine: `serial` works in this process, `processes` on every core of this machine, `ray` on a
            Ray cluster.
        workers: How many work at a time; 0 means one a core, of this machine or of the cluster.
        threads: Inference threads of each worker; 0 shares the cores out evenly among the
            processes of this machine, and means one on a cluster.
        address: Ray cluster to join, such as `10.0.0.7:6379`; None starts one on this machine. Only
            for the engine `ray`.
        on_change: What happens where the output was begun with another model or another source:
            `refuse` stops with the reason, `afresh` discards it and starts again.
        suffixes: Files of a folder, zip or S3 prefix that count as pictures, in lower case; a CSV
            names its pictures itself.
        shard_size: Pictures scored and written at a time: what a kill costs at most, for each
            worker.
        batch_size: Pictures in a forward pass.
        readers: Objects of S3 that each worker fetches at a time.
        max_crashes: Pictures put aside because they bring their worker down; at one more the run
            stops, since then the machine rather than the pictures will be to blame.
        max_file_bytes: A larger encoded picture is refused unread.
        max_archive_bytes: A zip that unpacks to more is refused.
    """

    engine: Literal["serial", "processes", "ray"] = "processes"
    workers: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0)
    address: str | None = None
    on_change: Literal["refuse", "afresh"] = "refuse"
    suffixes: tuple[str, ...] = (
        ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm"
    )  # fmt: skip
    shard_size: int = Field(default=128, ge=1)
    batch_size: int = Field(default=16, ge=1)
    readers: int = Field(default=8, ge=1)
    max_crashes: int = Field(default=10, ge=0)
    max_file_bytes: int = Field(default=IngestConfig().max_file_bytes, ge=1)
    max_archive_bytes: int = Field(default=IngestConfig().max_archive_bytes, ge=1)

    @model_validator(mode="after")
    def _asks_for_one_engine(self) -> Self:
        if self.address is not None and self.engine != "ray":
            raise ValueError(
                f"address is {self.address!r}, but engine is {self.engine!r}; only `ray` has one"
            )
        if not self.suffixes or not all(
            s.startswith(".") and s == s.lower() for s in self.suffixes
        ):
            raise ValueError(
                f"suffixes is {self.suffixes!r}; expected endings such as '.jpg', in lower case"
            )
        return self


class RegistryConfig(Settings):
    """How versions are compared, checked and moved into production.

    Attributes:
        lock_timeout_s: How long a change of production waits for another one on this machine.
        settle_s: A change that began less than this long ago may still be at work on another
            machine: repairing leaves it alone.
        resamples: Bootstrap resamples over lesions, for the interval of every difference.
        seed: Of the lesions drawn.
        answer_tolerance: Largest difference between the answer that was recorded and the one that a
            freshly loaded model gives, in probability or in share of a raw output; CPUs round
            differently.
        max_words: Longest reason and name of a user, in characters.
    """

    lock_timeout_s: float = Field(default=60.0, ge=0.0)
    settle_s: float = Field(default=600.0, ge=0.0)
    resamples: int = Field(default=2000, ge=100)
    seed: int = 17
    answer_tolerance: float = Field(default=1e-3, gt=0.0)
    max_words: int = Field(default=1000, ge=1)


class DriftConfig(Settings):
    """When pictures no longer look like those that the model was validated on.

    Attributes:
        min_images: Fewer pictures tell nothing; neither does a feature that fewer of them have.
        watch: Population stability index from which a change is worth watching.
        drift: Population stability index from which it is drift.
        significance: And its corrected p-value has to be below this.
        bins: Equal-mass bins of a number.
        permutations: Of the test of categories.
        seed: Of the permutations.
    """

    min_images: int = Field(default=50, ge=10)
    watch: float = Field(default=0.1, gt=0.0)
    drift: float = Field(default=0.25, gt=0.0)
    significance: float = Field(default=0.01, gt=0.0, lt=1.0)
    bins: int = Field(default=10, ge=2)
    permutations: int = Field(default=4000, ge=1000)
    seed: int = Field(default=17, ge=0, le=MAX_SEED)

    @model_validator(mode="after")
    def _are_in_order(self) -> Self:
        if self.watch > self.drift:
            raise ValueError(f"watch is {self.watch:g}, above drift, {self.drift:g}")
        return self
