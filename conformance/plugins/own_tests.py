"""Runs aiomemdb's own tests of adapters, in an environment that has their framework."""
