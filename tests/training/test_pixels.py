import numpy as np
import pytest
import torch

from equiderm.errors import InputError
from equiderm.models import Backbone
from equiderm.training.pixels import ArrayImages, Pixels, dihedral_views

BACKBONE = Backbone(torch.nn.Identity(), 3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))


@pytest.fixture
def store():
    images = np.random.default_rng(0).integers(0, 256, (700, 32, 32, 3), dtype=np.uint8)
    return ArrayImages(images, [f"i{n}" for n in range(700)])


def pixels(store, experiment, **options):
    return Pixels(store, experiment, BACKBONE, device=torch.device("cpu"), **options)


def test_a_batch_is_normalised_with_the_backbone_s_own_figures(store, make_experiment):
    batch = pixels(store, make_experiment()).batch(np.array([5, 2]))
    expected = (store.images[5, 3, 4] / 255 - np.array(BACKBONE.mean)) / np.array(BACKBONE.std)
    assert batch.shape == (2, 3, 32, 32)
    np.testing.assert_allclose(batch[0, :, 3, 4], expected, atol=1e-5)


def test_a_store_that_moved_gives_the_same_batches(store, make_experiment):
    rows = np.array([699, 0, 512, 511])
    moved = pixels(store, make_experiment(), resident=True).batch(rows)
    assert torch.equal(moved, pixels(store, make_experiment(), resident=False).batch(rows))


def test_a_store_of_another_size_is_refused(store, make_experiment):
    with pytest.raises(InputError, match="32 pixels wide"):
        pixels(store, make_experiment(data={"size": 64}))


def test_inception_gets_its_own_size(store, make_experiment):
    experiment = make_experiment(backbone={"name": "inception_v3"})
    assert pixels(store, experiment).batch(np.array([0])).shape == (1, 3, 299, 299)


def test_wrong_arrays_are_refused():
    with pytest.raises(InputError, match="uint8 of shape"):
        ArrayImages(np.zeros((2, 3, 32, 32), np.float32), ["a", "b"])  # pyright: ignore
    with pytest.raises(InputError, match="2 images but 1 image ids"):
        ArrayImages(np.zeros((2, 8, 8, 3), np.uint8), ["a"])
    with pytest.raises(InputError, match=r"1 of 2 images are not in the array of images \(c\)"):
        ArrayImages(np.zeros((2, 8, 8, 3), np.uint8), ["a", "b"]).rows(["a", "c"])


def test_the_eight_views_are_the_square_s_eight_symmetries():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = {tuple(view.flatten().tolist()) for view in dihedral_views(image)}
    turns = [torch.rot90(image, quarter, (2, 3)) for quarter in range(4)]
    expected = {tuple(t.flatten().tolist()) for turn in turns for t in (turn, turn.flip(3))}
    assert views == expected
    assert len(views) == 8


def test_augmentation_is_for_training_alone(store, make_experiment):
    source = pixels(store, make_experiment(data={"augmentation": "standard"}))
    rows = np.arange(8)
    plain = pixels(store, make_experiment()).batch(rows)
    assert torch.equal(source.batch(rows), plain)
    assert not torch.equal(source.batch(rows, training=True), plain)
