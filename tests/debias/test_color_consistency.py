"""Colour consistency: what happens to a picture, and the equation of its loss."""

import numpy as np
import pytest
import torch
from torch import nn

from equiderm.batch import Batch
from equiderm.debias import METHODS, Rates, take_step
from equiderm.debias.color_consistency import lab_to_srgb, shift_tone, skin_of, srgb_to_lab
from equiderm.tone.color import srgb_to_lab as of_the_labeller


def lesion(skin=(0.80, 0.62, 0.50), dark=(0.35, 0.22, 0.18), side=32):
    """A dark square on even skin, sRGB in [0, 1], float64."""
    image = torch.tensor(skin, dtype=torch.float64).view(1, 3, 1, 1).repeat(1, 1, side, side)
    image[:, :, 12:20, 12:20] = torch.tensor(dark, dtype=torch.float64).view(1, 3, 1, 1)
    return image


def ita_of(image):
    light, blue = skin_of(srgb_to_lab(image))
    return torch.rad2deg(torch.atan2(light - 50, blue))


def test_lab_is_the_labeller_s_and_comes_back():
    image = torch.rand(2, 3, 5, 5, dtype=torch.float64)
    image[0, :, 0] = torch.tensor([0, 0.02, 0.05, 0.0905, 0.095])  # about where both curves begin
    lab = srgb_to_lab(image)
    expected = of_the_labeller(image.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(lab.permute(0, 2, 3, 1).numpy(), expected, atol=0.02)
    torch.testing.assert_close(lab_to_srgb(lab), image, rtol=0, atol=1e-9)


@pytest.mark.parametrize("degrees", [-20.0, -10.0, 10.0, 20.0])
def test_the_ita_of_the_skin_moves_by_the_angle_and_the_contrast_stays(degrees):
    image = lesion()
    moved = shift_tone(image, torch.tensor([degrees], dtype=torch.float64))
    assert ita_of(moved) == pytest.approx(float(ita_of(image)) + degrees, abs=1e-6)
    before, after = srgb_to_lab(image), srgb_to_lab(moved)
    contrast = [lab[0, :, 16, 16] - lab[0, :, 0, 0] for lab in (before, after)]
    torch.testing.assert_close(*contrast, rtol=0, atol=1e-6)
    torch.testing.assert_close(before[:, 1], after[:, 1], rtol=0, atol=1e-6)  # a* stays


def test_the_angle_ends_at_90_degrees():
    moved = shift_tone(lesion(), torch.tensor([80.0], dtype=torch.float64))
    assert 85 < float(ita_of(moved)) <= 90.001


def test_the_skin_is_that_of_a_frame_of_an_eighth_of_the_side():
    image = torch.full((1, 3, 16, 16), 0.2)
    image[:, :, [0, 15], :] = 0.8  # half of the outermost pixels, a quarter of the two rows of them
    light, _ = skin_of(srgb_to_lab(image))
    assert float(light) == pytest.approx(float(srgb_to_lab(torch.full((1, 3, 1, 1), 0.2))[0, 0]))
    image[:, :, 1:15, [0, 15]] = 0.8
    image[:, :, 2:14, 2:14] = 0.0
    light, _ = skin_of(srgb_to_lab(image))
    assert float(light) > 50


class Means(nn.Module):
    """Two features of an image: means of its left and right half."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, image):
        return self.scale * torch.stack([half.mean((1, 2, 3)) for half in image.chunk(2, 3)], 1)


def make(**options):
    torch.manual_seed(0)
    made = METHODS["color_consistency"](Means(), 2, dropout=0.0, **options)
    made.normalisation = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    return made


def batch_of(n=6):
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))
    tones = torch.linspace(0.7, 1.1, n).view(-1, 1, 1, 1)
    image = (lesion().float() * tones - mean) / std
    return Batch(image, torch.arange(n) % 2 * 1.0, torch.zeros(n, dtype=torch.long))


def test_the_loss_is_that_of_both_pictures_and_the_distance_of_their_features():
    method, batch = make(consistency_weight=0.7, probability=1.0), batch_of()
    torch.manual_seed(3)
    loss = next(method.updates(batch)).loss
    torch.manual_seed(3)
    degrees = 30 * (2 * torch.rand(2, 6)[0] - 1)
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in method.normalisation)
    moved = (shift_tone(batch.image * std + mean, degrees) - mean) / std
    z, other = method.backbone(batch.image), method.backbone(moved)
    bce = nn.functional.binary_cross_entropy_with_logits
    expected = sum(bce(method.target_head(one)[:, 0], batch.target) for one in (z, other))
    expected = expected + 0.7 * ((z - other) ** 2).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


def test_no_image_is_changed_at_probability_0_to_the_last_digit():
    method, batch = make(probability=0.0), batch_of()
    update = next(method.updates(batch))
    assert update.parts["distance"] == 0
    assert torch.equal(update.parts["original"], update.parts["moved"])


def test_features_come_nearer_under_the_change():
    method, batch = make(probability=1.0, consistency_weight=50.0), batch_of()
    for parameter in method.target_head.parameters():
        parameter.requires_grad_(False).zero_()  # no target gradient reaches the features
    optimizers = method.optimizers(Rates(0.01, 0.0, 0.0))
    distances = []
    for _ in range(10):
        torch.manual_seed(3)
        distances.append(float(next(method.updates(batch)).parts["distance"].detach()))
        torch.manual_seed(3)
        take_step(method, optimizers, batch)
    assert distances[-1] < 0.8 * distances[0]


def test_the_angle_ends_at_minus_90_degrees_as_well():
    dark = lesion(skin=(0.35, 0.25, 0.2), dark=(0.1, 0.08, 0.07))
    moved = shift_tone(dark, torch.tensor([-80.0], dtype=torch.float64))
    assert -90.001 <= float(ita_of(moved)) < -85


def test_a_frame_of_no_colour_of_skin_is_left_as_it_is():
    blue = lesion(skin=(0.5, 0.55, 0.8))
    moved = shift_tone(blue, torch.tensor([20.0], dtype=torch.float64))
    torch.testing.assert_close(moved, blue, rtol=0, atol=1e-6)


def test_pixels_beyond_srgb_are_read_and_returned_at_its_limits():
    image = lesion() * 1.4 - 0.05 * (lesion() < 0.2)
    image[:, 2, 12:20, 12:20] = -0.1
    moved = shift_tone(image, torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(moved, image.clamp(0, 1), rtol=0, atol=1e-6)
    far = shift_tone(lesion(), torch.tensor([60.0], dtype=torch.float64))
    assert float(far.min()) >= 0 and float(far.max()) <= 1


def test_the_frame_of_a_small_picture_is_one_pixel_wide():
    image = torch.full((1, 3, 8, 8), 0.8)
    image[:, :, [0, 7], :] = 0.2  # 16 of the 28 outermost pixels
    light, _ = skin_of(srgb_to_lab(image))
    assert float(light) < 50


def test_pictures_are_from_minus_1_to_1_until_the_run_says_how_they_are_normalised():
    made = METHODS["color_consistency"](Means(), 2)
    assert made.normalisation == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
