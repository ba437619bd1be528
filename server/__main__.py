"""`python -m server` is the command `winnow`."""

from server.cli.main import main

main()
