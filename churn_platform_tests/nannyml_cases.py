"""Cases that NannyML was asked about too: a month's scores, and earlier ones with labels to calibrate them on.

Here: the cases, each from its own seed, so that they need not be kept. Not here: what came out (`nannyml.json`).
NannyML is no dependency, since its versions pin others. In an environment of its own, with this repository on
PYTHONPATH and NML_DISABLE_USAGE_LOGGING=1 (0.13.1 needed statsmodels besides):

    import json, numpy, pandas, nannyml
    from churn_platform_tests.nannyml_cases import CASES, made
    figures = {"nannyml": nannyml.__version__}
    for name in CASES:
        month, scores, labels = made(name)
        reference = pandas.DataFrame({"score": scores, "called": scores >= 0.5, "churned": labels.astype(int)})
        asked = pandas.DataFrame({"score": month, "called": month >= 0.5})
        cbpe = nannyml.CBPE(y_pred_proba="score", y_pred="called", y_true="churned", metrics=["roc_auc"],
                            problem_type="classification_binary", chunk_number=1)
        found = cbpe.fit(reference).estimate(asked).filter(period="analysis").to_df()["roc_auc"]
        figures[name] = {"auc": float(found["value"].iloc[0]), "error": float(found["sampling_error"].iloc[0]),
                         "calibrated": bool(cbpe.needs_calibration)}
    print(json.dumps(figures, indent=2))
"""

from __future__ import annotations

import numpy as np

CASES = {
    "too sure of itself": (0, 2.0, 0.0, 0.0, 3_000, 2_000),
    "too gloomy": (1, 1.0, 1.0, 0.0, 3_000, 2_000),
    "customers harder to tell apart": (2, 1.6, 0.4, -0.5, 5_000, 3_000),
    "a small reference": (3, 2.5, 0.0, 0.0, 800, 5_000),
}
"""Seed, by what log-odds are multiplied and what is added to them, how much narrower the month's are, and the sizes."""


def made(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A month's scores, the reference's scores, and the reference's labels (bool)."""
    seed, stretch, shift, narrower, before, now = CASES[name]
    rng = np.random.default_rng(seed)
    true = rng.normal(-1.3, 1.2, before)
    labels = rng.random(before) < _probability(true)
    month = rng.normal(-1.3, 1.2 + narrower, now)
    return _probability(month * stretch + shift), _probability(true * stretch + shift), labels


def _probability(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
