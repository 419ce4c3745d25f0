"""Write vendor.csv, the simulated predictions of the auditor's tour.

    python docs/tour/make_vendor.py

Three photographs per patient; on the darkest skin (bands 5 and 6) the model's scores of melanomas
are shifted down, so that at the threshold it misses more of them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

random = np.random.default_rng(5)
patients = 500
band = random.choice([1, 2, 3, 4, 5, 6], patients, p=[0.22, 0.24, 0.2, 0.14, 0.12, 0.08])
patient = np.repeat(np.arange(patients), 3)
target = random.random(3 * patients) < 0.3
shared = random.normal(size=patients)[patient]
logit = 0.6 * shared + 0.8 * random.normal(size=3 * patients) + 1.9 * target - 0.9
logit -= 1.0 * (target & (band[patient] >= 5))
pd.DataFrame(
    {
        "image": [f"V{k:04d}.jpg" for k in range(3 * patients)],
        "patient": [f"P{k:03d}" for k in patient],
        "diagnosis": np.where(target, "melanoma", "nevus"),
        "score": (1 / (1 + np.exp(-2 * logit))).round(4),
        "ita_band": band[patient],
    }
).to_csv(Path(__file__).with_name("vendor.csv"), index=False)
