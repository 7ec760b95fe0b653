"""What is asked of the audit log, in SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from skin_lesion.audit.records import AuditRow, from_stored
from skin_lesion.audit.schema import audit_log
from skin_lesion.chain.rows import timestamp


@dataclass(frozen=True)
class Scope:
    """Which rows are meant.

    Attributes:
        user: Only what this user wrote; None means everybody.
        since: Only what was written at this time or later.
        until: Only what was written before this time.
    """

    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, table: Any = audit_log) -> list[Any]:
        """The same in SQL.

        Raises:
            ValueError: A time has no time zone.
        """
        conditions = []
        if self.user is not None:
            conditions.append(table.c.user == self.user)
        if self.since is not None:
            conditions.append(table.c.at >= timestamp(self.since))
        if self.until is not None:
            conditions.append(table.c.at < timestamp(self.until))
        return conditions


@dataclass(frozen=True)
class Reading:
    """A reading and what was said of it.

    Attributes:
        row: The reading.
        feedback: The latest feedback on it; None where nobody gave any.
    """

    row: AuditRow
    feedback: AuditRow | None


@dataclass(frozen=True)
class Agreement:
    """How often people agreed with the model.

    Attributes:
        readings: Readings in which the model named a class.
        with_feedback: Those on which somebody gave feedback.
        agreed: Those whose latest feedback names the same class.
    """

    readings: int
    with_feedback: int
    agreed: int

    @property
    def rate(self) -> float | None:
        """`agreed` as a share of `with_feedback`; None where there is no feedback.

        People choose what they give feedback on: this is no estimate of the model's accuracy.
        """
        return self.agreed / self.with_feedback if self.with_feedback else None


def in_order(scope: Scope) -> Select[Any]:
    """Rows in the order of writing."""
    return select(audit_log).where(*scope.conditions()).order_by(audit_log.c.id)


def by_id(row_id: int) -> Select[Any]:
    """One row."""
    return select(audit_log).where(audit_log.c.id == row_id)


def latest_readings(connection: Connection, user: str | None, limit: int) -> list[Reading]:
    """The latest readings with the latest feedback on each, the newest first.

    Raises:
        DamagedRowError: A row holds what this log never writes.
    """
    newest = (
        select(audit_log)
        .where(audit_log.c.corrects_id.is_(None), *Scope(user).conditions())
        .order_by(audit_log.c.id.desc())
        .limit(limit)
    )
    wanted = newest.with_only_columns(audit_log.c.id).subquery()
    on_them = (
        select(audit_log)
        .where(audit_log.c.corrects_id.in_(select(wanted.c.id)))
        .order_by(audit_log.c.id)
    )
    rows = [from_stored(row._asdict()) for row in connection.execute(newest)]
    said = [from_stored(row._asdict()) for row in connection.execute(on_them)]
    latest = {row.corrects_id: row for row in said}
    return [Reading(row, latest.get(row.id)) for row in rows]


def count_agreement(connection: Connection, scope: Scope, model_version: str | None) -> Agreement:
    """How often the latest feedback on a reading names the predicted class."""
    reading, said = audit_log.alias("reading"), audit_log.alias("said")
    latest = (
        select(func.max(audit_log.c.id).label("id"), audit_log.c.corrects_id)
        .where(audit_log.c.corrects_id.is_not(None))
        .group_by(audit_log.c.corrects_id)
        .subquery()
    )
    agrees = case((said.c.feedback_label == reading.c.prediction, 1), else_=0)
    conditions = [reading.c.prediction.is_not(None), *scope.conditions(reading)]
    if model_version is not None:
        conditions.append(reading.c.model_version == model_version)
    counts = (
        select(func.count(), func.count(said.c.id), func.coalesce(func.sum(agrees), 0))
        .select_from(reading)
        .outerjoin(latest, latest.c.corrects_id == reading.c.id)
        .outerjoin(said, said.c.id == latest.c.id)
        .where(*conditions)
    )
    return Agreement(*(int(count) for count in connection.execute(counts).one()))
