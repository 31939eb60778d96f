//! Buckets of duration histograms.
