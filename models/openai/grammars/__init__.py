"""What a response may look like (structured outputs): refused where compiling or following it would cost too much."""
