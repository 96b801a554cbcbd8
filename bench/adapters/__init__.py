"""Workloads of frameworks for bench/frameworks.py, a module each."""
