"""What a link is expected to count, and how much key the published bounds make of it, at any distance."""
