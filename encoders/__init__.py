"""One modality -> the evidence it carries, in a form that fusion can join."""
