"""Feast's own point-in-time join on its DuckDB offline store: from files to a file, as its documentation shows it.

`python feast-join.py FOLDER DAYS` reads features.parquet and entities.parquet of the folder, whose rows count for DAYS, writes feast.parquet, and prints {"ms": …, "peakMb": …}: the
time of the join without that of imports and of defining the view.
"""
import json
import os
import resource
import sys
import time
from datetime import timedelta

os.environ.setdefault("FEAST_USAGE", "False")

import pandas
import pyarrow.parquet
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String

folder = sys.argv[1]
customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.INT64)
source = FileSource(
    path=os.path.join(folder, "features.parquet"),
    timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
view = FeatureView(
    name="spend",
    entities=[customer],
    ttl=timedelta(days=int(sys.argv[2])),
    schema=[
        Field(name="amount", dtype=Float64),
        Field(name="orders", dtype=Int64),
        Field(name="rate", dtype=Float64),
        Field(name="tier", dtype=String),
        Field(name="version", dtype=Int64),
    ],
    source=source,
)
store = FeatureStore(
    config=RepoConfig(
        project="bench",
        provider="local",
        registry=os.path.join(folder, "registry.db"),
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
    )
)
store.apply([customer, view])

begun = time.perf_counter()
entities = pandas.read_parquet(os.path.join(folder, "entities.parquet"))
names = ["amount", "orders", "rate", "tier", "version"]
joined = store.get_historical_features(entity_df=entities, features=[f"spend:{name}" for name in names]).to_arrow()
pyarrow.parquet.write_table(joined, os.path.join(folder, "feast.parquet"))
took = (time.perf_counter() - begun) * 1000
print(json.dumps({"ms": took, "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
