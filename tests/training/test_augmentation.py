"""The standard augmentation: what changes, what stays, and that a GPU's way gives the same."""

import torch
from tests.debias.test_launches import Counted

from equiderm.training import augmentation
from equiderm.training.augmentation import augmented

SIZE = 64


def pictures(count, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), dtype=torch.uint8, generator=generator)


def quarters(count):
    """Pictures whose quarters are 10, 20, 40 and 80."""
    picture = torch.tensor([[10, 20], [40, 80]], dtype=torch.uint8)
    picture = picture.repeat_interleave(SIZE // 2, 0).repeat_interleave(SIZE // 2, 1)
    return picture.expand(count, 3, SIZE, SIZE).clone()


def test_size_and_colours_stay():
    flat = torch.tensor([7, 77, 200], dtype=torch.uint8).view(1, 3, 1, 1).repeat(5, 1, SIZE, SIZE)
    assert torch.equal(augmented(flat), flat.float())


def test_each_image_is_changed_in_its_own_way_and_the_generator_repeats_it():
    same = pictures(1).repeat(6, 1, 1, 1)
    torch.manual_seed(3)
    first = augmented(same)
    assert len({one.numpy().tobytes() for one in first}) > 3
    torch.manual_seed(3)
    assert torch.equal(augmented(same), first)


def test_the_eight_symmetries_are_equally_likely():
    torch.manual_seed(0)
    corners = augmented(quarters(1600))[:, 0][:, [0, 0, -1, -1], [0, -1, 0, -1]]
    seen, counts = corners.unique(dim=0, return_counts=True)
    symmetries = {tuple(one.tolist()) for one in seen}
    square = torch.tensor([[10.0, 20.0], [40.0, 80.0]])
    turns = [torch.rot90(square, quarter) for quarter in range(4)]
    assert symmetries == {tuple(t.flatten().tolist()) for one in turns for t in (one, one.T)}
    assert counts.min() > 150 and counts.max() < 250  # 200 on average, with deviation 13


def test_crops_keep_80_to_100_percent_of_the_area_and_lie_anywhere():
    ramp = (3 * torch.arange(SIZE, dtype=torch.uint8)).expand(400, 3, SIZE, SIZE)
    torch.manual_seed(0)
    changed = augmented(ramp).flatten(1)
    low, high = changed.min(1).values / 3, changed.max(1).values / 3
    area = ((high - low + 1) / SIZE) ** 2
    assert 0.78 < area.min() < 0.82 and 0.98 < area.max() <= 1
    assert low.min() == 0 and low.max() > 4 and high.max() == SIZE - 1


def test_the_way_of_a_gpu_gives_the_same_but_for_rounding_in_few_operations(monkeypatch):
    seen = []
    one_by_one = augmentation._one_by_one
    monkeypatch.setattr(
        augmentation, "_one_by_one", lambda *given: seen.append(given) or one_by_one(*given)
    )
    expected = augmented(pictures(40))
    with Counted() as counted:
        together = augmentation._together(*seen[0])
    apart = (together - expected).abs()
    assert apart.max() <= 1  # the bytes of a CPU are rounded once more on the way
    assert apart.mean() < 0.3
    assert len(counted.started) < 50 and not counted.waits
