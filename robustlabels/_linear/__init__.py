"""The unhinged classifier: closed form, statistics that add up, Dask."""
