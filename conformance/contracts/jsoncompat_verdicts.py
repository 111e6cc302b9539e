"""The verdicts of the stock jsoncompat over cases: a list of [backward, forward], each true, false or its own words."""

import json
import sys

import jsoncompat


def verdict(case, role):
    try:
        return jsoncompat.check_compat(json.dumps(case["old"]), json.dumps(case["new"]), role)
    except ValueError as error:
        return str(error)


with open(sys.argv[1], encoding="utf-8") as file:
    cases = json.load(file)
print(json.dumps([[verdict(case, "deserializer"), verdict(case, "serializer")] for case in cases]))
