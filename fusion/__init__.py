"""All evidence of one specimen -> one belief, with calibrated confidence."""
