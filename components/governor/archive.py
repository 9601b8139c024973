"""Read the rulings: for the API, the command line, the reports and the metrics.

In: the governor's database. Out: `RulingRecord`s and counts. Writes nothing and decides nothing.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from components.governor.rulings import RulingChange, RulingRecord
from components.governor.schema import Database, EpisodeRow, ProblemRow, RulingRow, RunRow


class Archive:
    """The part of the database that readers see."""

    def __init__(self, database: Database) -> None:
        """Take the governor's database."""
        self._database = database

    def list_rulings(self, problem: str | None = None, limit: int = 100) -> list[RulingRecord]:
        """Return rulings with their runs, the newest episode first, without history."""
        chosen = select(EpisodeRow).options(joinedload(EpisodeRow.run)).order_by(EpisodeRow.id.desc()).limit(limit)
        if problem:
            chosen = chosen.where(EpisodeRow.problem == problem)
        with self._database.reading() as session:
            return [RulingRecord.model_validate(row) for row in session.scalars(chosen)]

    def find_ruling(self, episode_id: int) -> RulingRecord | None:
        """Return the ruling on one episode with its history; None if there is no such episode."""
        loaded = (joinedload(EpisodeRow.run), selectinload(EpisodeRow.rulings))
        with self._database.reading() as session:
            row = session.get(EpisodeRow, episode_id, options=loaded)
            if row is None:
                return None
            history = tuple(RulingChange.model_validate(ruling) for ruling in row.rulings)
            return RulingRecord.model_validate(row).model_copy(update={"history": history})

    def count_rulings(self) -> dict[tuple[str, str, str], int]:
        """Count the rulings in all histories by problem, choice and reason."""
        columns = (EpisodeRow.problem, RulingRow.choice, RulingRow.reason)
        counted = select(*columns, func.count()).join(EpisodeRow.rulings).group_by(*columns)
        with self._database.reading() as session:
            return {(problem, choice, reason): n for problem, choice, reason, n in session.execute(counted)}

    def count_runs(self) -> dict[tuple[str, str], int]:
        """Count the runs by problem and state."""
        counted = select(RunRow.problem, RunRow.state, func.count()).group_by(RunRow.problem, RunRow.state)
        with self._database.reading() as session:
            return {(problem, state): n for problem, state, n in session.execute(counted)}

    def count_escalations(self) -> dict[str, int]:
        """Count the episodes that are escalated now, by problem."""
        counted = select(EpisodeRow.problem, func.count()).where(EpisodeRow.choice == "escalate")
        with self._database.reading() as session:
            return dict(session.execute(counted.group_by(EpisodeRow.problem)).all())

    def list_pauses(self) -> dict[str, str]:
        """Return who paused retraining, by problem; no entry for one that is not paused."""
        paused = select(ProblemRow.name, ProblemRow.paused_by).where(ProblemRow.paused_by.is_not(None))
        with self._database.reading() as session:
            return {name: str(person) for name, person in session.execute(paused)}

    def check(self) -> None:
        """Return when the database answers; raises what `Database.reading` raises when not."""
        with self._database.reading() as session:
            session.scalar(select(func.count()).select_from(ProblemRow))
