"""A file for each format of slices: its read() gives an ImageFile."""
