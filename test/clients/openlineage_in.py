"""Tells an AIOS of an upstream job by the stock OpenLineage client: address, key."""
import json
import sys
from datetime import datetime, timezone

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Dataset, DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import column_lineage_dataset, schema_dataset
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

address, key = sys.argv[1:3]
client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=address, auth=ApiKeyTokenProvider({"apiKey": key}))))
now = datetime.now(timezone.utc).isoformat()
producer = "https://example.org/etl"
job = Job(namespace="airflow", name="stock.daily")
run = Run(runId=str(generate_new_uuid()))
field = column_lineage_dataset.InputField(namespace="s3://lake", name="deliveries", field="units")
raw = InputDataset(
    namespace="s3://lake",
    name="deliveries",
    facets={"schema": schema_dataset.SchemaDatasetFacet(fields=[schema_dataset.SchemaDatasetFacetFields(name="units", type="long")])},
)
stock = OutputDataset(
    namespace="postgres://db.example.org:5432",
    name="shop.shop.stock",
    facets={"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields={"units": column_lineage_dataset.Fields(inputFields=[field])})},
)
report = OutputDataset(namespace="bigquery", name="reports.spend")
features = InputDataset(namespace="aios", name="feature-view:orders")
for state in (RunState.START, RunState.COMPLETE):
    client.emit(RunEvent(eventType=state, eventTime=now, run=run, job=job, producer=producer, inputs=[raw], outputs=[stock]))
client.emit(JobEvent(eventTime=now, job=Job(namespace="dbt", name="reports"), producer=producer, inputs=[features], outputs=[report]))
client.emit(DatasetEvent(eventTime=now, dataset=Dataset(namespace="s3://lake", name="orphan"), producer=producer))
print(json.dumps({"sent": 4}))
