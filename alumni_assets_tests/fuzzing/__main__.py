"""Fuzzes reading, judging and correction files, guided by which code of `alumni_assets` an input reaches.

    python -m alumni_assets_tests.fuzzing -max_total_time=600 .fuzzing/found alumni_assets_tests/fuzzing/corpus

What follows are libFuzzer's own options and folders of inputs: those that it finds go into the first. `make fuzz` is
this call. It ends with the first input that breaks a promise, takes over a minute or fills the memory; that input is
in `.fuzzing/` then. Once the defect is mended, it goes into `found/` with a test of its own. Needs atheris.
"""

import shutil
import sys
import zlib
from pathlib import Path

import atheris

# What is measured has to be imported here for the first time.
with atheris.instrument_imports(include=["alumni_assets"]):
    import alumni_assets.survey.correction_files
    import alumni_assets.survey.schemas
    import alumni_assets.survey.workbooks  # noqa: F401
    from alumni_assets_tests.fuzzing.target import Desk

_WORK = Path(".fuzzing")
_TOKENS = Path(__file__).with_name("tokens.txt")
_TO_THE_END = 16
"""One input of so many is transformed, handed out and given back as well, which takes ten times as long."""


def main() -> None:
    shutil.rmtree(_WORK / "lake", ignore_errors=True)  # a fuzzer never comes back to tidy up
    desk = Desk(_WORK / "lake")

    def one_input(data: bytes) -> None:
        try:
            desk.judge(data, to_the_end=zlib.crc32(data) % _TO_THE_END == 0)
        except BaseException:
            # libFuzzer does so too, but not where the process takes longer to exit than an input may.
            (_WORK / "broken").write_bytes(data)
            raise

    # libFuzzer starts itself anew by its first argument, to merge folders.
    program = f"{sys.executable} -m {__package__}"
    usual = [f"-artifact_prefix={_WORK}/", f"-dict={_TOKENS}", "-max_len=4096", "-timeout=60"]
    # DuckDB keeps 6 KB each time that it is opened: in hours that is more than an input should ever take.
    limits = ["-malloc_limit_mb=3000", "-rss_limit_mb=8000"]
    atheris.Setup([program, *usual, *limits, *sys.argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
