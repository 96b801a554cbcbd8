"""The command ``aiomemdb``: of all packages the one that may see all others."""
