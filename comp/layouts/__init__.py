"""One way of lying on disk, one file: `read(competition, data_dir)` turns raw files into `comp.tables.Tables`."""
