"""What the warehouse holds and how it is kept up to date, on an open DuckDB connection.

Opening and locking the file is `resources/warehouse.py`; handing the tables to readers is `publishing.py`.
"""
