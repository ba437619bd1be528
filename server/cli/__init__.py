"""The commands of `winnow`, a file each. They import engines only when they run, so that `--help` is quick."""
