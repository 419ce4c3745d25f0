"""Saliency: which pixels a run's answer rests on, and how that differs by skin tone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from equiderm.errors import InputError
from equiderm.files import AnyPath, write_whole
from equiderm.photo.decode import PhotoError, load_square
from equiderm.photo.walk import walk
from equiderm.statistics.estimates import clustered_variance
from equiderm.statistics.intervals import Z95, t_quantile
from equiderm.tables import write_table
from equiderm.tone.overlay import overlay_names
from equiderm.training.checkpoint import Run, load_run
from equiderm.training.export import Network
from equiderm.training.pixels import Images
from equiderm.training.precision import choose_device, settings_of

STEPS = 32  # of the path from the flat picture to the image
TOGETHER = 64  # pictures in one pass of the network
BORDER = 1 / 8  # of a side: the frame where dark corners, rulers and ink are commoner than lesions
MASK_ENDINGS = ("", "_segmentation", "_lesion", "_mask")  # ISIC's, PH2's and plain names
RAISES, LOWERS = (213, 94, 0), (0, 114, 178)  # of the page's palette, orange and blue


def saliency(
    run: AnyPath | Run,
    images: Images,
    image_ids: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return how much each pixel moves the answer of each image, by integrated gradients.

    The answer is the logit of a binary target and the number of a number. Of several classes it is
    the log-odds of the likeliest class against the rest, of an order how high it is: the mean of
    the logits of being above each class.

    The path starts at a flat picture of the image's own mean colour, not at black: against black
    a dark pixel counts for less, so that maps would differ by skin tone whatever the network does.

    Args:
        run: A finished run on images, or its folder.
        images: A store of the run's image size.
        image_ids: The images.
        progress: Called with images done and in total.

    Returns:
        Maps, shape (n, size, size), in units of the answer, summed over the colours: above 0 where
        a pixel raises it. And the answer's difference to that of the flat picture, shape (n,),
        which the sum of a map comes near; how near shows whether the steps are enough.

    Raises:
        InputError: A run on features, or Captum is not installed.

    Source:
        Sundararajan, Taly and Yan 2017, Axiomatic attribution for deep networks; Captum's
        `IntegratedGradients`.
    """
    gradients: Any = _captum().IntegratedGradients
    run = run if isinstance(run, Run) else load_run(run)
    device = choose_device()
    network = Network(run).to(device)
    maps: list[NDArray[np.float32]] = []
    differences: list[float] = []
    rows = images.rows([str(name) for name in image_ids])
    with settings_of(run.experiment):
        for done, row in enumerate(rows, start=1):
            image = torch.from_numpy(np.array(images.images[row : row + 1])).to(device).float()
            flat = image.mean((1, 2), keepdim=True).expand_as(image)
            with torch.no_grad():
                answer = _answer_to(network, image)
                differences.append(float(answer(image) - answer(flat)))
            parts = gradients(answer).attribute(
                image, flat, n_steps=STEPS, internal_batch_size=max(TOGETHER // network.views, 1)
            )
            maps.append(parts.sum(3)[0].float().cpu().numpy())
            if progress is not None:
                progress(done, len(rows))
    side = network.size
    return np.array(maps, np.float32).reshape(-1, side, side), np.array(differences)


def _answer_to(network: Network, image: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what is explained of an image (1, size, size, 3), as a function of such images."""
    kind = network.target.kind
    if kind == "number":
        return lambda images: network(images)[1]
    if kind == "ordered":
        return lambda images: network(images)[0].mean(1)
    if kind == "binary":
        return lambda images: network(images)[0]
    likeliest = int(network(image)[1].argmax())
    rest = [name for name in range(len(network.target.names)) if name != likeliest]

    def odds(images: Tensor) -> Tensor:
        logits = network(images)[0]
        return logits[:, likeliest] - logits[:, rest].logsumexp(1)

    return odds


def check_saliency(run: Run) -> None:
    """Raise InputError where a run has no maps: on features, or without Captum."""
    _captum()
    Network(run)


def write_saliency(
    run: Run,
    images: Images,
    scored: pd.DataFrame,
    folder: Path,
    *,
    masks: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Write the map of each image as PNG, and ``saliency.csv`` with its measures.

    Args:
        run: A finished run on images.
        images: A store of its image size.
        scored: What `equiderm.training.predict` returned.
        folder: Where it is written.
        masks: Folder of lesion masks; see `read_masks`.
        progress: Called with images done and in total.

    Returns:
        The table: ``image_id``, ``patient_id`` and the run's group where there are some, ``logit``
        (of another target than a binary one ``predicted``), ``map`` (the file's name),
        ``logit_change`` (of the answer to the flat picture), ``map_sum``, the columns of
        `measure_map`, and ``mask_error`` where masks are given.
    """
    frame = scored.drop_duplicates("image_id").reset_index(drop=True)
    ids = frame["image_id"].astype(str).tolist()
    places = _file_names(frame, ids, folder)
    size = run.experiment.data.size
    known, missing = read_masks(masks, ids, size) if masks is not None else ({}, {})
    rows: list[dict[str, Any]] = []
    for done, (name, row, place) in enumerate(
        zip(ids, images.rows(ids), places, strict=True), start=1
    ):
        heat, change = saliency(run, images, [name])
        write_map(np.asarray(images.images[row]), heat[0], place)
        rows.append(
            {"map": place.name, "logit_change": change[0], "map_sum": float(heat.sum()),
             **measure_map(heat[0], known.get(name))}
        )  # fmt: skip
        if progress is not None:
            progress(done, len(ids))
    answer = "logit" if run.target.kind == "binary" else "predicted"
    kept = ("image_id", "patient_id", run.about["group"], answer)
    kept = list(dict.fromkeys(name for name in kept if name in frame))
    table = pd.concat([frame[kept], pd.DataFrame(rows)], axis=1)
    if masks is not None:
        table["mask_error"] = [missing.get(name) for name in ids]
        table = table.reindex(columns=list(dict.fromkeys([*table, "lesion", "lesion_area"])))
    write_table(table, folder / "saliency.csv")
    return table


def _file_names(frame: pd.DataFrame, ids: Sequence[str], folder: Path) -> list[Path]:
    """Return the file of each image's map; no two share one."""
    paths = frame["path"].astype(str).tolist() if "path" in frame else list(ids)
    names = overlay_names(paths, "") if len(set(paths)) == len(paths) else overlay_names(ids, "")
    return [folder / name for name in names]


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise InputError(
            "captum is not installed; run: pip install 'equiderm[saliency]'"
        ) from error
    return captum.attr


def measure_map(
    heat: NDArray[np.floating], mask: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return measures of where a map's saliency, the absolute values of its pixels, is.

    Args:
        heat: Shape (size, size).
        mask: Where the lesion is, the same shape; None where that is not known.

    Returns:
        ``half_area``: the smallest share of the image that holds half of the saliency; 0.5 where it
        is even. ``border``: the share of the saliency in the frame of an eighth of a side;
        ``border_area`` of an even map lies there. With a mask ``lesion`` and ``lesion_area``:
        the share of the saliency on the lesion, and the lesion's share of the image. All are NaN
        where the map is 0 everywhere.
    """
    weight = np.abs(heat, dtype=np.float64)
    total = weight.sum()
    weight = weight / total if total > 0 else np.full_like(weight, np.nan)
    frame = np.ones(weight.shape, bool)
    edge = round(BORDER * len(weight))
    frame[edge:-edge, edge:-edge] = False
    ordered = np.cumsum(np.sort(weight, axis=None)[::-1])
    half = np.searchsorted(ordered, 0.5 - 1e-12) + 1 if total > 0 else np.nan
    measures = {
        "half_area": float(half / weight.size),
        "border": float(weight[frame].sum()),
        "border_area": float(frame.mean()),
    }
    if mask is not None:
        measures |= {"lesion": float(weight[mask].sum()), "lesion_area": float(mask.mean())}
    return measures


def read_masks(
    folder: Path, image_ids: Sequence[str], size: int
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, str]]:
    """Return the lesion masks of a folder by image, cropped and resized as the images are.

    Args:
        folder: Pictures, light where the lesion is, named as the images, with or without
            ``_segmentation``, ``_lesion`` or ``_mask``.
        image_ids: The images.
        size: Side of the squares, in pixels.

    Returns:
        The masks that are there, and for each other image why there is none.

    Raises:
        InputError: No such folder, or it has a mask for none of the images.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of masks; check the name.")
    files = {Path(name).stem: Path(name) for name in walk(folder).images}
    masks: dict[str, NDArray[np.bool_]] = {}
    missing: dict[str, str] = {}
    for name in image_ids:
        path = next((files[name + end] for end in MASK_ENDINGS if name + end in files), None)
        if path is None:
            missing[name] = "no mask"
            continue
        try:
            masks[name] = load_square(path, size)[..., 1] > 127
        except PhotoError as error:
            missing[name] = str(error)
    if not masks:
        raise InputError(
            f"{folder}: has a mask for none of the images ({image_ids[0]!r} would be "
            f"{image_ids[0]}_segmentation.png)."
        )
    return masks, missing


def by_group(table: pd.DataFrame, group: str) -> pd.DataFrame:
    """Return the mean of each measure of the maps for each group, with 95 % intervals.

    Args:
        table: Columns of `measure_map`, ``group``, and ``patient_id`` where patients are known,
            whose images then count together.
        group: The group column.

    Returns:
        Columns ``group``, ``measure``, ``mean``, ``low``, ``high``, ``even`` (the mean of an even
        map: the share of the area), ``n`` and ``patients``.
    """
    even = {"half_area": None, "border": "border_area", "lesion": "lesion_area"}
    rows: list[dict[str, Any]] = []
    for name, part in table.dropna(subset=[group]).groupby(group, sort=True):
        for measure, area in even.items():
            known = part.dropna(subset=[measure]) if measure in part else part.iloc[:0]
            if len(known):
                mean, low, high, patients = _mean(known, measure)
                expected = 0.5 if area is None else float(known[area].mean())
                rows.append(
                    {"group": name, "measure": measure, "mean": mean, "low": low, "high": high,
                     "even": expected, "n": len(known), "patients": patients}
                )  # fmt: skip
    columns = ["group", "measure", "mean", "low", "high", "even", "n", "patients"]
    return pd.DataFrame(rows, columns=columns)


def _mean(rows: pd.DataFrame, measure: str) -> tuple[float, float, float, int]:
    """Return a mean of shares, its interval over patients, and how many patients there are."""
    values = rows[measure].to_numpy(float)
    of = rows["patient_id"] if "patient_id" in rows else pd.Series(pd.NA, rows.index)
    own = pd.Series([f"row {n}" for n in range(len(rows))], rows.index)
    patient = pd.factorize(of.astype("string").fillna(own))[0]
    mean = float(values.mean())
    variance, freedom = clustered_variance((values - mean) / len(values), patient)
    half = t_quantile(Z95, freedom) * float(np.sqrt(variance))
    return mean, max(mean - half, 0.0), min(mean + half, 1.0), int(patient.max()) + 1


def draw_map(picture: NDArray[np.uint8], heat: NDArray[np.floating]) -> Image.Image:
    """Return a picture beside itself in gray, orange where a pixel raises the answer, blue if not.

    The map is smoothed for the eye over a 32nd of a side and is full where it is strongest.
    """
    import cv2

    smooth = cv2.GaussianBlur(np.asarray(heat, np.float32), (0, 0), max(len(heat) / 32, 1))
    strength = np.abs(smooth) / max(float(np.abs(smooth).max()), 1e-12)
    colour = np.where(smooth[..., None] > 0, RAISES, LOWERS)
    gray = picture.mean(2, keepdims=True).repeat(3, 2)
    mixed = gray * (1 - strength[..., None]) + colour * strength[..., None]
    both = np.concatenate([picture, mixed.round().clip(0, 255).astype(np.uint8)], axis=1)
    return Image.fromarray(both)


def write_map(picture: NDArray[np.uint8], heat: NDArray[np.floating], path: Path) -> None:
    """Write `draw_map` as PNG, whole or not at all."""
    with write_whole(path) as temporary:
        draw_map(picture, heat).save(temporary, format="PNG")
