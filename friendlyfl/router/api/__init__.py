"""The HTTP side of the records: who may ask what (policy), what comes in and goes out, one view a resource."""
