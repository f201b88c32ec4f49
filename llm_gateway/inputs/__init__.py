"""What people hand in: settings, declarations, secrets, the options of one run."""
