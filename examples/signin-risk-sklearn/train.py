#!/usr/bin/python3
"""Learns to tell risky sign-ins from ordinary ones, with scikit-learn, by the /opt/ml contract.

The packages it needs (scikit-learn, numpy, scipy, joblib, threadpoolctl and theirs) are in the
folder `vendor` of this package: a job has no network to fetch them by. `train.py DIR` takes
another root than /opt/ml.
"""

import json
import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "vendor"))
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import features  # noqa: E402
import onnx_file  # noqa: E402

ROWS_MIN = 50
HELD_OUT = 5
CASES = 2
PARAMETERS = {"epochs": (int, 20), "hidden": (int, 8), "seed": (int, 1)}


class Refusal(Exception):
    """Something about the input, told to whoever gave it."""


def parameters(root):
    path = root / "input/config/hyperparameters.json"
    given = json.loads(path.read_text()) if path.exists() else {}
    values = {name: default for name, (_, default) in PARAMETERS.items()}
    for name, value in given.items():
        if name.startswith("sagemaker_"):
            continue
        if name not in PARAMETERS:
            raise Refusal(f'"{name}" is no hyperparameter: use {", ".join(PARAMETERS)}')
        try:
            values[name] = PARAMETERS[name][0](value)
        except ValueError:
            raise Refusal(f'hyperparameter {name} is "{value}": use a number') from None
    if not (1 <= values["epochs"] <= 1000 and 1 <= values["hidden"] <= 256):
        raise Refusal("use 1 to 1000 epochs and 1 to 256 hidden numbers")
    return values


def events(root):
    folder = root / "input/data/training"
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise Refusal(f"{folder}: no .csv file is in it")
    try:
        return [event for path in paths for event in features.read(path)]
    except (KeyError, ValueError) as error:
        raise Refusal(f"the events: {error}") from error


def learn(rows, labels, values):
    """A fitted network and the layers of its ONNX file, which eat features as they are."""
    import numpy
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore", ConvergenceWarning)
    scaler = StandardScaler().fit(rows)
    network = MLPClassifier((values["hidden"],), random_state=values["seed"], learning_rate_init=0.01)
    scaled, epochs = scaler.transform(rows), values["epochs"]
    for epoch in range(1, epochs + 1):
        network.partial_fit(scaled, labels, classes=[0, 1])
        print(
            f"progress {epoch / epochs:.2f} epoch {epoch}/{epochs} loss {network.loss_:.3f}",
            flush=True,
        )
    first = network.coefs_[0] / scaler.scale_[:, None]
    bias = network.intercepts_[0] - scaler.mean_ @ first
    layers = [(first, bias), (network.coefs_[1], network.intercepts_[1])]
    layers = [
        (weights.astype(numpy.float32).tolist(), bias.astype(numpy.float32).tolist())
        for weights, bias in layers
    ]

    def risk(rows):
        return network.predict_proba(scaler.transform(rows))[:, 1].tolist()

    return layers, risk


def manifest(rows, labels, risks):
    """The model's manifest: its test cases are events it did not learn from."""
    cases = [
        at
        for kind in (1, 0)
        for at in [at for at, label in enumerate(labels) if label == kind][:CASES]
    ]
    data = [number for at in cases for number in rows[at]]
    right = sum((risk >= 0.5) == bool(label) for risk, label in zip(risks, labels))
    accuracy_ppm = right * 1_000_000 // len(labels)
    print(f"held out: {right} of {len(labels)} right", flush=True)
    return f"""kind = "model"
name = "signin-risk-sklearn-model"
title = "Sign-in risk, by scikit-learn"
summary = "The probability that a sign-in is an attack, from {features.COUNT} numbers about it."
category = "security"
subcategory = "sign-in-risk"
tags = ["sign-in", "anomaly", "tabular-classification", "scikit-learn"]
license = "Apache-2.0 OR MIT"

[input]
kind = "tensors"
tensors = [{{ name = "features", datatype = "FP32", shape = [-1, {features.COUNT}] }}]

[output]
kind = "tensors"
tensors = [{{ name = "risk", datatype = "FP32", shape = [-1, 1] }}]

[task]
runtime = "onnx"
entry = "model.onnx"
timeout_ms = 2000
batch_max = 64

[[figures]]
name = "accuracy_ppm"
value = {accuracy_ppm}
source = "the newest {len(labels)} of the training events, {sum(labels)} of them risky, held out"

[[tests]]
name = "events that were held out"
input = {{ request = {{ inputs = [{{ name = "features", shape = [{len(cases)}, {features.COUNT}], \
datatype = "FP32", data = {data} }}] }} }}
[[tests.expect.outputs]]
name = "risk"
datatype = "FP32"
shape = [{len(cases)}, 1]
data = {[risks[at] for at in cases]}
tolerance = 0.0005
"""


def train(root):
    values = parameters(root)
    rows, labels = features.of_events(events(root))
    if len(rows) < ROWS_MIN:
        raise Refusal(f"{len(rows)} events are too few: give at least {ROWS_MIN}")
    split = len(rows) - len(rows) // HELD_OUT
    if len(set(labels[:split])) < 2:
        raise Refusal("every event to learn from is of one kind: give both")
    layers, risk = learn(rows[:split], labels[:split], values)
    text = manifest(rows[split:], labels[split:], risk(rows[split:]))
    folder = root / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(onnx_file.model(layers))
    (folder / "freehold.toml").write_text(text)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/opt/ml")
    try:
        train(root)
    except (Refusal, OSError, ImportError) as error:
        path = root / "output/failure"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(error))
        print(f"signin-risk-sklearn: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
