"""Loading labelled data sets into the source databases, so that real data takes the plant's road."""
