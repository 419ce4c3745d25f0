import importlib
import os
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest
from tests.tone.test_label import write_photos

from equiderm.engine import Failure, run
from equiderm.engine.cluster import do_chunk
from equiderm.errors import InputError
from equiderm.tone import label

OF_A_USER = """
import os, time
from pathlib import Path

def square(item, shared):
    if item == 7:
        raise ValueError("seven is bad.")
    if item == 13:
        os._exit(11)
    return item * item + shared, os.getcwd()

def wait_long(item, shared):
    time.sleep(600 if item == 1 else 0)
    return item

def say_where(item, folder):
    import ray
    time.sleep(0.05)
    Path(folder, f"{item} {ray.get_runtime_context().get_node_id()}").touch()
    return item
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two nodes of a Ray cluster on this machine, whose workers can import a module of a user."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("installed")
    (folder / "of_a_cluster.py").write_text(OF_A_USER)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        nodes.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes
        nodes.shutdown()


@pytest.fixture
def jobs(cluster):
    sys.modules.pop("of_a_cluster", None)
    return importlib.import_module("of_a_cluster")


@pytest.mark.slow
def test_a_cluster_gives_each_result_once_and_each_fault_as_a_failure(cluster, jobs, tmp_path):
    elsewhere = tmp_path / "random.py"
    elsewhere.write_text("raise SystemExit('a file of the working folder was run')")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        pairs = list(run(jobs.square, range(40), shared=1, engine="ray", ordered=True))
    assert [index for index, _ in pairs] == list(range(40)), "ordered, each once"
    results = dict(pairs)
    assert isinstance(results[7], Failure) and results[7].reason == "seven is bad"
    assert isinstance(results[13], Failure) and "its process crashed" in results[13].reason
    good = [index for index in range(40) if index not in (7, 13)]
    assert all(results[index] == (index * index + 1, str(tmp_path)) for index in good)


@pytest.mark.slow
def test_an_item_that_a_cluster_has_not_done_in_time_is_a_failure(cluster, jobs):
    pairs = list(run(jobs.wait_long, range(4), shared=None, engine="ray", seconds=15))
    late = Failure("was not done within 15 seconds")
    assert sorted(index for index, _ in pairs) == [0, 1, 2, 3], "each once"
    results = dict(pairs)
    assert results[1] == late
    assert all(results[index] in (index, late) for index in (0, 2, 3))  # Ray may queue them behind
    assert any(results[index] == index for index in (0, 2, 3))


@pytest.mark.slow
def test_a_node_that_is_killed_loses_no_item_and_doubles_none(cluster, jobs, tmp_path):
    lost = cluster.add_node(num_cpus=1)
    removed: list[threading.Thread] = []
    seen: list[int] = []
    for index, result in run(
        jobs.say_where, range(200), shared=str(tmp_path), engine="ray", largest_chunk=10
    ):
        assert result == index
        seen.append(index)
        if len(seen) == 60 and not removed:
            removed.append(threading.Thread(target=cluster.remove_node, args=(lost, False)))
            removed[0].start()
    removed[0].join()
    assert sorted(seen) == list(range(200))
    nodes = {path.name.split()[1] for path in tmp_path.iterdir()}
    assert lost.node_id in nodes and len(nodes) >= 2, "the one that was lost had worked"


@pytest.mark.slow
def test_a_cluster_gives_the_same_table_and_goes_on_where_it_stopped(cluster, tmp_path):
    write_photos(tmp_path / "in", 60)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"no")
    whole = label(tmp_path / "in", workers=1)
    out = tmp_path / "t.parquet"

    def stop(done: int, _: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label(tmp_path / "in", workers=None, engine="ray", output=out, progress=stop)
    assert not out.exists()
    left: list[int] = []
    resumed = label(
        tmp_path / "in", engine="ray", workers=None, output=out,
        progress=lambda done, _: left.append(done),
    )  # fmt: skip
    assert left[0] >= 19, "what was kept is not measured again"
    pd.testing.assert_frame_equal(resumed, whole)


def test_a_machine_with_another_version_is_refused():
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(RuntimeError, match=r"0\.0\.0 started the run"):
        do_chunk([], [None], str(Path.cwd()), "0.0.0")


def test_an_engine_that_is_not_there_is_one_sentence(monkeypatch):
    with pytest.raises(InputError, match="no engine is called 'dask'; there are local and ray"):
        list(run(do_chunk, [1], shared=None, engine="dask"))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'equiderm\[ray\]'"):
        list(run(do_chunk, [1], shared=None, engine="ray"))
