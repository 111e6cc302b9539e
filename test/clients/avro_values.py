"""Writes and reads values of Avro by Confluent's stock clients and serializers: what to do, address of the registry, its key, address of the broker, topic, how many to read."""
import json
import sys
import uuid
from datetime import date, datetime, timezone
from decimal import Decimal

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

what, address, key, broker, topic, count = sys.argv[1:7]
registry = SchemaRegistryClient({
    "url": address + "/schema-registry",
    "bearer.auth.credentials.source": "STATIC_TOKEN",
    "bearer.auth.token": key,
    "bearer.auth.logical.cluster": "none",
    "bearer.auth.identity.pool.id": "none",
})
SCHEMA = json.dumps({
    "type": "record", "name": "Order", "namespace": "com.acme",
    "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "exact", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "note", "type": ["null", "string", "int"], "default": None},
        {"name": "serial", "type": "long"},
        {"name": "tags", "type": {"type": "map", "values": {"type": "array", "items": "int"}}},
    ],
})
JSON_SCHEMA = json.dumps({"title": "Paid", "type": "object", "properties": {"total": {"type": "number"}}})


def order(number):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
    return {
        "id": uuid.UUID(int=number), "amount": Decimal("-12.50"), "day": date(2026, 1, number),
        "at": moment.replace(microsecond=678000), "exact": moment,
        "note": [None, "x", 7][number % 3], "serial": 9007199254740993, "tags": {"a": [1, 2]},
    }


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    # Numbers that JavaScript would round go as texts, as AIOS has them.
    if isinstance(value, (Decimal, uuid.UUID)) or (isinstance(value, int) and abs(value) > 2**53):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


context = SerializationContext(topic, MessageField.VALUE)
if what == "read":
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    deserialize, found = AvroDeserializer(registry), []
    for _ in range(200):
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append(plain(deserialize(message.value(), context)))
        if len(found) >= int(count):
            break
    consumer.close()
    print(json.dumps(found))
else:
    producer = Producer({"bootstrap.servers": broker})
    if what == "avro":
        serialize = AvroSerializer(registry, SCHEMA)
        values = [serialize(order(number), context) for number in range(1, int(count) + 1)]
    elif what == "json":
        serialize = JSONSerializer(JSON_SCHEMA, registry)
        values = [serialize({"total": number + 0.5}, context) for number in range(int(count))]
    else:
        values = [b"\x00\x00\x00\x00\x09\x02"] * int(count)
    for value in values:
        producer.produce(topic, value=value)
    producer.flush()
    print(json.dumps(len(values)))
