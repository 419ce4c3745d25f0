"""What a probe takes: both of ours, interval included, beside scikit-learn's linear one.

    python bench/probe_speed.py            # 2,000 x 1,280 features, three groups, one core
    python bench/probe_speed.py --gpu      # the features on the GPU

Rounds take turns, so that whatever else the machine does meets both; printed are the medians of the
seconds that this process had of the CPU (of the wall on a GPU) and the ratio.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from equiderm.training.probe import probe_features


def scene(n, d, seed=0):
    """Return features in which three of d tell the group, groups, and two images per patient."""
    generator = np.random.default_rng(seed)
    group = generator.integers(3, size=n)
    features = generator.normal(size=(n, d)).astype(np.float32)
    features[:, :3] += 2 * np.eye(3)[group]
    return features, group, np.arange(n) // 2


def of_scikit_learn(features, group, patients):
    """Name the groups by logistic regression, out of fold by patient; the linear probe alone."""
    model = LogisticRegression(C=0.1, max_iter=2000, class_weight="balanced")
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), model)
    return cross_val_predict(pipeline, features, group, groups=patients, cv=folds)


def main():
    """Time both in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--features", type=int, default=1280)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clock = time.perf_counter if args.gpu else time.process_time
    features, group, patients = scene(args.rows, args.features)
    ours = torch.tensor(features, device="cuda") if args.gpu else features
    seconds = {"equiderm, linear and network": [], "scikit-learn, linear": []}
    runs = (
        lambda: probe_features(ours, group, patients, name="trained"),
        lambda: of_scikit_learn(features, group, patients),
    )
    with threadpool_limits(1):
        runs[0]()  # torch compiles and imports what it needs
        for _ in range(args.rounds):
            for name, run in zip(seconds, runs, strict=True):
                start = clock()
                run()
                seconds[name].append(clock() - start)
    medians = {name: float(np.median(one)) for name, one in seconds.items()}
    for name, value in medians.items():
        print(f"{name}: {value:.2f} s")
    one, other = medians.values()
    print(f"ratio: {one / other:.2f}")


if __name__ == "__main__":
    main()
