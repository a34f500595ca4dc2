"""Other people's programs, measured beside ours in the same run, with the same load."""
