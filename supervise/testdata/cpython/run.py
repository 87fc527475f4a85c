"""Runs tests of CPython's own suite and says how each one ended.

    run.py list MODULE...     prints the test classes of each module, "module.Class", one on a line
    run.py run CLASS...       runs them and prints "OUTCOME<tab>id" for each test

OUTCOME is ok, skip or fail. A test that takes too long is interrupted and has failed; what that did not help is up to
the caller, who sees the tests up to there.
"""

import os
import signal
import sys
import tempfile
import traceback
import unittest

TEST_S = int(os.environ.get("CPYTHON_TEST_S", "60"))  # for one test


class TookTooLong(Exception):
    pass


def too_long(signum, frame):
    raise TookTooLong(f"longer than {TEST_S} s")


def flatten(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from flatten(t)
        else:
            yield t


def name(test):
    return test.id().removeprefix("test.")


class Result(unittest.TestResult):
    """Prints outcomes as they come. Subtests and cleanups can say more than once that a test failed."""

    def __init__(self, out):
        super().__init__()
        self.out, self.outcome = out, None

    def startTest(self, test):
        super().startTest(test)
        self.outcome = "ok"
        # Again and again: what cleans up after an interrupted test may hang as well.
        signal.setitimer(signal.ITIMER_REAL, TEST_S, TEST_S)

    def stopTest(self, test):
        signal.setitimer(signal.ITIMER_REAL, 0)
        super().stopTest(test)
        self.say(self.outcome, name(test))

    def say(self, outcome, what):
        print(f"{outcome}\t{what}", file=self.out, flush=True)

    def failed(self, test, err):
        if self.outcome is None or not hasattr(test, "_testMethodName"):
            self.say("fail", name(test))  # setUpClass, or a module
        self.outcome = "fail"
        traceback.print_exception(*err, file=sys.stderr)

    def addError(self, test, err):
        self.failed(test, err)

    def addFailure(self, test, err):
        self.failed(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.failed(test, err)

    def addSkip(self, test, reason):
        self.outcome = "skip"
        if not hasattr(test, "_testMethodName"):
            self.say("skip", name(test))

    def addUnexpectedSuccess(self, test):
        self.outcome = "fail"


def load(names):
    return unittest.defaultTestLoader.loadTestsFromNames(["test." + n for n in names])


def main():
    from test import support

    support.use_resources = ["network"]  # as regrtest -u network
    if sys.argv[1] == "list":
        seen = {}
        for test in flatten(load(sys.argv[2:])):
            c = type(test)
            if c.__module__ != "unittest.loader":  # a module that does not load here
                seen[f"{c.__module__}.{c.__qualname__}".removeprefix("test.")] = True
        print("\n".join(seen))
        return 0
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what tests print is not for our caller
    os.chdir(tempfile.gettempdir())
    signal.signal(signal.SIGALRM, too_long)
    for suite in load(sys.argv[2:]):
        result = Result(out)
        try:
            suite.run(result)
        except TookTooLong:
            traceback.print_exc()
    os._exit(0)  # threads that hang are left behind


if __name__ == "__main__":
    sys.exit(main())
