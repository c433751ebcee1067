"""The asset graph, one module for each stage, in the order in which data flows.

intake → (a person) → transformation → archive, deduplication → answers → publication.
Assets are thin: what a stage does is in `stages/` and `warehouse/`, how rows are judged in `survey/`.
"""
