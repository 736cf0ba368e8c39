"""Readers of tables that are not CSV: Parquet, Excel, SPSS and SQL, a module each.

A reader is chosen by `tasks.formats`, which is what other rooms call.
"""
