"""The only rooms that know the SDK of the Model Context Protocol."""
