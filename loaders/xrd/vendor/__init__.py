"""X-ray files of instrument makers: points through rietx, and what else the files say."""
