"""What moves payloads from host to host, through every tap on the way; the channels decide how long it takes."""
