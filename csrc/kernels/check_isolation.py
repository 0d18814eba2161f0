"""Checks that an object compiled for one ISA keeps to its namespace.

The linker keeps one copy of a weak or unique symbol. If two ISA objects define the same one, the copy that
survives may hold instructions the CPU does not have; a static object with a dynamic initialiser runs them
before main. So an ISA object defines weak symbols only inside ``timeloom::<isa>`` and has no .init_array.

CMake runs this after compiling each object; tests/build/test_isa_isolation.py shows that it finds both.
"""

import argparse
import re
import subprocess
import sys

# A pointer to the C++ exception personality routine: data without instructions, the same in every object.
HARMLESS = {"DW.ref.__gxx_personality_v0"}


def faults_of(object_path: str, isa: str, nm: str = "nm", readelf: str = "readelf") -> list[str]:
    """Returns one line for each symbol or section of the object that could leak into another ISA."""
    namespace = f"8timeloom{len(isa)}{isa}"
    faults = []
    listing = subprocess.run([nm, "--format=posix", "--defined-only", object_path], **_CAPTURE)
    for line in listing.stdout.splitlines():
        symbol, kind = line.split()[:2]
        if kind in "WVu" and namespace not in symbol and symbol not in HARMLESS:
            faults.append(f"weak or unique symbol outside timeloom::{isa}: {symbol}")
    sections = subprocess.run([readelf, "--sections", "--wide", object_path], **_CAPTURE)
    initialisers = set(re.findall(r"\s(\.(?:init_array|ctors|preinit_array)\S*)", sections.stdout))
    return faults + [
        f"code that runs when the module is loaded: section {name}" for name in sorted(initialisers)
    ]


_CAPTURE = {"check": True, "capture_output": True, "text": True}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--isa", required=True)
    parser.add_argument("objects", nargs="+")
    arguments = parser.parse_args()
    faults = [
        f"{path}: {fault}"
        for path in arguments.objects
        for fault in faults_of(path, arguments.isa, arguments.nm, arguments.readelf)
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
