"""What the Python sides share: how a workload is read, and what is said of a round."""

import json
import resource
import struct
import time

import numpy as np

# Steps whose losses are told, to hold the sides against each other.
TOLD = 3


def load(path):
    """Arrays by name from a safetensors file: initial values and batches."""
    with open(path, "rb") as file:
        raw = file.read()
    (length,) = struct.unpack("<Q", raw[:8])
    arrays = {}
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        dtype = np.float32 if entry["dtype"] == "F32" else np.int32
        arrays[name] = np.frombuffer(raw[8 + length + begin : 8 + length + end], dtype).reshape(entry["shape"])
    return arrays


def batches(arrays, level):
    """The batches of a level, in order."""
    found = {}
    for name, array in arrays.items():
        if name.startswith(f"data.{level}."):
            _, _, index, field = name.split(".")
            found.setdefault(int(index), {})[field] = array
    return [found[i] for i in sorted(found)]


def clocks():
    """Seconds by the wall, and of processors, those of finished children (compilers) included."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array([time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime])


def tell(elapsed, steps, start, losses):
    """Prints a round: times in milliseconds from differences of `clocks()`, memory in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    step, start = ({"wall": 1000 * wall, "cpu": 1000 * cpu} for wall, cpu in (elapsed / steps, start))
    print(json.dumps({"step": step, "start": start, "peak": peak, "losses": losses}))
