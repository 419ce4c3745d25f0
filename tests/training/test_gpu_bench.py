"""bench/gpu_training.py waits for a GPU; at toy size it runs here."""

import importlib.util
import re
from pathlib import Path

TOY = "--backbone test_resnet --size 32 --batch 8 --images 16 --steps 2 --warmup 1 --plain-steps 1"


def test_the_bench_of_the_gpu_prints_its_ratios_on_a_cpu(capsys, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = Path(__file__).parents[2] / "bench" / "gpu_training.py"
    spec = importlib.util.spec_from_file_location("gpu_training", path)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    bench.main([*TOY.split(), "--workers", "0", "--device", "cpu"])
    printed = capsys.readouterr().out
    assert printed.startswith("CPU, torch")
    ratios = re.findall(r"([\d.]+) of it|TABE's is ([\d.]+) x", printed)
    assert len(ratios) == 2
    assert all(float(one or other) > 0 for one, other in ratios)
