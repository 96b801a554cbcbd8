"""Adapters: what frameworks keep, kept in an aiomemdb database. One room a framework; none imports another.

Importing this imports no framework.
"""
