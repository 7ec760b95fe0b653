"""The training pipeline: from pictures to a registered model."""

from zenml import Model, pipeline

from skin_lesion.data.sources import source_fingerprint
from skin_lesion.modeling.weights import weights_fingerprint
from skin_lesion.registry import MODEL_NAME
from skin_lesion.settings import BackboneConfig, SourceConfig
from steps.augment import augment
from steps.evaluate import evaluate
from steps.finetune_train import finetune_train
from steps.ingest import ingest
from steps.register import register
from steps.split import split
from steps.validate import validate
from steps.warmup_train import warmup_train

MODEL = Model(
    name=MODEL_NAME,
    description="Seven diagnostic classes of pigmented skin lesions from one dermatoscopic picture.",
)


@pipeline(model=MODEL)
def training_pipeline(
    source: SourceConfig,
    image_size: tuple[int, int],
    backbone: BackboneConfig,
    seed: int,
    known_source: str | None = None,
    known_weights: str | None = None,
) -> None:
    """Train, evaluate and register a classifier of skin lesions.

    Args:
        source: Where the pictures come from.
        image_size: Height and width that the network sees, in pixels.
        backbone: The network and the weights it starts from.
        seed: Base of every random choice.
        known_source: Fingerprint of the pictures, for a re-run that reads none of them; None takes
            it from the source. No configuration sets it.
        known_weights: The same of the weights that training starts from.
    """
    # Both fingerprints are taken while the pipeline is compiled: they put the contents of files
    # into the cache keys of the steps that read them.
    manifest, images = ingest(
        source=source,
        image_size=image_size,
        seed=seed,
        source_fingerprint=known_source or source_fingerprint(source, seed),
    )
    validation = validate(manifest, images)
    table, _ = split(manifest, images, seed, after=validation)
    plan, _ = augment(images, table, seed)
    warmup, warmup_history = warmup_train(
        images,
        table,
        plan,
        backbone=backbone,
        weights_fingerprint=known_weights or weights_fingerprint(backbone),
    )
    bundle, finetune_history = finetune_train(images, table, plan, manifest, warmup)
    evaluation = evaluate(bundle, images, table, manifest, seed)
    register(bundle, evaluation, manifest, table, plan, [warmup_history, finetune_history])
