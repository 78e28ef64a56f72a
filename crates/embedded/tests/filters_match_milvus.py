"""Asks a real Milvus which rows match each expression.

usage: filters_match_milvus.py URI INPUT
INPUT is a JSON file {"rows": [...], "expressions": [...]}; the last line printed is a JSON list with, for each
expression, the ids of the rows that match, or the text of the error.
"""

import json
import sys
import uuid

from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections

uri, path = sys.argv[1:]
with open(path) as file:
    given = json.load(file)
connections.connect(uri=uri)
fields = [
    FieldSchema("id", DataType.INT64, is_primary=True),
    FieldSchema("i8", DataType.INT8),
    FieldSchema("i64", DataType.INT64),
    FieldSchema("f", DataType.FLOAT),
    FieldSchema("d", DataType.DOUBLE),
    FieldSchema("b", DataType.BOOL),
    FieldSchema("s", DataType.VARCHAR, max_length=64),
    FieldSchema("j", DataType.JSON),
    FieldSchema("ai", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8),
    FieldSchema("at", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=16),
    FieldSchema("v", DataType.FLOAT_VECTOR, dim=2),
]
name = "filters_" + uuid.uuid4().hex
collection = Collection(name, CollectionSchema(fields, enable_dynamic_field=True), consistency_level="Strong")
try:
    collection.insert([dict(row, v=[0.0, 1.0]) for row in given["rows"]])
    collection.create_index("v", {"index_type": "FLAT", "metric_type": "L2"})
    collection.load()
    answers = []
    for expression in given["expressions"]:
        try:
            found = collection.query(expression, output_fields=["id"], timeout=60)
            answers.append(sorted(row["id"] for row in found))
        except Exception as error:
            answers.append(str(error))
    print(json.dumps(answers))
finally:
    collection.drop()
