"""One competition, one small file of facts."""
