"""Train a method, predict with it, and probe how well its features still show the group."""

from equiderm.training.card import model_card
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.dataset import ManifestDataset
from equiderm.training.experiment import (
    Experiment,
    experiment_from,
    experiment_schema,
    read_experiment,
)
from equiderm.training.export import Export, export
from equiderm.training.features import Features, read_features
from equiderm.training.loop import fit
from equiderm.training.pixels import ArrayImages, Images
from equiderm.training.predict import predict
from equiderm.training.probe import NumberProbe, Probe, probe
from equiderm.training.saliency import saliency
from equiderm.training.tone import ToneModel

__all__ = [
    "ArrayImages",
    "Experiment",
    "Export",
    "Features",
    "Images",
    "ManifestDataset",
    "NumberProbe",
    "Probe",
    "Run",
    "ToneModel",
    "experiment_from",
    "experiment_schema",
    "export",
    "fit",
    "load_run",
    "model_card",
    "predict",
    "probe",
    "read_experiment",
    "read_features",
    "saliency",
]
