"""Puts what a Glue job is made of into the lake's bucket: `python -m alumni_assets.spark.upload PACKAGE`.

PACKAGE is what `make glue-package` built. The job's definition names the two objects; it is not touched here.
"""

import sys
from pathlib import Path

from alumni_assets import layout
from alumni_assets.resources.lake import LakeResource
from alumni_assets.settings import load_settings
from alumni_assets.spark import __main__ as script

_USAGE = "ALUMNI_LAKE=s3://bucket/prefix python -m alumni_assets.spark.upload dist/glue/alumni_assets.gluewheels.zip"


def upload(package: Path, location: str) -> tuple[str, str]:
    """Put the package and the script into the lake; returns their URLs, the script's first. Raises LakeError."""
    lake = LakeResource(location=location).lake()
    for key, source in ((layout.GLUE_PACKAGE, package), (layout.GLUE_SCRIPT, Path(script.__file__))):
        with lake.writing(key) as path:
            path.write_bytes(source.read_bytes())
    return lake.url(layout.GLUE_SCRIPT), lake.url(layout.GLUE_PACKAGE)


def main() -> None:
    """Upload the package that is named on the command line, and print where script and package are."""
    location = load_settings().lake
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file() or not location.startswith("s3://"):
        sys.exit(f"Usage: {_USAGE}")
    url_of_script, url_of_package = upload(Path(sys.argv[1]), location)
    sys.stdout.write(f"ScriptLocation: {url_of_script}\n--additional-python-modules: {url_of_package}\n")


if __name__ == "__main__":
    main()
