"""The other side of one case, as side.ts: `NAME.py PARAMETERS FOLDER THREADS`; each line on stdin runs it once and is
answered with one line of JSON: seconds, seconds of all cores together, peak memory in MB, what was found."""

import json
import resource
import sys
import time


def serve(version, ready):
    """`ready(parameters, folder, threads)` gets ready and gives back the function that is timed. What was found, or a
    function that finds it out afterwards, is its result."""
    run = ready(json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    say(version=version, start=peak())
    for _ in iter(sys.stdin.readline, ""):
        started, before = time.perf_counter(), time.process_time()
        answer = run()
        seconds, cpu = time.perf_counter() - started, time.process_time() - before
        answer = answer() if callable(answer) else answer
        say(seconds=seconds, cpu=cpu, peak=peak(), answer={name: float(value) for name, value in answer.items()})


def peak():
    """MB. What getrusage has starts from the size of the process that started this one; Linux also keeps the own peak."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def say(**line):
    print(json.dumps(line), flush=True)
