"""What a run costs beside the least that the same checks can cost, measured side by side: `make bench`."""
