"""From one image to another, and back: a trial beside the serving gateway, then a short switch."""
