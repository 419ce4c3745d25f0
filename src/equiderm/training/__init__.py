"""Train a method, predict with it, and probe what its features still tell of the group."""

from equiderm.training.checkpoint import Run, load_run
from equiderm.training.dataset import ManifestDataset
from equiderm.training.experiment import (
    Experiment,
    experiment_from,
    experiment_schema,
    read_experiment,
)
from equiderm.training.features import Features, read_features
from equiderm.training.loop import fit
from equiderm.training.pixels import ArrayImages, Images
from equiderm.training.predict import predict
from equiderm.training.probe import Probe, probe

__all__ = [
    "ArrayImages",
    "Experiment",
    "Features",
    "Images",
    "ManifestDataset",
    "Probe",
    "Run",
    "experiment_from",
    "experiment_schema",
    "fit",
    "load_run",
    "predict",
    "probe",
    "read_experiment",
    "read_features",
]
