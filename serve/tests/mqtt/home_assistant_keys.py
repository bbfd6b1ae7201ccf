#!/usr/bin/env python3
"""Prints the keys that Home Assistant's MQTT discovery knows, as JSON, for the test beside it.

Example:
    pip download --no-deps --only-binary=:all: --python-version 3.14 homeassistant
    python3 home_assistant_keys.py homeassistant-*.whl > home_assistant_keys.json
"""
import json
import re
import sys
import zipfile

MQTT = "homeassistant/components/mqtt/"
PLATFORMS = ["sensor", "binary_sensor", "button"]


def main(path):
    wheel = zipfile.ZipFile(path)
    read = lambda name: wheel.read(name).decode()
    constants = {}
    for name in ["homeassistant/const.py", "homeassistant/components/sensor/const.py", MQTT + "const.py"]:
        for key, value in re.findall(r'^(\w+)(?:: Final)? = (\w+|"[^"]*")$', read(name), re.M):
            constants[key] = value[1:-1] if value[0] == '"' else constants.get(value)

    def keys(name, schema):
        """Returns the keys of one schema: from its name to the first line that ends it."""
        text = read(name).split(f"\n{schema} =", 1)[1]
        text = re.split(r"\n[)}]", text, maxsplit=1)[0]
        wanted = re.findall(r"vol\.(?:Optional|Required|Exclusive)\(\s*(CONF_\w+)", text)
        return {constants[key] for key in wanted}

    schemas = MQTT + "schemas.py"
    availability = keys(schemas, "_MQTT_AVAILABILITY_SINGLE_SCHEMA") | keys(
        schemas, "_MQTT_AVAILABILITY_LIST_SCHEMA")
    common = availability | keys(schemas, "MQTT_ENTITY_COMMON_SCHEMA")
    known = {
        "home_assistant": re.search(r"-([0-9.]+)-", path).group(1),
        "device_payload": sorted(availability | keys(schemas, "DEVICE_DISCOVERY_SCHEMA")),
        "device": sorted(keys(schemas, "MQTT_ENTITY_DEVICE_INFO_SCHEMA")),
        "origin": sorted(keys(schemas, "MQTT_ORIGIN_INFO_SCHEMA")),
    }
    read_only = keys(MQTT + "config.py", "MQTT_RO_SCHEMA") | keys(MQTT + "config.py", "SCHEMA_BASE")
    for platform in PLATFORMS:
        name = MQTT + platform + ".py"
        schema = "_PLATFORM_SCHEMA_BASE" if "_PLATFORM_SCHEMA_BASE =" in read(name) else "PLATFORM_SCHEMA_MODERN"
        known[platform] = sorted(common | read_only | keys(name, schema) | {constants["CONF_PLATFORM"]})
    classes = read("homeassistant/components/sensor/const.py").split("class SensorDeviceClass", 1)[1]
    classes = classes.split("\nclass ", 1)[0]
    known["sensor_device_classes"] = sorted(re.findall(r'^    \w+ = "(\w+)"', classes, re.M))
    states = read("homeassistant/components/sensor/const.py").split("class SensorStateClass", 1)[1]
    states = states.split("\nSTATE_CLASSES_SCHEMA", 1)[0]
    known["sensor_state_classes"] = sorted(re.findall(r'^    \w+ = "(\w+)"', states, re.M))
    binary = read("homeassistant/components/binary_sensor/__init__.py").split("class BinarySensorDeviceClass", 1)[1]
    binary = binary.split("\nDEVICE_CLASSES", 1)[0]
    known["binary_sensor_device_classes"] = sorted(re.findall(r'^    \w+ = "(\w+)"', binary, re.M))
    print(json.dumps(known, indent=1))


main(sys.argv[1])
