#!/usr/bin/env python3
"""Mutation tests: each patch in this folder breaks the library in one place, and the tests that it names must fail.

    tests/mutation/run.py                   all of them
    tests/mutation/run.py bpe train_        those with one of these texts in their names
    tests/mutation/run.py --list [TEXT...]  their names, and what they break
    tests/mutation/run.py --jobs 4          so many at a time (the number of processors)

A patch begins with two lines, "Fault:" with what it breaks and "Tests:" with the sources in tests/ that are to catch it. They
are compiled header-only at -O1, with the fault in a copy of include/, and without it, for they must pass then. $CXX and
$CXXFLAGS are used, and ccache if there is one. Prints a line for each patch: caught, with the first test case that fails;
MISSED; or ERROR, for a patch that does not apply or compile. Exit code: 0 if all are caught, 1 if not.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
TIME_LIMIT = 300  # seconds that a test program may run: a fault may be a loop without end


class Failure(Exception):
    """A patch or a test that cannot be tried."""


class Patch:
    def __init__(self, path):
        self.path, self.name = path, path.stem
        head = dict(re.findall(r"^(Fault|Tests): (.+)$", path.read_text(), re.MULTILINE))
        if set(head) != {"Fault", "Tests"}:
            raise SystemExit(f"{path}: does not begin with the lines Fault: and Tests:")
        self.fault, self.tests = head["Fault"], tuple(head["Tests"].split())


class Runner:
    def __init__(self, work):
        self.work = work
        self.compiler = (["ccache"] if shutil.which("ccache") else []) + os.environ.get("CXX", "g++").split()
        # Relative paths, so that a compiler cache knows a header in any folder.
        self.flags = ["-std=c++20", "-O1", "-march=native", "-fopenmp", "-Iinclude", f"-I{ROOT}/tests", "-isystem",
                      eigen_folder(), f'-DGPTLITE_SOURCE_DIR="{ROOT}"', f'-DGPTLITE_FIXTURES="{ROOT}/tests/fixtures"',
                      *os.environ.get("CXXFLAGS", "").split()]
        self.whole = {}  # by tests: the lock and, once they were run without a fault, what they said
        self.lock = threading.Lock()
        main = self.folder("main")
        self.main = main / self.compile(main, "support/main.cpp")

    def folder(self, name):
        """A new folder with a copy of the headers."""
        folder = self.work / name
        shutil.copytree(ROOT / "include", folder / "include")
        return folder

    def compile(self, folder, test):
        result = f"{test.replace('/', '_')}.o"
        run = subprocess.run([*self.compiler, *self.flags, "-c", f"{ROOT}/tests/{test}", "-o", result], cwd=folder,
                             capture_output=True, text=True)
        if run.returncode != 0:
            errors = [line for line in run.stderr.splitlines() if "error" in line] or [run.stderr.strip()]
            raise Failure(f"{test} does not compile: {errors[0]}")
        return result

    def failing_case(self, folder, tests):
        """The first test case that fails with the headers in a folder, or None."""
        objects = [self.compile(folder, test) for test in tests]
        run = subprocess.run([*self.compiler, "-fopenmp", *objects, str(self.main), "-o", "tests"], cwd=folder,
                             capture_output=True, text=True)
        if run.returncode != 0:
            raise Failure(f"{' '.join(tests)} do not link")
        try:
            run = subprocess.run(["./tests", "--abort-after=1", "--no-colors"], cwd=folder, timeout=TIME_LIMIT,
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        except subprocess.TimeoutExpired:
            return f"(no end within {TIME_LIMIT} s)"
        if run.returncode == 0:
            return None
        case = re.search(r"^TEST CASE: *(.+)$", run.stdout, re.MULTILINE)
        return case.group(1) if case else f"(exit code {run.returncode})"

    def check_whole(self, tests):
        """The tests pass without a fault; tried once for all patches that name them."""
        with self.lock:
            state = self.whole.setdefault(tests, {"lock": threading.Lock()})
            number = len(self.whole)
        with state["lock"]:
            if "said" not in state:
                folder = self.folder(f"whole_{number}")
                state["said"] = self.failing_case(folder, tests)
                shutil.rmtree(folder)
        if state["said"] is not None:
            raise Failure(f"its tests fail without the fault too: {state['said']}")

    def try_patch(self, patch):
        """Verdict and what to say of it."""
        folder = self.folder(patch.name)
        try:
            run = subprocess.run(["patch", "-p1", "--fuzz=0", "--batch", "-i", str(patch.path)], cwd=folder,
                                 capture_output=True, text=True)
            if run.returncode != 0:
                raise Failure("the patch no longer applies: break the same in the code of today, or remove it")
            case = self.failing_case(folder, patch.tests)
            self.check_whole(patch.tests)
            return ("MISSED", f"{patch.fault} ({' '.join(patch.tests)} pass)") if case is None else ("caught", case)
        except Failure as failure:
            return "ERROR", str(failure)
        finally:
            shutil.rmtree(folder)


def eigen_folder():
    run = subprocess.run(["bash", "-c", ". scripts/common.sh; eigen_folder"], cwd=ROOT, capture_output=True, text=True,
                         check=True)
    return run.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TEXT")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    patches = [Patch(path) for path in sorted(FOLDER.glob("*.patch"))]
    if options.names:
        patches = [patch for patch in patches if any(name in patch.name for name in options.names)]
    if not patches:
        raise SystemExit("no patch has one of these texts in its name; --list shows all")
    width = max(len(patch.name) for patch in patches)
    if options.list:
        for patch in patches:
            print(f"{patch.name:{width}}  {patch.fault}")
        return
    counts = {"caught": 0, "MISSED": 0, "ERROR": 0}
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        runner = Runner(Path(work))
        tried = {pool.submit(runner.try_patch, patch): patch for patch in patches}
        for future in concurrent.futures.as_completed(tried):
            verdict, text = future.result()
            counts[verdict] += 1
            print(f"{verdict:6}  {tried[future].name:{width}}  {text}", flush=True)
    print(f"{counts['caught']} of {len(patches)} caught, {counts['MISSED']} missed, {counts['ERROR']} errors")
    sys.exit(0 if counts["caught"] == len(patches) else 1)


if __name__ == "__main__":
    main()
