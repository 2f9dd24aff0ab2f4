"""Jobs: what a running server does again and again, one job a file."""
