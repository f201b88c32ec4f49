"""What a gateway holds (channels, tokens, options): declared, compared, made so, and exported."""
