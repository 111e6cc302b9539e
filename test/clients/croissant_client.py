"""Validates Croissant metadata with the stock mlcroissant package and reads the records that it names; prints what it found as JSON."""
import json
import sys

import mlcroissant as mlc

path = sys.argv[1]
dataset = mlc.Dataset(jsonld=path)
issues = dataset.metadata.ctx.issues
records = []
for record in dataset.records(record_set="rows"):
    records.append({key: str(value) for key, value in record.items()})
print(json.dumps({
    "errors": sorted(issues.errors), "warnings": sorted(issues.warnings), "count": len(records), "first": records[0],
    "name": dataset.metadata.name, "version": str(dataset.metadata.version),
}))
