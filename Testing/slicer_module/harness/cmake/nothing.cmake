# what Slicer does here is not needed by the tests
