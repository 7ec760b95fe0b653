"""The pipeline of an ensemble: members trained on folds of the training lesions, served as one model."""

from zenml import pipeline

from pipelines.training import MODEL
from skin_lesion.data.sources import source_fingerprint
from skin_lesion.modeling.weights import weights_fingerprint
from skin_lesion.settings import (
    BackboneConfig,
    EnsembleConfig,
    FinetuneConfig,
    SourceConfig,
    WarmupConfig,
)
from steps._run import of_fold
from steps.augment import augment
from steps.cut_fold import cut_fold
from steps.ensemble import ensemble as join
from steps.evaluate import evaluate
from steps.finetune_member import finetune_member
from steps.ingest import ingest
from steps.register import register
from steps.split import split
from steps.validate import validate
from steps.warmup_member import warmup_member


@pipeline(model=MODEL)
def ensemble_pipeline(
    source: SourceConfig,
    image_size: tuple[int, int],
    backbone: BackboneConfig,
    seed: int,
    ensemble: EnsembleConfig = EnsembleConfig(),
    warmup: WarmupConfig = WarmupConfig(),
    finetune: FinetuneConfig = FinetuneConfig(),
    known_source: str | None = None,
    known_weights: str | None = None,
) -> None:
    """Train the members of an ensemble, evaluate them as one model, and register it.

    Args:
        source: Where the pictures come from.
        image_size: Height and width that the networks see, in pixels.
        backbone: The network of every member and the weights it starts from.
        seed: Base of every random choice.
        ensemble: How many members.
        warmup: First phase of every member.
        finetune: Second phase of every member.
        known_source: As of the training pipeline, for a re-run; no configuration sets it.
        known_weights: Likewise.
    """
    # As in `pipelines.training`: what files hold goes into the cache keys of the steps that read them.
    manifest, images = ingest(
        source=source,
        image_size=image_size,
        seed=seed,
        source_fingerprint=known_source or source_fingerprint(source, seed),
    )
    validation = validate(manifest, images)
    table, _ = split(manifest, images, seed, after=validation)
    plan, _ = augment(images, table, seed)
    start = known_weights or weights_fingerprint(backbone)
    folds, members, histories = [], [], []
    for fold in range(1, ensemble.folds + 1):
        part, varied = cut_fold(
            table, plan, fold=fold, seed=seed, config=ensemble, id=of_fold("ensemble", fold)
        )
        begun, first = warmup_member(
            images, part, varied,
            backbone=backbone, weights_fingerprint=start, fold=fold, config=warmup,
            id=of_fold("warmup_train", fold),
        )  # fmt: skip
        member, second = finetune_member(
            images, part, varied, begun,
            fold=fold, config=finetune, id=of_fold("finetune_train", fold),
        )  # fmt: skip
        folds.append(part)
        members.append(member)
        histories.append([first, second])
    bundle = join(images, table, manifest, members, [phases[-1] for phases in histories], folds)
    evaluation = evaluate(bundle, images, table, manifest, seed)
    register(
        bundle, evaluation, manifest, table, plan, [one for phases in histories for one in phases]
    )
