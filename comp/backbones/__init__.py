"""One architecture, one small file."""
