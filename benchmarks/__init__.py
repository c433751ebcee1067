"""Measures the pipeline against other tools and against itself at other sizes: `make bench`, docs/performance.md.

No part of the product: nothing in `alumni_assets/` imports from here. What is measured runs in processes of its
own: our stages in `contenders/`, other tools in `peers/` with an environment of theirs.
"""
