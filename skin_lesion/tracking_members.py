"""What an MLflow run holds of the members of an ensemble: a run for each below that of the whole."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from skin_lesion import tracking
from skin_lesion.modeling.bundle import Contract
from skin_lesion.modeling.ensemble import kept_metrics
from skin_lesion.modeling.history import History

_PARENT = "mlflow.parentRunId"


@contextmanager
def member_run(number: int, configuration: Mapping[str, object] | None = None) -> Iterator[str]:
    """Make the run of a member the active one, starting it below the active run where there is none.

    Steps of one pipeline run share it. On leaving, the run of the whole is the active one again.

    Args:
        number: Of the member, from 1.
        configuration: What distinguishes it from the others; logged as parameters.

    Yields:
        Id of the member's run.

    Raises:
        RuntimeError: No run is active.
    """
    import mlflow

    parent = mlflow.active_run()
    if parent is None:
        raise RuntimeError("no MLflow run is active; start that of the whole ensemble first")
    name = f"fold {number}"
    found = mlflow.search_runs(
        experiment_ids=[parent.info.experiment_id],
        filter_string=(
            f"tags.{_PARENT} = '{parent.info.run_id}' and tags.mlflow.runName = '{name}'"
        ),
        output_format="list",
    )
    run_id = found[0].info.run_id if found else None
    with mlflow.start_run(run_id=run_id, run_name=name, nested=True) as run:
        if configuration:
            tracking.log_configuration(configuration)
        yield run.info.run_id


def adopt_training(histories: Sequence[History], contract: Contract) -> None:
    """Make a run complete whose training came from a cache, be it of one network or of an ensemble.

    Members that another run trained get a run below this one, too, which says where they come from.
    Mean and standard deviation of what members came to on their own folds are logged either way, and
    what each is worth alone on the validation split, to stand beside what they are worth together.

    Args:
        histories: Training phases in order, of one member after the other.
        contract: Of the model that they led to.
    """
    import mlflow

    if not contract.members:
        tracking.adopt_phases(histories)
        return
    run_id = tracking.active_run_id()
    phases = len(histories) // len(contract.members)
    members = [histories[at : at + phases] for at in range(0, len(histories), phases)]
    for number, member in enumerate(members, 1):
        with member_run(number):
            tracking.adopt_phases(member)
    if contract.training_run_id != run_id:
        mlflow.set_tag(tracking.TRAINED_BY, contract.training_run_id or "none")
    figures = fold_figures([member[-1] for member in members])
    for one in contract.members:
        if one.alone_macro_f1 is not None:
            figures[f"fold_{one.fold}.alone_macro_f1"] = one.alone_macro_f1
    mlflow.log_metrics(figures)


def fold_figures(histories: Sequence[History]) -> dict[str, float]:
    """What members came to on the folds that they did not learn from, at the epochs that were kept.

    Args:
        histories: The last phase of each member.

    Returns:
        `fold_<i>.<figure>` for each member, and `folds.<figure>.mean` and `.sd` (of a sample, with
        n - 1) of each figure that all members have.
    """
    kept = [
        {name: value for name, value in kept_metrics(one).items() if name.startswith("val_")}
        for one in histories
    ]
    figures = {
        f"fold_{number}.{name}": value
        for number, metrics in enumerate(kept, 1)
        for name, value in metrics.items()
    }
    for name in sorted(set.intersection(*(set(metrics) for metrics in kept))):
        values = np.array([metrics[name] for metrics in kept])
        figures[f"folds.{name}.mean"] = float(values.mean())
        if len(values) > 1:
            figures[f"folds.{name}.sd"] = float(values.std(ddof=1))
    return figures
