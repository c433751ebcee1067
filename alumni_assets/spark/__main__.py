"""The script of a job: `python -m alumni_assets.spark` here, and this file where a service wants one.

All that the job does is in the installed package, so that script and package cannot be of two versions.
"""

from alumni_assets.spark.job import main

if __name__ == "__main__":
    main()
