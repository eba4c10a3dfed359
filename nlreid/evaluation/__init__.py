"""Features in, rankings out."""
