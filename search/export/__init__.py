"""What a search found, as rows to train on: one small file and one row of a table a format. Knows no files."""
