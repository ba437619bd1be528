"""The demo pair's synthetic tasks: problems with exact answers, solutions that err like a model, exact step labels."""
