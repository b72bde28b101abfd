"""The chosen generator in MLflow's registry: with the code that loads it, and public packages pinned."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from mammogan.tracking.tracker import ModelPackage


def log_model(model: ModelPackage, run_id: str, uri: str) -> Any:
    """Log a model to a run, and register it; returns what MLflow says of it.

    Its code travels with it: a package index has no MammoGAN, so a pin of it would install nowhere.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec(kind, name) for name, kind in model.inputs.items()])
    mlflow.set_tracking_uri(uri)  # the only way to log a model
    with mlflow.start_run(run_id=run_id):
        return mlflow.pyfunc.log_model(
            name="generator",
            loader_module=model.loader,
            data_path=str(model.folder),
            code_paths=[str(path) for path in model.code] or None,
            pip_requirements=pins(model.packages),
            signature=ModelSignature(inputs=inputs) if model.inputs else None,
            registered_model_name=model.registered or None,
        )


def pins(packages: tuple[str, ...]) -> list[str]:
    """Return a requirement of each package at the version that is installed, as an index knows it.

    A local tag such as ``+cpu`` names a build that the public index does not have.
    """
    return [f"{name}=={metadata.version(name).partition('+')[0]}" for name in packages]
