"""A manifest and its store as a torch Dataset."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from equiderm.batch import Batch
from equiderm.data.images import build_store
from equiderm.data.manifest import read_manifest
from equiderm.data.synthetic import synthesize, write_archive
from equiderm.debias import ERM, Rates
from equiderm.errors import InputError
from equiderm.training import ManifestDataset


def test_each_item_is_the_image_target_and_group_of_its_row(lesions):
    images, frame = lesions
    dataset = ManifestDataset(frame, images, split="validation")
    rows = frame[frame["split"] == "validation"].reset_index(drop=True)
    assert len(dataset) == len(rows)
    assert dataset.groups == (1, 2, 3)
    for k in (0, len(rows) - 1):
        image, target, group = dataset[k]
        pixels = images.images[images.rows([rows["image_id"][k]])[0]]
        assert torch.equal(image, torch.tensor(pixels).permute(2, 0, 1) / 255)
        assert (target.item(), dataset.groups[group]) == (
            rows["target"][k],
            rows["fitzpatrick_type"][k],
        )


def test_rows_without_a_target_are_left_out_and_unknown_groups_are_minus_one(lesions):
    images, frame = lesions
    frame = frame.astype({"target": float, "fitzpatrick_type": float})
    frame.loc[0, "target"] = np.nan
    frame.loc[1, "fitzpatrick_type"] = np.nan
    dataset = ManifestDataset(frame, images)
    assert len(dataset) == len(frame) - 1
    assert dataset.groups == (1, 2, 3)
    assert dataset[0][2].item() == -1


def test_a_test_set_has_the_groups_of_training(lesions):
    images, frame = lesions
    dataset = ManifestDataset(frame, images, groups=(3, 1))
    index = {1: 1, 2: -1, 3: 0}
    assert dataset.group.tolist() == frame["fitzpatrick_type"].map(index).tolist()


def test_a_transform_is_given_the_uint8_image(lesions):
    images, frame = lesions
    dataset = ManifestDataset(frame, images, transform=lambda image: (image.dtype, image.shape))
    assert dataset[0][0] == (torch.uint8, (3, 32, 32))


def test_a_method_takes_a_step_on_a_loader_s_batches(lesions):
    images, frame = lesions
    method = ERM(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4)), 4)
    optimizers = method.optimizers(Rates(backbone=0.01, target_head=0.01))
    before = [one.clone() for one in method.target_head.parameters()]
    for batch in DataLoader(ManifestDataset(frame, images), batch_size=32):
        for update in method.updates(Batch(*batch)):
            update.loss.backward()
            for name in update.steps:
                optimizers[name].step()
    after = method.target_head.parameters()
    assert not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_worker_processes_read_the_same_store(tmp_path):
    manifest = read_manifest(write_archive(synthesize(6, size=32, workers=1), tmp_path / "drawn"))
    store, _ = build_store(manifest, tmp_path / "store", size=32, workers=1)
    dataset = ManifestDataset(manifest, store, group="ita_band")
    here = torch.cat([batch[0] for batch in DataLoader(dataset, 3)])
    there = DataLoader(dataset, 3, num_workers=1, multiprocessing_context="spawn")
    assert torch.equal(here, torch.cat([batch[0] for batch in there]))


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"split": "nothing"}, "no row of split 'nothing'"),
        ({}, {"group": "age"}, "no column 'age'"),
        ({"target": 7}, {}, "has target 7"),
        ({"image_id": "other"}, {}, "other"),
    ],
)
def test_what_cannot_be_read_is_named(lesions, change, options, said):
    images, frame = lesions
    with pytest.raises(InputError, match=said):
        ManifestDataset(frame.assign(**change), images, **options)
