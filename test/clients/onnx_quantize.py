"""Quantizes a file with ONNX Runtime's own tool and compares it with ours: python onnx_quantize.py PARENT OURS REFERENCE WIDTH..."""

import json
import sys

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

parent_file, our_file, reference_file = sys.argv[1:4]
width = [int(size) for size in sys.argv[4:]]

onnx.checker.check_model(our_file, full_check=True)
quantize_dynamic(parent_file, reference_file, weight_type=QuantType.QInt8)

rows = numpy.random.default_rng(7).standard_normal([64, *width]).astype(numpy.float32)
rows[::2] *= 10  # rows of different sizes stand beside each other


def answers(file):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    together = session.run(None, {"x": rows})[0]
    alone = numpy.concatenate([session.run(None, {"x": rows[i : i + 1]})[0] for i in range(len(rows))])
    return together, alone


def error(left, right):
    """The mean over the rows of the greatest difference, as a share of the row's greatest number."""
    axes = tuple(range(1, right.ndim))
    return float(numpy.mean(numpy.abs(left - right).max(axis=axes) / numpy.abs(right).max(axis=axes)))


parent, _ = answers(parent_file)
ours, ours_alone = answers(our_file)
reference, reference_alone = answers(reference_file)
print(
    json.dumps(
        {
            "ours": error(ours, parent),
            "reference": error(reference_alone, parent),
            "referenceTogether": error(reference, parent),
            "between": error(ours, reference_alone),
            "oursByBatch": float(numpy.abs(ours - ours_alone).max()),
            "referenceByBatch": float(numpy.abs(reference - reference_alone).max()),
        }
    )
)
