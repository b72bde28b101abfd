"""Where a run is in MLflow: its experiment, which somebody may delete in the page, or single runs of it.

What is only marked as deleted is restored where the server permits it; the rest is for others to make anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mammogan.errors import ConfigError
from mammogan.tracking import mlflow_access

TAGS = {"mlflow.experimentKind": "custom_model_development"}  # the page then opens on training, not on GenAI


class Place:
    """The experiment called `name` of the server that `client` speaks to.

    Attributes
    ----------
    where
        The server's URI, for messages.
    files_at
        Where a new experiment keeps files; None leaves it to the server.
    notices
        What somebody should know who looks at the run.
    """

    def __init__(self, client: Any, name: str, where: str, files_at: str | None) -> None:
        self.client, self.name, self.where, self.files_at = client, name, where, files_at
        self.notices: list[str] = []
        self._experiment_id = ""

    def experiment_id(self) -> str:
        """Return the id of the run's experiment; of a new run, make it or restore it."""
        if not self._experiment_id:
            if found := self.client.get_experiment_by_name(self.name):
                self._experiment_id = self._active(found)
            else:
                made = self.client.create_experiment(self.name, artifact_location=self.files_at, tags=TAGS)
                self._experiment_id = str(made)
        return self._experiment_id

    def find(self, run_id: str, source: str) -> Any:
        """Return the server's run, deleted or not; None if it has none, as when its database was replaced."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            self.notice(f"MLflow no longer has the run of '{source}' ({self.where}): logged anew")
            return None

    def restore(self, source: str, found: Any) -> bool:
        """Restore a run and its experiment if they are marked as deleted; tell whether both can be used."""
        if found.info.experiment_id != self._experiment_id:
            experiment = self.client.get_experiment(found.info.experiment_id)
            if experiment.lifecycle_stage == "deleted" and experiment.name != self.name:
                self.notice(
                    f"the MLflow experiment '{experiment.name}' was deleted in the page ({self.where}): "
                    f"the run is logged anew in '{self.name}'"
                )
                return False
            active = self._active(experiment)
            self._experiment_id = self._experiment_id or active  # that of the parent, which comes first
            found = self.client.get_run(found.info.run_id)  # an experiment takes its runs along
        if found.info.lifecycle_stage != "deleted":
            return True
        deleted = f"the MLflow run of '{source}' was deleted in the page ({self.where})"
        back = self._permitted(self.client.restore_run, found.info.run_id)
        self.notice(
            f"{deleted}, and is restored"
            if back
            else f"{deleted}, which only its owner may undo: logged anew"
        )
        return back

    def _active(self, experiment: Any) -> str:
        """Restore an experiment if it is marked as deleted: MLflow makes no second one of its name."""
        if experiment.lifecycle_stage == "deleted":
            deleted = f"the MLflow experiment '{experiment.name}' was deleted in the page ({self.where})"
            if not self._permitted(self.client.restore_experiment, experiment.experiment_id):
                raise ConfigError(
                    f"{deleted[0].upper()}{deleted[1:]}, and you may not restore it (403). Ask its owner or "
                    "an administrator to do that, or name another in tracking.experiment."
                )
            self.notice(f"{deleted}, and is restored with its runs")
        return str(experiment.experiment_id)

    def _permitted(self, call: Callable[[str], None], name: str) -> bool:
        """Do something that only the owner of an experiment may; tell whether the server let us."""
        from mlflow.exceptions import MlflowException

        try:
            call(name)
        except MlflowException as error:
            if mlflow_access.status_of(error) != 403:
                raise
            return False
        return True

    def notice(self, text: str) -> None:
        """Keep what somebody should know who looks at the run, once."""
        if text not in self.notices:
            self.notices.append(text)
