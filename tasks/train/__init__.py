"""Predictors of any label of a dataset: trained, judged beside plain baselines, used."""
