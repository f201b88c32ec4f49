"""Another database in place of a gateway's own: found, checked, brought there, swapped in and proven."""
