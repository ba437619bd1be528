"""`python -m server` is the command `winnow`."""

from server.cli import main

main()
