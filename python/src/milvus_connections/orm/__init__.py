"""Modules of PyMilvus's ORM whose names are there, under the names that programs written for PyMilvus import them by."""
