"""Who a job in a container is for the tracking server: MLflow's file of credentials is not in the image.

Its content goes along as variables, read where the job runs. Neither batch script nor log has it.
"""

from __future__ import annotations

from mammogan.config.site import Site
from mammogan.tracking import mlflow_access

# As configparser reads it: key = value or key: value, in any case. A trace of the shell would show it.
LINES = r"""{ traced=$-; set +x; } 2>/dev/null
credential() {
  local blank='[[:space:]]*' value='\(.*[^[:space:]]\)'
  sed -n "s/^${blank}mlflow_tracking_$1$blank[=:]$blank$value$blank\$/\1/Ip" ~/.mlflow/credentials | head -n 1
}
if [ -z "${MLFLOW_TRACKING_TOKEN:-}" ] && [ -r ~/.mlflow/credentials ]; then
  export MLFLOW_TRACKING_USERNAME="${MLFLOW_TRACKING_USERNAME:-$(credential username)}"
  export MLFLOW_TRACKING_PASSWORD="${MLFLOW_TRACKING_PASSWORD:-$(credential password)}"
fi
[[ $traced != *x* ]] || set -x"""


def lines(site: Site) -> list[str]:
    """Lines of a batch script that give a container the credentials of the user whose job it is."""
    return [LINES] if _wanted(site) else []


def variables(site: Site) -> dict[str, str]:
    """Variables that do the same for a container which this process starts."""
    return mlflow_access.credentials() if _wanted(site) else {}


def _wanted(site: Site) -> bool:
    asks = "mlflow" in site.tracking.trackers and site.tracking.uri.startswith("http")
    return asks and bool(site.container.image)
