"""One embedded sample, one module: `VERSION`, and `draw(folder)`, which makes the data where no folder of photos is given."""
