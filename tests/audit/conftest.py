"""Tables that a model could have written, with known differences between groups."""

import numpy as np
import pandas as pd
import pytest


def make_predictions(
    rows: int = 1200,
    *,
    seed: int = 0,
    drop: float = 0.0,
    shares: tuple[float, ...] = (0.5, 0.3, 0.2),
    images_a_patient: float = 1.0,
) -> pd.DataFrame:
    """Return predictions; ``drop`` lowers the separation of the last group, in normal units."""
    random = np.random.default_rng(seed)
    patients = max(int(rows / images_a_patient), 1)
    patient = np.arange(rows) if images_a_patient == 1 else random.integers(0, patients, rows)
    band = random.choice(len(shares), patients, p=shares)[patient] + 1
    target = (random.random(rows) < 0.25).astype(int)
    shift = 1.6 - np.where(band == len(shares), drop, 0.0)
    shared = random.normal(size=patients)[patient] * (0.7 if images_a_patient > 1 else 0.0)
    score = 1 / (1 + np.exp(-(random.normal(size=rows) + shared + shift * target - 1)))
    return pd.DataFrame(
        {
            "image_id": [f"I{k:05d}" for k in range(rows)],
            "patient_id": [f"P{k:05d}" for k in patient],
            "target": target,
            "score": score,
            "ita_band": band,
        }
    )


@pytest.fixture(scope="session")
def predictions():
    return make_predictions
