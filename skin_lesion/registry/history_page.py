"""The page beside a model card that says when the version went into production, and out of it."""

import logging
from collections.abc import Iterable
from html import escape

from skin_lesion import tracking
from skin_lesion.data.pages import page, table
from skin_lesion.registry import changes
from skin_lesion.registry.changes import Recorded

log = logging.getLogger(__name__)

PAGE = "production_history"
_HEADS = ["No.", "When (UTC)", "Who", "What", "Why", "In spite of the gates, because"]
_WIDTHS = (5, 14, 12, 23, 20, 26)  # per cent


def write_pages(name: str, versions: Iterable[int]) -> None:
    """Write the page of some versions anew; it is made of the records, which stay what they are.

    A version that is gone, or whose run is, gets none. Nothing is raised: the change that is told
    here stands, whatever becomes of its page, and `status` says that the page is out of date.
    """
    import mlflow

    client = mlflow.MlflowClient()
    records = changes.history(name)
    for version in versions:
        try:
            run_id = client.get_model_version(name, str(version)).run_id
            for file, text in _files(name, version, records).items():
                client.log_text(str(run_id), text, f"{tracking.DOCUMENTS}/{file}")
        except Exception as error:  # noqa: BLE001  # every store of artifacts has its own
            log.warning("version %s gets no page about its promotion: %s", version, error)


def is_written(name: str, version: int, records: list[Recorded]) -> bool:
    """Whether the page of a version says what the records say; True where its run is gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        run_id = mlflow.MlflowClient().get_model_version(name, str(version)).run_id
        mlflow.get_run(str(run_id))
    except MlflowException as error:
        if not tracking.is_missing(error):
            raise
        return True
    file = f"{PAGE}.md"
    try:
        found = mlflow.artifacts.load_text(f"runs:/{run_id}/{tracking.DOCUMENTS}/{file}")
    except (MlflowException, OSError) as error:
        if not tracking.is_missing(error):
            raise
        return False
    return bool(found == _files(name, version, records)[file])


def _files(name: str, version: int, records: list[Recorded]) -> dict[str, str]:
    """The page as HTML and as Markdown, by file name."""
    rows = [
        _row(one)
        for one in records
        if one.state == "done" and version in (one.change.before, one.change.after)
    ]
    title = f"{name}, version {version}: in production and out of it"
    cells = [[escape(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in [_HEADS, ["---"] * 6, *rows]]
    # The Markdown is written last: where it is up to date, so is the other.
    return {
        f"{PAGE}.html": page(title, [table(_HEADS, cells, widths=_WIDTHS)]),
        f"{PAGE}.md": "\n".join([f"# {title}", "", *lines, ""]),
    }


def _row(record: Recorded) -> list[str]:
    change = record.change
    override = ""
    if change.override is not None:
        override = f"{change.override} ({' '.join(change.refused)})"
    return [
        str(change.number),
        f"{change.when:%Y-%m-%d %H:%M:%S}",
        change.user,
        change.sentence(),
        change.reason,
        override,
    ]


def _cell(text: str) -> str:
    """Text that cannot break out of a cell of a Markdown table."""
    return escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
