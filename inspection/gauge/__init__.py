"""The dimension gauge: a part's silhouette measured in millimetres against its specification."""
