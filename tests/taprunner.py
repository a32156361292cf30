# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs unittest and speaks TAP, so that test cases are counted one by one.

    if __name__ == "__main__":
        taprunner.main()
"""

import sys
import unittest


class TapResult(unittest.TestResult):
    """Prints a line a test case as it ends; what went wrong stands before it."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.subtests_failed = []

    def line(self, verdict, test, directive=""):
        """One case."""
        self.number += 1
        name = test.id().removeprefix("__main__.")
        print(f"{verdict} {self.number} - {name}{directive}", flush=True)

    def trouble(self, test, err):
        """Says why, and that the case failed."""
        print("".join(f"# {line}\n" for line in
                      self._exc_info_to_string(err, test).splitlines()), end="")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.trouble(test, err)
        if test not in self.subtests_failed:
            self.line("not ok", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.trouble(test, err)
        if test not in self.subtests_failed:
            self.line("not ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, f" # SKIP {reason}")

    def addSubTest(self, test, subtest, err):
        # unittest calls addSuccess() for the whole only if no part of it failed
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(f"# {subtest.id().removeprefix('__main__.')}")
            self.trouble(subtest, err)
            if test not in self.subtests_failed:
                self.subtests_failed.append(test)

    def stopTest(self, test):
        super().stopTest(test)
        if test in self.subtests_failed:
            self.line("not ok", test)


def main():
    """Runs the tests of the program, or those that its arguments name."""
    loader = unittest.TestLoader()
    module = sys.modules["__main__"]
    if len(sys.argv) > 1:
        suite = loader.loadTestsFromNames(sys.argv[1:], module)
    else:
        suite = loader.loadTestsFromModule(module)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
