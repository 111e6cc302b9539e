"""Reads OpenLineage events, one a line, into the classes of the stock client: every event and facet has to fit its own.

The second argument tells the members of facets by the address of their schema, those that may be left out with a `?`: they are held to the classes, too.
"""
import importlib
import json
import pkgutil
import sys

import attr
import openlineage.client.generated as generated
from openlineage.client.event_v2 import Dataset, DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState, StaticDataset
from openlineage.client.serde import Serde

facets = {}
for module in pkgutil.iter_modules(generated.__path__):
    for value in vars(importlib.import_module(f"openlineage.client.generated.{module.name}")).values():
        if isinstance(value, type) and hasattr(value, "_get_schema"):
            facets[value._get_schema()] = value

seen = set()


def read_facets(told):
    read = {}
    for name, facet in (told or {}).items():
        kind = facets[facet["_schemaURL"]]
        own = {field.name for field in attr.fields(kind)}
        body = {key: value for key, value in facet.items() if not key.startswith("_")}
        unknown = set(body) - own
        if unknown and kind.__name__ != "RunFacet":
            raise SystemExit(f"{kind.__name__} has no {unknown}")
        read[name] = kind(**{key: value for key, value in body.items() if key in own})
        seen.add(kind.__name__)
    return read


def read_dataset(kind, told):
    extra = {name: read_facets(told[name]) for name in ("inputFacets", "outputFacets") if name in told}
    return kind(namespace=told["namespace"], name=told["name"], facets=read_facets(told.get("facets")), **extra)


def read_job(told):
    return Job(namespace=told["namespace"], name=told["name"], facets=read_facets(told.get("facets")))


counts = {}
for line in open(sys.argv[1], encoding="utf-8"):
    told = json.loads(line)
    base = {"eventTime": told["eventTime"], "producer": told["producer"]}
    ends = {
        "inputs": [read_dataset(InputDataset, each) for each in told.get("inputs", [])],
        "outputs": [read_dataset(OutputDataset, each) for each in told.get("outputs", [])],
    }
    if "run" in told:
        run = Run(runId=told["run"]["runId"], facets=read_facets(told["run"].get("facets")))
        event = RunEvent(eventType=RunState(told["eventType"]), run=run, job=read_job(told["job"]), **base, **ends)
    elif "job" in told:
        event = JobEvent(job=read_job(told["job"]), **base, **ends)
    else:
        event = DatasetEvent(dataset=read_dataset(StaticDataset, told["dataset"]), **base)
    if event.schemaURL != told["schemaURL"]:
        raise SystemExit(f"{told['schemaURL']} is not {event.schemaURL}")
    json.loads(Serde.to_json(event))
    name = type(event).__name__
    counts[name] = counts.get(name, 0) + 1
members = {}
for address, names in json.loads(sys.argv[2]).items():
    fields = [field for field in attr.fields(facets[address]) if not field.name.startswith("_")]
    of_class = {field.name if field.default is attr.NOTHING else f"{field.name}?" for field in fields}
    if of_class != set(names):
        members[address] = sorted(of_class ^ set(names))
print(json.dumps({"members": members, "events": counts, "facets": sorted(seen)}))
