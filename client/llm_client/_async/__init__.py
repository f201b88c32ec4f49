"""The client for event loops; `make generated` makes `_sync`, the same for threads, of it."""
