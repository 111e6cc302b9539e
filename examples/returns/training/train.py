"""Trains return-risk from a version of the dataset return-requests, the vectors that AIOS itself made by replaying history, and writes the ONNX file and its
figures.

    node examples/returns/export-features.ts --orders retail.csv.gz --out return-requests
    python examples/returns/training/train.py retail.csv.gz return-requests examples/returns/models/return-risk

Needs pandas, pyarrow, scikit-learn, skl2onnx, onnxruntime. Deterministic: one seed, no threads that race.
"""
import hashlib
import json
import sys

import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20101201
HORIZON = pd.Timedelta(days=90)
SHARE = 0.20
# The label of a request looks 90 days ahead, so 90 days lie between the last training request and the first test request:
# nothing that the model was taught had happened yet when the first test request came.
TRAIN_END = pd.Timestamp("2011-05-15")
TEST_START = TRAIN_END + HORIZON

retail_path, dataset_path, out = sys.argv[1:4]
lines = pd.read_csv(retail_path, dtype={"customer_id": str, "invoice_no": str})
lines["time"] = pd.to_datetime(lines["invoice_date"])
lines = lines[lines["customer_id"].notna()]
lines["value"] = lines["quantity"] * lines["unit_price"]
cancelled = lines["invoice_no"].str.startswith("C")
bought = lines[~cancelled & (lines["quantity"] > 0)][["customer_id", "time", "value"]]
returned = lines[cancelled].assign(value=lambda frame: -frame["value"])[["customer_id", "time", "value"]]
LAST = pd.to_datetime(pd.read_csv(retail_path, usecols=["invoice_date"])["invoice_date"]).max()


def sums_after(frame, requests):
    """Per request: the sum of the customer's values in the 90 days after it, the request's own minute left out."""
    groups = {customer: (g["time"].values, np.concatenate([[0.0], g["value"].cumsum().values]))
              for customer, g in frame.sort_values("time").groupby("customer_id")}
    sums = np.zeros(len(requests))
    for i, (customer, time) in enumerate(zip(requests["customer_id"], requests["time"])):
        if customer in groups:
            times, cumulative = groups[customer]
            first = np.searchsorted(times, np.datetime64(time), side="right")
            end = np.searchsorted(times, np.datetime64(time + HORIZON), side="right")
            sums[i] = cumulative[end] - cumulative[first]
    return sums


requests = pd.read_parquet(f"{dataset_path}/data.parquet").rename(columns={"customer": "customer_id"})
# A dataset is ordered by time and keys; training draws rows, so it keeps the order of the requests.
requests = requests.sort_values("return_id", key=lambda ids: ids.astype(int), ignore_index=True)
# The file begins with the shop's records, so sums over all history grow with the calendar: a model would learn the date from them.
GROWS = {"spend_ever", "units_bought", "units_held", "last_price", "product_sold_90d", "spend_90d", "returned_90d"}
names = [name for name in requests.columns[8:] if name not in GROWS]
requests["time"] = requests["timestamp"].dt.tz_localize(None)
requests = requests[requests["customer_id"].notna()].copy()
bought_after = sums_after(bought, requests)
returned_after = sums_after(returned, requests)
# Who buys nothing and returns nothing is no serial returner; who only returns is one.
requests["label"] = (returned_after > SHARE * bought_after) & (returned_after > 0)
requests = requests[requests["time"] <= LAST - HORIZON]

train = requests[requests["time"] < TRAIN_END]
test = requests[requests["time"] >= TEST_START]
x_train, y_train = train[names].fillna(0).to_numpy(np.float32), train["label"].to_numpy(int)
x_test, y_test = test[names].fillna(0).to_numpy(np.float32), test["label"].to_numpy(int)

baseline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=SEED)).fit(x_train, y_train)
# A few resellers send hundreds of requests each: every customer weighs as much as the root of their number.
weights = 1 / np.sqrt(train.groupby("customer_id")["time"].transform("size").to_numpy())
model = GradientBoostingClassifier(n_estimators=50, max_depth=2, learning_rate=0.05, subsample=0.7, min_samples_leaf=80,
                                   random_state=SEED).fit(x_train, y_train, sample_weight=weights)


def calibration(y, p, bins=10):
    edges = np.quantile(p, np.linspace(0, 1, bins + 1))
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, bins - 1)
    table = [{"predicted": float(p[place == b].mean()), "observed": float(y[place == b].mean()), "count": int((place == b).sum())}
             for b in range(bins) if (place == b).any()]
    ece = sum(abs(row["predicted"] - row["observed"]) * row["count"] for row in table) / len(y)
    return ece, table


def by_customer_auc(y, p, customers):
    """AUC with each customer counted once (their mean): many requests of one customer are not many observations."""
    frame = pd.DataFrame({"y": y, "p": p, "c": customers}).groupby("c").mean()
    return float(roc_auc_score((frame["y"] > 0.5).astype(int), frame["p"]))


p_test = model.predict_proba(x_test)[:, 1]
ece, table = calibration(y_test, p_test)
rng = np.random.default_rng(SEED)
customers = test["customer_id"].unique()
boot = []
for _ in range(500):
    drawn = rng.choice(customers, len(customers))
    rows = np.concatenate([np.flatnonzero(test["customer_id"].to_numpy() == c) for c in drawn])
    if 0 < y_test[rows].sum() < len(rows):
        boot.append(roc_auc_score(y_test[rows], p_test[rows]))
# The same training gives the same file: without a name the converter makes one up, and it lists the operator sets in the order of a set.
onnx = convert_sklearn(model, name="return-risk", initial_types=[("features", FloatTensorType([None, len(names)]))], options={id(model): {"zipmap": False}}, target_opset=17)
opsets = sorted(onnx.opset_import, key=lambda opset: opset.domain)
del onnx.opset_import[:]
onnx.opset_import.extend(opsets)
blob = onnx.SerializeToString(deterministic=True)
with open(f"{out}/return-risk.onnx", "wb") as file:
    file.write(blob)
served = onnxruntime.InferenceSession(blob).run(None, {"features": x_test})[1][:, 1]
figures = {
    "trainRequests": len(train), "trainFrom": str(train["time"].min()), "trainTo": str(train["time"].max()), "trainBaseRate": float(y_train.mean()),
    "testRequests": len(test), "testCustomers": len(customers), "testFrom": str(test["time"].min()), "testTo": str(test["time"].max()), "testBaseRate": float(y_test.mean()),
    "auc": float(roc_auc_score(y_test, p_test)), "auc95": [float(np.quantile(boot, q)) for q in (0.025, 0.975)],
    "aucByCustomer": by_customer_auc(y_test, p_test, test["customer_id"].to_numpy()),
    "aucTrain": float(roc_auc_score(y_train, model.predict_proba(x_train)[:, 1])),
    "aucLogistic": float(roc_auc_score(y_test, baseline.predict_proba(x_test)[:, 1])),
    "aucReturnShareAlone": float(roc_auc_score(y_test, test["return_share_ever"])),
    "brier": float(brier_score_loss(y_test, p_test)), "brierOfBaseRate": float(brier_score_loss(y_test, np.full(len(y_test), y_train.mean()))),
    "ece": float(ece), "calibration": table,
    "onnxBytes": len(blob), "onnxSha256": hashlib.sha256(blob).hexdigest(), "onnxMaxDifference": float(np.abs(served - p_test).max()),
    "importance": dict(sorted(zip(names, map(float, model.feature_importances_)), key=lambda item: -item[1])[:8]),
    "p90": float(np.quantile(p_test, 0.9)), "p99": float(np.quantile(p_test, 0.99)), "max": float(p_test.max()),
}
print(json.dumps(figures, indent=1))
print("features:", json.dumps(names))
