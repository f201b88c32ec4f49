"""What a host has of ours, a module each: image, service, first start, firewall, database and more."""
