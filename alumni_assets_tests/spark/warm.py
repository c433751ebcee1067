"""A program that runs scripts of jobs one after the other in its one process, so that Java has to start only once.

Told what to run on its standard input, as lines of JSON; says how each ended on its standard output.
"""

import json
import os
import runpy
import sys
import traceback

from dagster_pipes import PipesContext


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        script, arguments, output = json.loads(line)
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        print(_exit_status(script, arguments), file=answers, flush=True)


def _exit_status(script: str, arguments: list[str]) -> int:
    sys.argv = [script, *arguments]
    PipesContext._instance = None  # Pipes has one session in a process
    try:
        runpy.run_path(script, run_name="__main__")
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
