"""The loop: plain PyTorch, with Accelerate for devices, processes and trackers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from equiderm.batch import Batch
from equiderm.debias import terms
from equiderm.debias.method import check_all_parameters_move
from equiderm.errors import Diverged, InputError
from equiderm.files import AnyPath, only_one, sweep, write_text
from equiderm.training import checkpoint
from equiderm.training import distributed as processes
from equiderm.training.averaging import Average
from equiderm.training.experiment import Experiment
from equiderm.training.features import check_matches, content_hash, features_backbone
from equiderm.training.figures import figures, figures_of
from equiderm.training.pixels import Images, batches
from equiderm.training.precision import autocast, on_device, settings_of
from equiderm.training.predict import features, target_logits, target_scores
from equiderm.training.replay import replayed
from equiderm.training.rows import Rows, select_rows, tensor_of, values_of
from equiderm.training.schedule import Schedule, clip_gradients
from equiderm.training.tracking import check_tracker, tracking

GPU_LOG_STEPS = 20  # reading a loss waits for the GPU; on a CPU every step is read


@dataclass(frozen=True)
class Progress:
    """What a watcher of `fit` receives after every step: its progress and the last losses."""

    step: int
    steps: int
    epoch: int
    losses: dict[str, float]


def fit(
    experiment: Experiment,
    manifest: pd.DataFrame,
    out: AnyPath,
    *,
    images: Images,
    fold: int | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Path:
    """Train a method, and return the folder of the run.

    An interrupted run resumes from its last saved state and ends with the same weights (bit for bit
    on a CPU); a finished one is left as it is. Under ``torchrun`` or ``accelerate launch`` every
    process takes its share of each batch. Ctrl-C, or a notebook's stop, finishes the step, saves
    the state and raises KeyboardInterrupt; a second one does not wait. The caller's random
    generators and torch's settings are left as they were.

    Args:
        experiment: What to train.
        manifest: Columns ``image_id``, ``target``, ``split`` and the experiment's group column.
        out: Folder of the run.
        images: The uint8 store that holds the manifest's images.
        fold: With cross-validation, the fold that validates.
        watch: Called after every step.

    Raises:
        InputError: An experiment or a manifest that cannot be used, before the first batch; a loss
            that is not finite; a folder that holds another run, or that another process uses.
    """
    out = Path(out)
    rows = select_rows(experiment, manifest, fold=fold)
    try:
        with settings_of(experiment), _alone(out):
            loop = _Loop(experiment, rows, out, images, fold)
            if not loop.finished:
                loop.run(watch or (lambda progress: None))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise InputError(
            "a batch of one image leaves this backbone's batch normalisation a single value at "
            f"[data] size = {experiment.data.size}; take a larger batch_size, drop_last = true, or "
            "a larger size."
        ) from error
    return out


@contextlib.contextmanager
def _alone(out: Path) -> Generator[None]:
    """Hold the folder of a run; of several processes that share the run, the first holds it."""
    if int(os.environ.get("RANK", "0")):
        yield
        return
    with only_one(out / checkpoint.RUN):
        sweep(*(out / name for name in (checkpoint.EXPERIMENT, checkpoint.MODEL, checkpoint.STATE)))
        yield


class _Loop:
    def __init__(
        self, experiment: Experiment, rows: Rows, out: Path, images: Images, fold: int | None
    ) -> None:
        self.experiment, self.rows, self.out = experiment, rows, out
        training = experiment.training
        check_tracker(training.tracker)
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            log_with=None if training.tracker == "none" else training.tracker,
            project_dir=str(out),
        )
        self.device = self.accelerator.device
        self.processes, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        if training.batch_size % self.processes:
            raise InputError(
                f"[training] batch_size = {training.batch_size}: cannot be shared equally by "
                f"{self.processes} processes; it counts the images of all of them together."
            )
        self.about = checkpoint.about_run(experiment, rows, fold=fold, processes=self.processes)
        self.about["features"] = content_hash(images)
        self.about["feature_names"] = list(getattr(images, "names", ()))
        self.finished = checkpoint.check_folder(out, experiment, self.about)
        if not self.finished and not self._prepare(images):
            self._prepare(images, resume=False)

    def _prepare(self, images: Images, *, resume: bool = True) -> bool:
        """Build method and batches; return False where the saved state was damaged.

        What has loaded a part of a damaged state cannot be used.
        """
        experiment, rows = self.experiment, self.rows
        torch.manual_seed(experiment.seed)
        check_matches(experiment, images)
        if images.images.ndim == 2:
            training = images.rows(rows.frame["image_id"].iloc[rows.train].tolist())
            self.backbone = features_backbone(images.images[training], experiment.backbone.units)
        else:
            self.backbone = experiment.build_backbone()
        self.method = experiment.build_method(
            self.backbone.module,
            self.backbone.n_features,
            attributes=rows.attributes,
            target=rows.outcome,
        ).to(self.device)
        if self.method.column is not None:
            self.method.values = torch.from_numpy(values_of(rows, self.method.column))
        self.method.normalisation = (self.backbone.mean, self.backbone.std)
        if experiment.backbone.freeze:
            self.method.backbone.requires_grad_(False)
        if experiment.training.channels_last:
            self.method.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        backbone = self.method.backbone
        if experiment.training.compile:
            backbone.forward = torch.compile(backbone.forward)
        self.optimizers = experiment.build_optimizers(self.method)
        check_all_parameters_move(self.method, self.optimizers)
        self.schedule = Schedule(
            self.optimizers, experiment.optimizer.schedule, experiment.optimizer.warmup
        )
        self.store_rows = images.rows(rows.frame["image_id"].tolist())
        self.pixels = batches(images, experiment, self.backbone, device=self.device)
        self.target = torch.tensor(rows.target, dtype=torch.float32, device=self.device)
        self.groups = [tensor_of(labels).to(self.device) for labels in rows.labels]
        decay = experiment.training.average
        self.average = Average(self.method, decay) if decay else None
        self.position = checkpoint.Position()
        self._pending: list[tuple[dict[str, Tensor], NDArray[np.int64]]] = []
        # Every process draws its own dropout; the first draws what a single one would.
        torch.manual_seed(experiment.seed + 1_000_003 * self.rank)
        return not resume or self._resume()

    def run(self, watch: Callable[[Progress], None]) -> None:
        """Train to the end, and write the run's weights and history."""
        settings = self.experiment.training
        self.accelerator.wait_for_everyone()  # every process has checked the folder
        if self.accelerator.is_main_process:
            write_text(self.out / checkpoint.EXPERIMENT, self.experiment.to_toml())
            write_text(self.out / checkpoint.RUN, json.dumps(self.about, indent=1))
        with (
            tracking(self.accelerator, self.experiment, self.out),
            self._stops_between_steps(),
            self._replayed(),
        ):
            while self.position.epoch < settings.epochs and not self._waited_enough():
                self._epoch(watch)
                self._end_epoch()
        if self.average is not None:
            self.method.load_state_dict(self.average.values)
        refitted = self._refit()
        if self.accelerator.is_main_process:
            if refitted or self.experiment.validation.figure == "none":
                self._save_model()
            about = {**self.about, **refitted, "history": self.position.history}
            about["model"] = checkpoint.file_sha256(self.out / checkpoint.MODEL)
            write_text(self.out / checkpoint.RUN, json.dumps(about, indent=1))
            (self.out / checkpoint.STATE).unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()

    def _replayed(self) -> contextlib.AbstractContextManager[None]:
        """Replay the backbone as CUDA graphs where that is possible."""
        backbone = self.method.backbone
        learns = any(parameter.requires_grad for parameter in backbone.parameters())
        alone = self.device.type == "cuda" and self.processes == 1
        if self.experiment.training.cuda_graph and alone and learns:
            return replayed(backbone)
        return contextlib.nullcontext()

    def _refit(self) -> dict[str, Any]:
        """Refit what the method fits once training is over, on the weights that are kept."""
        which = self.method.refits
        if which == "none":
            return {}
        if self.processes > 1:
            processes.take_buffers_of_the_first(self.method)
        if self.experiment.validation.figure != "none":
            self.accelerator.wait_for_everyone()  # the first process has written the best weights
            self.method.load_state_dict(checkpoint.load_tensors(self.out / checkpoint.MODEL)[0])
        rows = self.rows.train if which == "train" else self.rows.validation
        with autocast(self.experiment, self.device):
            matrix = features(self.method.backbone, self.pixels, self.store_rows[rows])
        groups = [group[rows] for group in self.groups]
        return {"refit": self.method.refit(matrix, self.target[rows], *groups)}

    def _epoch(self, watch: Callable[[Progress], None]) -> None:
        settings, position = self.experiment.training, self.position
        order = self._order(position.epoch)
        size, per_epoch = settings.batch_size, self.steps_per_epoch
        self.method.train()
        if self.experiment.backbone.freeze:
            self.method.backbone.eval()  # freezes batch statistics, too
        for batch in range(position.batch, per_epoch):
            step = position.epoch * per_epoch + batch + 1
            self.method.progress = (step - 1) / (per_epoch * settings.epochs)
            self.schedule.set((step - 0.5) / (per_epoch * settings.epochs))
            self._step(order[batch * size : (batch + 1) * size])
            if self.average is not None:
                self.average.update()
            position.batch = batch + 1
            read_every = 1 if self.device.type == "cpu" else GPU_LOG_STEPS
            losses: dict[str, float] = {}
            if step % read_every == 0 or batch + 1 == per_epoch:
                losses = self._read_losses(step)
            if step % settings.checkpoint_steps == 0:
                self._read_losses(step)
                self._save_state()
            watch(Progress(step, per_epoch * settings.epochs, position.epoch + 1, losses))
            if self._stopped:
                self._read_losses(step)
                self._save_state()
                raise KeyboardInterrupt

    @contextlib.contextmanager
    def _stops_between_steps(self) -> Generator[None]:
        """Let the first Ctrl-C finish the running step, which would otherwise be lost."""
        self._stopped = False
        main = threading.current_thread() is threading.main_thread()
        if self.processes > 1 or not main:  # torchrun ends its own; other threads get no signals
            yield
            return

        def stop(number: int, frame: Any) -> None:
            if self._stopped:
                raise KeyboardInterrupt
            self._stopped = True

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @property
    def steps_per_epoch(self) -> int:
        settings = self.experiment.training
        whole, rest = divmod(len(self.rows.train), settings.batch_size)
        return whole + (not settings.drop_last and rest >= self.processes)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the positions of an epoch's images, by seed and epoch alone."""
        generator = np.random.default_rng([self.experiment.seed, epoch])
        train = self.rows.train
        weights = self.method.sample_weights(
            torch.tensor(self.rows.target[train]), torch.tensor(self.rows.cell[train])
        )
        if weights is None:
            return generator.permutation(train)
        share = weights.double().numpy()
        return generator.choice(train, size=len(train), p=share / share.sum())

    def _step(self, positions: NDArray[np.int64]) -> None:
        """Run a batch, of all processes, through the method: each update over all of its parts."""
        choice = self.experiment.optimizer
        parts = self._parts(positions)
        running = [self.method.updates(batch) for batch, _ in parts]
        losses: dict[str, Tensor] = {}
        while True:
            update = None
            for index, (updates, (_, share)) in enumerate(zip(running, parts, strict=True)):
                with autocast(self.experiment, self.device):
                    update = next(updates, None)
                if update is None:
                    break
                if index == 0:
                    for optimizer in self.optimizers.values():
                        optimizer.zero_grad(set_to_none=choice.zero_gradients == "none")
                self.accelerator.backward(update.loss * share if share < 1 else update.loss)
                for name, value in {update.name: update.loss, **update.parts}.items():
                    value = value.detach() * share
                    losses[name] = value if index == 0 else losses[name] + value
            if update is None:
                break
            if self.processes > 1:
                processes.average_gradients(self.method.parameters())
            moving = [self.optimizers[name] for name in update.steps]
            if choice.clip:
                clip_gradients(moving, choice.clip)
            for optimizer in moving:
                optimizer.step()
        self._pending.append((losses, positions[self.rank :: self.processes]))

    def _parts(self, positions: NDArray[np.int64]) -> list[tuple[Batch, float]]:
        """Return this process's images of each part of a batch, and the part's share of it."""
        # Every process has as many parts, none of them empty, as they wait for one another.
        count = min(self.experiment.training.accumulate, len(positions) // self.processes)
        parts: list[tuple[Batch, float]] = []
        for part in np.array_split(positions, max(count, 1)):
            # Every process takes each n-th image, so that their shares differ by one at most.
            own = part[self.rank :: self.processes]
            index = on_device(own, self.device)
            image = self.pixels.batch(self.store_rows[own], training=True)
            share = len(part) / len(positions)
            group, *more = (groups[index] for groups in self.groups)
            parts.append((Batch(image, self.target[index], group, tuple(more)), share))
        return parts

    def _read_losses(self, step: int) -> dict[str, float]:
        """Add the pending losses to the epoch's sums, log the last, raise if one is not finite."""
        read: dict[str, float] = {}
        for losses, positions in self._pending:
            values = terms.average(torch.stack([loss.float() for loss in losses.values()]))
            for name, value in zip(losses, values.tolist(), strict=True):
                if not np.isfinite(value):
                    raise Diverged(self._not_a_number(name, value, positions, step))
                read[name] = value
                self.position.sums[name] = self.position.sums.get(name, 0.0) + value
        self._pending.clear()
        if read:
            self.accelerator.log({f"loss/{name}": value for name, value in read.items()}, step=step)
        return read

    def _not_a_number(self, name: str, value: float, positions: Any, step: int) -> str:
        named = ", ".join(self.rows.frame["image_id"].iloc[positions])
        return (
            f"the {name} loss is {value} at or before step {step}, on the images {named}; "
            "look at these images, or lower the learning rates."
        )

    def _end_epoch(self) -> None:
        position = self.position
        count = max(position.batch, 1)
        entry = {name: total / count for name, total in position.sums.items()}
        wanted = self.experiment.validation.figure
        if wanted != "none":
            position.waited += 1
            with self.average.in_place() if self.average else contextlib.nullcontext():
                values = self._validate()
                if position.best is None or values[wanted] > position.best:
                    position.best, position.waited = values[wanted], 0
                    if self.accelerator.is_main_process:
                        self._save_model()
            entry |= values
            # The steps of a log must not decrease: Weights & Biases drops those that do.
            self.accelerator.log(values, step=(position.epoch + 1) * self.steps_per_epoch)
        position.history.append({"epoch": float(position.epoch + 1), **entry})
        position.epoch, position.batch, position.sums = position.epoch + 1, 0, {}
        self._save_state()

    def _waited_enough(self) -> bool:
        patience = self.experiment.validation.patience
        return patience > 0 and self.position.waited >= patience

    def _validate(self) -> dict[str, float]:
        if self.processes > 1:
            processes.take_buffers_of_the_first(self.method)
        validation = self.rows.validation
        share = self.store_rows[validation[self.rank :: self.processes]]
        binary = self.rows.outcome.kind == "binary"
        with autocast(self.experiment, self.device):
            if binary:
                logit = target_logits(self.method, self.pixels, share)[0]
            else:
                logit = target_scores(self.method, self.pixels, share)
        logit = processes.join_shares(logit, len(validation), self.processes)
        if not np.isfinite(logit).all():
            raise Diverged("validation scores are not finite numbers; lower the learning rates.")
        target, group = self.rows.target[validation], self.rows.group[validation]
        if not binary:
            return figures_of(self.rows.outcome, target, logit)
        return figures(target, logit, group, least=self.experiment.validation.least)

    def _save_model(self) -> None:
        about = {**self.about, "epoch": self.position.epoch}
        checkpoint.save_tensors(self.out / checkpoint.MODEL, self.method.state_dict(), about)

    def _save_state(self) -> None:
        state = checkpoint.random_state(self.device)
        states = processes.gather_states(state, self.processes)
        if self.accelerator.is_main_process:
            tensors, rest = checkpoint.training_state(self.method, self.optimizers)
            tensors |= {f"random.{rank}": generator for rank, generator in enumerate(states)}
            about: dict[str, Any] = {"position": asdict(self.position), "optimizers": rest}
            if self.average is not None:
                tensors |= {f"average.{name}": mean for name, mean in self.average.values.items()}
                about["average_steps"] = self.average.steps
            checkpoint.save_tensors(self.out / checkpoint.STATE, tensors, about)

    def _resume(self) -> bool:
        """Resume from the saved state; return False, with a warning, where it is damaged."""
        path = self.out / checkpoint.STATE
        if not path.is_file():
            return True
        try:
            self._restore(*checkpoint.load_tensors(path))
        except (ValueError, KeyError, TypeError, IndexError, RuntimeError):
            warnings.warn(f"{path}: is damaged; the run starts from its first epoch.", stacklevel=2)
            return False
        return True

    def _restore(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        checkpoint.restore_state(tensors, about["optimizers"], self.method, self.optimizers)
        if self.average is not None:
            kept = checkpoint.tensors_of("average.", tensors)
            self.average.restore(kept, about["average_steps"])
        checkpoint.restore_random_state(tensors[f"random.{self.rank}"], self.device)
        self.position = checkpoint.Position(**about["position"])
