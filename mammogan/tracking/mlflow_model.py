"""The chosen generator in MLflow's registry: with the code that loads it, and public packages pinned."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from mammogan.errors import DataError
from mammogan.tracking.tracker import ModelPackage


def log_model(model: ModelPackage, run_id: str, uri: str) -> str:
    """Log a model to a run; returns its URI.

    Its code travels with it: a package index has no MammoGAN, so a pin of it would install nowhere.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec(kind, name) for name, kind in model.inputs.items()])
    mlflow.set_tracking_uri(uri)  # the only way to log a model
    with mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name="generator",
            loader_module=model.loader,
            data_path=str(model.folder),
            code_paths=[str(path) for path in model.code] or None,
            pip_requirements=pins(model.packages),
            signature=ModelSignature(inputs=inputs) if model.inputs else None,
        )
    return str(logged.model_uri)


def register(model_uri: str, name: str, uri: str) -> str:
    """Register a logged model under a name; returns its version there."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    return str(mlflow.register_model(model_uri, name).version)


def pins(packages: tuple[str, ...]) -> list[str]:
    """Return a requirement of each package at the version that is installed, as an index knows it.

    A local tag such as ``+cpu`` names a build that the public index does not have.
    """
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in packages]


def fetch(uri: str) -> Path:
    """Download a model by its address, ``models:/NAME/VERSION`` or ``runs:/RUN/generator``, to this machine.

    Raises
    ------
    DataError
        If MLflow has none there, or can't be reached.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(artifact_uri=uri))
    except (MlflowException, OSError) as error:
        raise DataError(
            f"The model '{uri}' can't be had from MLflow: {error}. MLFLOW_TRACKING_URI names its server."
        ) from None
