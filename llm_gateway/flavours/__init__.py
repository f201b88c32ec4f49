"""What differs between one gateway software and another, a package each."""
