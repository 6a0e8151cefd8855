"""The test report: what is told of a model beside its metrics of record, and the page for a person."""
