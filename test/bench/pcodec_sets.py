"""What pcodec (level 8) makes of real sets, beside codec_sets_bench: bytes a value, tag by tag.

usage: venv/bin/python pcodec_sets.py FILE.csv...     lines "name,time,value" after a header; see codec_sets_bench.cpp

Of all of a tag's values at once, and of 4,096 at a time, each of which decodes alone: what we store. `make bench-peers` makes venv.
"""

import collections
import sys

import numpy
import pcodec.standalone

GRANULE = 4096
LEVEL = 8


def read_tags(path):
    tags = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        next(file)
        for line in file:
            name, time, value = line.rstrip("\n").rsplit(",", 2)
            if value:
                tags[name].append((time, float(value)))
    return {name: numpy.array([value for _, value in sorted(points, key=lambda p: p[0])]) for name, points in tags.items()}


def packed_bytes(values):
    return len(pcodec.standalone.simple_compress(values, pcodec.ChunkConfig(compression_level=LEVEL)))


def print_line(name, count, whole, granules):
    print(f"{name:52.52} {count:9} {whole / count:7.3f} {granules / count:8.3f}")


def main(paths):
    print(f"{'bytes a value':52} {'values':>9} {'whole':>7} {'granules':>8}")
    for path in paths:
        sums = [0, 0, 0]
        for name, values in sorted(read_tags(path).items()):
            whole = packed_bytes(values)
            granules = sum(packed_bytes(values[at : at + GRANULE]) for at in range(0, len(values), GRANULE))
            print_line(name, len(values), whole, granules)
            sums = [a + b for a, b in zip(sums, (len(values), whole, granules))]
        print_line(f"all of {path}", *sums)


main(sys.argv[1:])
