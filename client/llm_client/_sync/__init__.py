"""The client for threads; the modules that begin with "Generated" are made of those in `_async`."""
