"""Files of X-ray diffractometers."""
