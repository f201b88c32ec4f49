"""What a run does, from its checks to its end: deploy, verify, back up, restore, migrate, rotate, remove and more."""
